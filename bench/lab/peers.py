"""Who is measured: how each is configured, started, told to read its file again, and asked for its version."""

import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import places, wire
from .process import Broken, Process, eventually
from .template import fill

MOST_OF_TEN = 6
READY_WITHIN = 20.0  # seconds; ten thousand routes take some of them a while


@dataclass(frozen=True)
class Setup:
    """One proxy on its port, in its directory."""

    directory: Path
    port: int
    access_log: bool = False
    http2: bool = False
    policy: str = ""  # of ten servers, as the lab calls it; none: two servers and a front-end

    @property
    def listen(self) -> str:
        return f"{places.HOST}:{self.port}"


@dataclass(frozen=True)
class Peer:
    """A load balancer. `files` are the templates in peers/NAME/."""

    name: str
    program: str
    files: tuple[str, ...]
    command: Callable[[str, Setup], list[str]]
    version: tuple[str, ...] = ("--version",)
    env: dict[str, str] = field(default_factory=dict)
    reload: Callable[[Process, Setup], None] | None = None
    routes_file: str | None = None  # a file of its own for the routes
    http2: bool = False  # without TLS, by prior knowledge
    policies: dict[str, str] = field(default_factory=dict)  # in its own words
    server: str = ""  # one of ten, in its own words

    def path(self) -> str | None:
        return places.program(self.program)

    def version_text(self) -> str:
        """The first number with a dot in its own words."""
        if not self.version:
            return _pingora_version()
        path = places.needed(self.program)
        said = subprocess.run([path, *self.version], capture_output=True, text=True, timeout=20)
        found = re.search(r"\d+\.\d[\w.+-]*", (said.stdout + said.stderr).replace(path, ""))
        return found[0] if found else "?"

    def configure(self, setup: Setup, routes: int) -> None:
        """Writes its files, with some routes beside the two that everybody has."""
        folder = places.BENCH / "peers" / self.name
        values = _values(setup)
        if setup.policy:
            servers = (self.server.format(f"{places.HOST}:{port}", port) for port in places.TEN_PORTS)
            values |= {"policy": self.policies[setup.policy], "servers": "".join(servers)}
            for file in self.files:
                _replace(setup.directory / file, fill(folder / "ten" / file, values))
            return
        lines = [_route(folder, values, number) for number in range(routes) if self.files]
        with_routes = folder / "with-routes"
        values |= {"routes": "\n".join(lines),
                   "route_names": "".join(f', "{_name(number)}"' for number in range(routes)),
                   "with_routes": fill(with_routes, values) if routes and with_routes.exists() else ""}
        if self.routes_file:
            _replace(setup.directory / self.routes_file, "\n".join(lines) + "\n")
        for file in self.files:
            _replace(setup.directory / file, fill(folder / file, values))

    def start(self, setup: Setup) -> Process:
        """Runs it on the proxy's processor until it does the work."""
        wire.must_be_free(setup.port)
        command = places.pinned(places.proxy_cpus(), self.command(places.needed(self.program), setup))
        process = Process(self.name, command, setup.directory / "log", self.env, setup.directory / "access.log")
        try:
            eventually(f"{self.name} does the work", lambda: does_the_work(setup), READY_WITHIN, process)
        except Broken:
            process.end()
            raise
        return process


def does_the_work(setup: Setup) -> bool:
    """Both routes lead where they should, and both API servers have their turn; or most of ten."""
    port = setup.port
    if setup.policy:
        asked = [wire.answered_by(port, f"/port?user={user}") for user in range(4 * MOST_OF_TEN)]
        return set(asked) <= set(map(str, places.TEN_PORTS)) and len(set(asked)) >= MOST_OF_TEN
    return (wire.ask(port, "/api/hello") == (200, b"hello, world\n")
            and wire.answered_by(port, "/port") == str(places.FRONTEND_PORT)
            and {wire.answered_by(port, "/api/port") for _ in range(4)} == set(map(str, places.API_PORTS)))


def has_routes(port: int, routes: int) -> bool:
    """Whether the file in force is the one with added routes: without them, such a path is the front-end's."""
    answered = wire.answered_by(port, f"{route_path(0)}/port")
    return answered in (map(str, places.API_PORTS) if routes else (str(places.FRONTEND_PORT),))


def route_path(number: int) -> str:
    """The path of a route that was added."""
    return f"/{_name(number)}"


def _name(number: int) -> str:
    return f"service-{number:05d}"


def _pingora_version() -> str:
    """Of what the yardstick is built from."""
    lock = (places.ROOT / "Cargo.lock").read_text()
    found = re.search(r'name = "pingora-proxy"\nversion = "([^"]+)"', lock)
    return f"Pingora {found[1]}" if found else "?"


def _route(folder: Path, values: dict[str, object], number: int) -> str:
    return fill(folder / "route", {**values, "name": _name(number), "path": route_path(number)}).rstrip("\n")


def _values(setup: Setup) -> dict[str, object]:
    api_1, api_2 = places.API_PORTS
    return {
        "at": "@", "http2": "" if setup.http2 else "#", "dir": setup.directory,
        "listen": setup.listen, "port": setup.port, "admin_port": setup.port + 100,
        "api_1": f"{places.HOST}:{api_1}", "api_2": f"{places.HOST}:{api_2}",
        "frontend": f"{places.HOST}:{places.FRONTEND_PORT}",
        "api_1_port": api_1, "api_2_port": api_2, "frontend_port": places.FRONTEND_PORT,
    }


def _replace(path: Path, text: str) -> None:
    """In one step: whoever watches the file must never read half of it."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    os.replace(new, path)


def _by_signal(number: int) -> Callable[[Process, Setup], None]:
    return lambda process, _setup: process.signal(number)


def _watches(_process: Process, _setup: Setup) -> None:
    """It has seen the file change."""


def _caddy_load(_process: Process, setup: Setup) -> None:
    text = (setup.directory / "Caddyfile").read_bytes()
    request = urllib.request.Request(f"http://{places.HOST}:{setup.port + 100}/load", text,
                                     {"Content-Type": "text/caddyfile"})
    urllib.request.urlopen(request, timeout=5).close()


def _servers() -> list[str]:
    return [f"{places.HOST}:{port}" for port in (*places.API_PORTS, places.FRONTEND_PORT)]


ONE = {"GOMAXPROCS": "1"}  # for programs in Go: as many threads as they have processors

PEERS: tuple[Peer, ...] = (
    Peer("tidegate", "tidegate", ("tidegate.yaml",),
         lambda path, setup: [path, "run", "-c", str(setup.directory / "tidegate.yaml"), "--threads", "1",
                              "--access-log", "on" if setup.access_log else "off"],
         reload=_watches, http2=True, server='"{0}", ',
         policies={name: name for name in ("round_robin", "random", "least_request", "peak_ewma")}
         | {name: f"{{ {name}: {{ key: {{ query: user }} }} }}" for name in ("ring_hash", "maglev")}
         # Nobody keeps the cookie: every answer brings one, which is the dearer half of it.
         | {"sticky": "{ sticky: { cookie: place, secret: 0123456789abcdef } }"}),
    Peer("bare", "tidegate-bare", (), lambda path, setup: [path, setup.listen, *_servers()], version=()),
    Peer("pingap", "pingap", ("pingap.toml",),
         lambda path, setup: [path, "-c", str(setup.directory / "pingap.toml"), "--autoreload"],
         reload=_watches, http2=True),
    Peer("nginx", "nginx", ("nginx.conf",),
         lambda path, setup: [path, "-p", str(setup.directory), "-e", "stderr",
                              "-c", str(setup.directory / "nginx.conf")],
         version=("-v",), reload=_by_signal(signal.SIGHUP), server="server {0}; ",
         policies={"round_robin": "", "least_conn": "least_conn;", "random two": "random two least_conn;",
                   "hash": "hash $arg_user consistent;"}),
    Peer("haproxy", "haproxy", ("haproxy.cfg",),
         lambda path, setup: [path, "-W", "-f", str(setup.directory / "haproxy.cfg")],
         version=("-v",), reload=_by_signal(signal.SIGUSR2), routes_file="routes.map", http2=True,
         server="    server server-{1} {0} check\n",
         policies={"roundrobin": "roundrobin", "leastconn": "leastconn", "random(2)": "random(2)",
                   "hash": "url_param user"}),
    Peer("envoy", "envoy", ("envoy.yaml",),
         lambda path, setup: [path, "-c", str(setup.directory / "envoy.yaml"), "--concurrency", "1",
                              "--log-level", "error", "--disable-hot-restart"], http2=True),
    Peer("traefik", "traefik", ("routing.yaml", "traefik.yaml"),
         lambda path, setup: [path, f"--configFile={setup.directory / 'traefik.yaml'}"],
         version=("version",), env=ONE, reload=_watches, http2=True),
    Peer("caddy", "caddy", ("Caddyfile",),
         lambda path, setup: [path, "run", "--config", str(setup.directory / "Caddyfile"), "--adapter", "caddyfile"],
         version=("version",), env=ONE, reload=_caddy_load, http2=True),
)
BY_NAME = {peer.name: peer for peer in PEERS}
