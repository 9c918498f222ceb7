"""The servers behind the proxies: two nginx processes, so that one can be killed; or ten servers that are slow on purpose."""

import os
from pathlib import Path

from . import places, wire
from .process import Process, eventually
from .template import fill

READY_WITHIN = 5.0
MEAN_MS, SLOW_MS = 10, 200
FILES = {"10k": 10 * 1024, "1m": 1024 * 1024}


class Backend:
    """The API twice and the front-end; with `ten` ten servers as well, equal ones or with one that is slow."""

    def __init__(self, directory: Path, ten: str = ""):
        self.directory = directory
        self.files = directory / "files"
        self.files.mkdir(parents=True)
        os.chmod(directory, 0o755)
        for name, size in FILES.items():
            (self.files / name).write_bytes(b"tidegate" * (size // 8))
        self.first = self._start("api-1", (places.API_PORTS[0], places.FRONTEND_PORT))
        self.second = self._start("api-2", (places.API_PORTS[1],))
        self.ten = None
        if ten == "equal":
            self.ten = self._start("ten", places.TEN_PORTS)
        elif ten == "one slow":
            self.ten = self._start_slow()

    def end(self) -> None:
        for process in (self.first, self.second, self.ten):
            if process:
                process.end()

    def kill_second(self) -> None:
        """As the kernel would for want of memory."""
        self.second.kill()

    def restart_second(self) -> None:
        self.second = self._start("api-2", (places.API_PORTS[1],))

    def _start(self, name: str, ports: tuple[int, ...]) -> Process:
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        # The socket of a killed process is in the way of the next.
        (directory / "sink.sock").unlink(missing_ok=True)
        listen = " ".join(f"listen {places.HOST}:{port} backlog=65535;" for port in ports)
        cpus = places.load_cpus()
        for port in ports:
            wire.must_be_free(port)
        config = directory / "nginx.conf"
        config.write_text(fill(places.BENCH / "backend" / "nginx.conf",
                               {"listen": listen, "dir": directory, "files": self.files, "workers": len(cpus)}))
        command = [places.needed("nginx"), "-p", str(directory), "-e", "stderr", "-c", str(config)]
        process = Process(name, places.pinned(",".join(map(str, cpus)), command), directory / "log")
        for port in ports:
            eventually(f"{name} answers", lambda port=port: wire.answered_by(port, "/port") == str(port), READY_WITHIN,
                       process)
        return process

    def _start_slow(self) -> Process:
        directory = self.directory / "ten"
        directory.mkdir()
        cpus, folder = places.load_cpus(), places.BENCH / "backend"
        for port in places.TEN_PORTS:
            wire.must_be_free(port)
        servers = [fill(folder / "ten-server", {"port": port, "listen": f"{places.HOST}:{port}",
                                                "ms": MEAN_MS if number else SLOW_MS})
                   for number, port in enumerate(places.TEN_PORTS)]
        config = directory / "haproxy.cfg"
        config.write_text(fill(folder / "ten.cfg", {"threads": len(cpus), "lua": folder / "wait.lua",
                                                    "servers": "".join(servers)}))
        command = [places.needed("haproxy"), "-db", "-f", str(config)]
        process = Process("ten", places.pinned(",".join(map(str, cpus)), command), directory / "log")
        for port in places.TEN_PORTS:
            eventually(f"{port} answers", lambda port=port: wire.answered_by(port, "/port") == str(port), READY_WITHIN,
                       process)
        return process
