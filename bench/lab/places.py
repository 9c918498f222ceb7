"""Where things are: directories, ports, processors."""

import os
import shutil
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
VENV_BIN = BENCH / ".venv" / "bin"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BUILT = TARGET / "release"

HOST = "127.0.0.1"
API_PORTS = (18101, 18102)
FRONTEND_PORT = 18103
FIRST_PEER_PORT = 18200


class Missing(Exception):
    """A program that is needed and not there."""


def program(name: str) -> str | None:
    """The path of a program: what this repository builds, then the lab's own environment, then PATH."""
    for place in (BUILT, VENV_BIN, Path.home() / ".cargo" / "bin"):
        if os.access(place / name, os.X_OK):
            return str(place / name)
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def needed(name: str) -> str:
    """The path of a program that nothing works without."""
    found = program(name)
    if found is None:
        raise Missing(f"{name} is missing: `make bench-deps` says what to do")
    return found


def proxy_cpus() -> str:
    """The processor that the proxy under test has to itself."""
    return str(min(os.sched_getaffinity(0)))


def load_cpus() -> list[int]:
    """The others, for clients and servers; the same one where there is no other, which makes results worthless."""
    mine = sorted(os.sched_getaffinity(0))
    return mine[1:] or mine


def pinned(cpus: str, command: list[str]) -> list[str]:
    """The command, kept on some processors."""
    return ["taskset", "-c", cpus, *command]
