"""The few requests that the lab itself sends: is somebody ready, and does it do the work that it is measured for."""

import http.client

from . import places

PATIENCE = 2.0  # seconds


def ask(port: int, path: str, method: str = "GET", body: bytes | None = None,
        headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Status and body; status 0 if there is no answer."""
    connection = http.client.HTTPConnection(places.HOST, port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def status(port: int, path: str) -> int:
    """The status alone."""
    return ask(port, path)[0]
