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
from .process import Process, eventually
from .template import fill

READY_WITHIN = 20.0  # seconds; ten thousand routes take some of them a while


@dataclass(frozen=True)
class Setup:
    """One proxy on its port, in its directory."""

    directory: Path
    port: int
    access_log: bool = False

    @property
    def listen(self) -> str:
        return f"{places.HOST}:{self.port}"


@dataclass(frozen=True)
class Peer:
    """A load balancer. `files` are the templates in peers/NAME/, the one with the routes first."""

    name: str
    program: str
    files: tuple[str, ...]
    command: Callable[[str, Setup], list[str]]
    version: tuple[str, ...] = ("--version",)
    env: dict[str, str] = field(default_factory=dict)
    reload: Callable[[Process, Setup], None] | None = None
    routes_file: str | None = None  # a file of its own for the routes

    def path(self) -> str | None:
        return places.program(self.program)

    def version_text(self) -> str:
        """The line of its own words that has a number in it."""
        if not self.version:
            return pingora_version()
        said = subprocess.run([places.needed(self.program), *self.version], capture_output=True, text=True, timeout=20)
        lines = (said.stdout + said.stderr).splitlines()
        return next((line.strip() for line in lines if re.search(r"\d+\.\d+", line)), "?")[:100]

    def configure(self, setup: Setup, routes: int) -> None:
        """Writes its files, with some routes beside the two that everybody has."""
        folder = places.BENCH / "peers" / self.name
        if not self.files:
            return
        values = _values(setup)
        lines = [_route(folder, number, values) for number in range(routes)]
        with_routes = folder / "with-routes"
        rule = fill(with_routes, values) if routes and with_routes.exists() else ""
        if self.routes_file:
            _replace(setup.directory / self.routes_file, "\n".join(lines) + "\n")
        for file in self.files:
            _replace(setup.directory / file, fill(folder / file, {**values, "routes": "\n".join(lines), "with_routes": rule}))

    def start(self, setup: Setup) -> Process:
        """Runs it on its own processor until it answers on both routes."""
        command = places.pinned(places.proxy_cpus(), self.command(places.needed(self.program), setup))
        if self.name == "tidegate":
            command += ["--access-log", "on" if setup.access_log else "off"]
        process = Process(self.name, command, setup.directory / "log", self.env, setup.directory / "access.log")
        eventually(f"{self.name} answers", lambda: does_the_work(setup.port), READY_WITHIN, process)
        return process


def does_the_work(port: int) -> bool:
    """Both routes are there. Who asks twice in a row has asked both servers."""
    return all(wire.ask(port, path) == (200, b"hello, world\n") for path in ("/api/hello", "/api/hello", "/"))


def route_path(number: int) -> str:
    """The path of a route that was added."""
    return f"/service-{number:05d}"


def pingora_version() -> str:
    """Of what the yardstick is built from."""
    lock = (places.ROOT / "Cargo.lock").read_text()
    found = re.search(r'name = "pingora-proxy"\nversion = "([^"]+)"', lock)
    return f"bare Pingora {found[1]}" if found else "bare Pingora"


def _route(folder: Path, number: int, values: dict[str, object]) -> str:
    return fill(folder / "route", {**values, "name": f"service-{number:05d}", "path": route_path(number)}).rstrip("\n")


def _values(setup: Setup) -> dict[str, object]:
    api_1, api_2 = places.API_PORTS
    return {
        "at": "@", "dir": setup.directory, "listen": setup.listen, "port": setup.port, "admin_port": setup.port + 100,
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
         lambda path, setup: [path, "run", "-c", str(setup.directory / "tidegate.yaml"), "--threads", "1"],
         reload=_watches),
    Peer("bare", "tidegate-bare", (), lambda path, setup: [path, setup.listen, *_servers()], version=()),
    Peer("nginx", "nginx", ("nginx.conf",),
         lambda path, setup: [path, "-p", str(setup.directory), "-e", "stderr", "-c", str(setup.directory / "nginx.conf")],
         version=("-v",), reload=_by_signal(signal.SIGHUP)),
    Peer("haproxy", "haproxy", ("haproxy.cfg",),
         lambda path, setup: [path, "-W", "-f", str(setup.directory / "haproxy.cfg")],
         version=("-v",), reload=_by_signal(signal.SIGUSR2), routes_file="routes.map"),
    Peer("envoy", "envoy", ("envoy.yaml",),
         lambda path, setup: [path, "-c", str(setup.directory / "envoy.yaml"), "--concurrency", "1",
                              "--log-level", "error", "--disable-hot-restart"]),
    Peer("traefik", "traefik", ("routing.yaml", "traefik.yaml"),
         lambda path, setup: [path, f"--configFile={setup.directory / 'traefik.yaml'}"],
         version=("version",), env=ONE, reload=_watches),
    Peer("caddy", "caddy", ("Caddyfile",),
         lambda path, setup: [path, "run", "--config", str(setup.directory / "Caddyfile"), "--adapter", "caddyfile"],
         version=("version",), env=ONE, reload=_caddy_load),
)
BY_NAME = {peer.name: peer for peer in PEERS}
