"""Connections that have been served and wait: what each of them costs in memory."""

import contextlib
import resource
import socket
from collections.abc import Iterator

from . import places
from .process import Broken

SOURCES = 8  # loopback addresses to connect from: one has some 28,000 ports
AT_A_TIME = 50  # requests under way, so that few connections to servers are opened
SPARE = 500  # open files of a proxy beside those of its clients
PATIENCE = 2.0  # seconds
REQUEST = b"GET /api/hello HTTP/1.1\r\nHost: tidegate.example\r\nUser-Agent: idle\r\n\r\n"
END = b"hello, world\n"


@contextlib.contextmanager
def held(port: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Opens connections, asks once on each, and keeps them: how many stand, and how many could not."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if wanted + SPARE > allowed:
        raise Broken(f"needs {wanted + SPARE:,} open files, and only {allowed:,} are allowed (ulimit -Hn)")
    standing: list[socket.socket] = []
    try:
        for begin in range(0, wanted, AT_A_TIME):
            opened = _some(port, range(begin, min(begin + AT_A_TIME, wanted)))
            standing += opened
            if not opened:  # nor will the others be
                break
        yield len(standing), wanted - len(standing)
    finally:
        for connection in standing:
            connection.close()


def _some(port: int, numbers: range) -> list[socket.socket]:
    asked: list[socket.socket] = []
    for number in numbers:
        with contextlib.suppress(OSError):
            source = f"127.0.0.{2 + number % SOURCES}"
            asked.append(socket.create_connection((places.HOST, port), PATIENCE, (source, 0)))
            asked[-1].sendall(REQUEST)
    return [connection for connection in asked if _is_answered(connection)]


def _is_answered(connection: socket.socket) -> bool:
    got = b""
    try:
        while not got.endswith(END):
            piece = connection.recv(4096)
            if not piece:
                return False
            got += piece
    except OSError:
        return False
    return got.startswith(b"HTTP/1.1 200")
