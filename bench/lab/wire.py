"""The few requests that the lab itself sends: is somebody ready, and does it do the work that it is measured for."""

import http.client
import socket

from . import places
from .process import Broken

PATIENCE = 2.0  # seconds


def ask(port: int, path: str) -> tuple[int, bytes]:
    """Status and body; status 0 if there is no answer."""
    connection = http.client.HTTPConnection(places.HOST, port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def answered_by(port: int, path: str) -> str:
    """The port of the server that answers a path that ends with `/port`."""
    return ask(port, path)[1].decode(errors="replace").strip()


def must_be_free(port: int) -> None:
    """Whoever else listens there would be measured instead."""
    try:
        socket.create_server((places.HOST, port)).close()
    except OSError as error:
        raise Broken(f"port {port} is taken: {error.strerror}") from None
