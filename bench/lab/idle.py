"""Connections that have been served and wait: what each of them costs in memory."""

import contextlib
import resource
import socket
from collections.abc import Iterator

from . import places

SOURCES = 8  # loopback addresses to connect from: one has some 28,000 ports
AT_A_TIME = 50  # requests under way, so that few connections to servers are opened
PATIENCE = 2.0  # seconds
REQUEST = b"GET /api/hello HTTP/1.1\r\nHost: tidegate.example\r\nUser-Agent: idle\r\n\r\n"
END = b"hello, world\n"


@contextlib.contextmanager
def held(port: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Opens connections, asks once on each, and keeps them: how many stand, and how many could not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    room = min(wanted, hard - 200)
    standing: list[socket.socket] = []
    failed = wanted - room
    try:
        for begin in range(0, room, AT_A_TIME):
            opened, lost = _some(port, range(begin, min(begin + AT_A_TIME, room)))
            standing += opened
            failed += lost
            if not opened:  # nor will the others be
                failed = wanted - len(standing)
                break
        yield len(standing), failed
    finally:
        for connection in standing:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _some(port: int, numbers: range) -> tuple[list[socket.socket], int]:
    asked: list[socket.socket] = []
    for number in numbers:
        with contextlib.suppress(OSError):
            source = f"127.0.0.{2 + number % SOURCES}"
            asked.append(socket.create_connection((places.HOST, port), PATIENCE, (source, 0)))
            asked[-1].sendall(REQUEST)
    answered = [connection for connection in asked if _is_answered(connection)]
    return answered, len(numbers) - len(answered)


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
