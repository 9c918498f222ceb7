"""A scenario is a file in scenarios/; adding one is adding a file. Its keys are the fields below."""

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path

from . import peers, places
from .load import Work

USERS = 1_000  # in front of ten servers


class Unknown(Exception):
    """A name or a key that means nothing here."""


@dataclass(frozen=True)
class Contender:
    """A peer in one of the forms in which a scenario compares it."""

    peer: str
    routes: int = 0
    access_log: bool = False
    policy: str = ""

    @property
    def label(self) -> str:
        label = self.peer
        if self.routes:
            label += f", {self.routes:,} routes"
        if self.policy:
            label += f", {self.policy}"
        return label + (", access log" if self.access_log else "")


@dataclass(frozen=True)
class Scenario:
    """What is asked of whom, and what happens meanwhile."""

    name: str
    title: str
    connections: int
    about: str = ""
    path: str = "/api/hello"
    method: str = "GET"
    body: int = 0  # bytes
    headers: tuple[str, ...] = ()
    new_connections: bool = False
    rate: int | None = None  # requests/s; none: as fast as they are answered
    seconds: float | None = None  # a round; none: what the run says
    rounds: int | None = None
    streams: int = 0  # of HTTP/2 without TLS, at a time on each connection; 0: HTTP/1.1
    event: str | None = None  # `reload` or `kill`, in the middle of the load
    idle: bool = False  # connections that wait, instead of a load
    peers: tuple[str, ...] = ()  # none: all
    routes: tuple[int, ...] = (0,)  # each number is a contender of its own
    access_log: tuple[bool, ...] = (False,)
    ten: str = ""  # `equal` or `one slow`: ten servers, and each policy that a peer has is a contender of its own
    compare: str = "cpu"  # what the chart shows: `cpu`, `memory` or `p99`

    def contenders(self, wanted: list[str]) -> list[Contender]:
        """All forms of all peers that can do what is asked."""
        able = [peer for peer in peers.PEERS
                if (peer.reload or self.event != "reload") and (peer.http2 or not self.streams)]
        names = [peer.name for peer in able if peer.name in wanted and peer.name in (self.peers or wanted)]
        return [Contender(name, routes, log, policy) for name in names for routes in self.routes
                for log in self.access_log for policy in (peers.BY_NAME[name].policies if self.ten else [""])]

    def work(self, contender: Contender) -> Work:
        """With routes of its own, every route is asked in turn."""
        paths: tuple[str, ...] = (self.path,)
        if self.ten:
            paths = tuple(f"/?user={user}" for user in range(USERS))
        if contender.routes:
            # Not in their order: the next one must not be in the same cache line.
            spread = sorted(range(contender.routes), key=lambda number: number * 7919 % contender.routes)
            paths = tuple(f"{peers.route_path(number)}/hello" for number in spread)
        return Work(self.connections, paths, self.method, self.body, self.headers, self.new_connections, self.rate,
                    self.streams)


def load_all() -> dict[str, Scenario]:
    """By name, in the order of the names."""
    files = sorted((places.BENCH / "scenarios").glob("*.toml"))
    return {file.stem: _load(file) for file in files}


def _load(file: Path) -> Scenario:
    keys = tomllib.loads(file.read_text())
    known = {field.name for field in dataclasses.fields(Scenario)} - {"name"}
    if unknown := set(keys) - known:
        raise Unknown(f"{file}: unknown {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in keys.items()}
    scenario = Scenario(name=file.stem, **values)
    if strangers := set(scenario.peers) - set(peers.BY_NAME):
        raise Unknown(f"{file}: nobody is called {', '.join(strangers)}; known are {', '.join(peers.BY_NAME)}")
    return scenario
