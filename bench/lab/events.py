"""What happens in the middle of a load: a file is changed again and again, or a server is killed."""

import threading
from collections.abc import Callable

from .backend import Backend
from .peers import Peer, Setup, has_routes
from .process import Process, eventually

RELOAD_EVERY = 1.0  # seconds
IN_FORCE_WITHIN = 10.0  # seconds for the last file of a round
KILL_AT, RESTART_AT = 0.3, 0.7  # of the round


class Event:
    """Runs beside the load; what went wrong with it is raised at the end."""

    def __init__(self, happen: Callable[[threading.Event], int]):
        self.times = 0
        self._error: Exception | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(happen,), daemon=True)

    def _run(self, happen: Callable[[threading.Event], int]) -> None:
        try:
            self.times = happen(self._over)
        except Exception as error:  # raised again by whoever waits
            self._error = error

    def __enter__(self) -> "Event":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(30)
        if self._error:
            raise self._error


def reloads(peer: Peer, process: Process, setup: Setup) -> Event:
    """Every second another file, with three routes more or without. Counts those that are in force a second later."""
    def happen(over: threading.Event) -> int:
        in_force = routes = 0
        ended = False
        while not ended:
            routes = 3 - routes
            peer.configure(setup, routes)
            peer.reload(process, setup)
            ended = over.wait(RELOAD_EVERY)
            in_force += not ended and has_routes(setup.port, routes)
        eventually(f"{peer.name}'s last file is in force", lambda: has_routes(setup.port, routes), IN_FORCE_WITHIN)
        return in_force
    return Event(happen)


def kill(backend: Backend, seconds: float) -> Event:
    """One of the two API servers is killed, and comes back after a while."""
    def happen(over: threading.Event) -> int:
        if over.wait(seconds * KILL_AT):
            return 0
        backend.kill_second()
        over.wait(seconds * (RESTART_AT - KILL_AT))
        backend.restart_second()
        return 1
    return Event(happen)


def nothing() -> Event:
    """An ordinary round."""
    return Event(lambda _over: 0)
