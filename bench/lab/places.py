"""Where things are: directories, ports, processors, and how many files may be open."""

import os
import resource
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
TEN_PORTS = tuple(range(18111, 18121))
FIRST_PEER_PORT = 18200
FILES = 40_000  # open at once; far more would make some programs reserve memory for all of them


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
    """Up to three others, for the client and the servers: of other cores than the proxy's, as far as there are any."""
    mine = sorted(os.sched_getaffinity(0))
    others = [cpu for cpu in mine[1:] if cpu not in siblings()] or mine[1:] or mine
    return others[:3]


def siblings() -> list[int]:
    """The processors that are threads of the proxy's core, its own included."""
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{proxy_cpus()}/topology/thread_siblings_list").read_text()
    except OSError:
        return [int(proxy_cpus())]
    ranges = [[int(end) for end in part.split("-")] for part in text.strip().split(",")]
    return [cpu for ends in ranges for cpu in range(ends[0], ends[-1] + 1)]


def allow_files() -> None:
    """Lifts the limit of open files for this program and all that it starts: shells often set it to 1,024."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    allowed = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def pinned(cpus: str, command: list[str]) -> list[str]:
    """The command, kept on some processors."""
    return ["taskset", "-c", cpus, *command]
