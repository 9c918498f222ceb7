"""Where a run was made, and what disturbed it: results from two machines are not compared."""

import os
import platform
import subprocess
import time
from pathlib import Path

from . import places
from .process import TICKS, cpu_of

CONNTRACK = Path("/proc/sys/net/netfilter/nf_conntrack_count")
QUIET, LISTEN = 0.1, 1.0  # of a processor; seconds
CLIENTS = {"wrk": ["-v"], "oha": ["--version"], "nginx": ["-v"]}


def facts() -> dict[str, object]:
    """Processor, memory, kernel, system, and the programs that made the load."""
    return {
        "processor": _value("/proc/cpuinfo", "model name", ":"),
        "processors": os.cpu_count(),
        "memory": _value("/proc/meminfo", "MemTotal", ":"),
        "kernel": platform.release(),
        "system": _value("/etc/os-release", "PRETTY_NAME", "=").strip('"'),
        "pinned": {"proxy": places.proxy_cpus(), "clients and servers": ",".join(map(str, places.load_cpus()))},
        "core shared": len(set(places.siblings()) & set(places.load_cpus())) > 0,
        "load before": round(os.getloadavg()[0], 2),
        "others before": _others_now(),
        "conntrack": _conntrack(),
        "commit": _commit(),
        "clients": {name: _version(name, arguments) for name, arguments in CLIENTS.items()},
    }


def warnings(known: dict[str, object]) -> list[str]:
    """What of that spoils figures."""
    said = []
    if len(os.sched_getaffinity(0)) < 2:
        said.append("one processor for all: the figures mean nothing")
    if known["core shared"]:
        said.append("the proxy's processor and the client's are threads of one core: they slow each other")
    if known["others before"] > QUIET:
        said.append(f"the machine was at work before ({known['others before']:.0%} of a processor): repeat it in quiet")
    if known["conntrack"]:
        said.append("connection tracking is on (Docker's rules do that): every packet costs more, for all alike")
    return said


class Others:
    """How much of the processors is taken, from now on, by what does not belong to the lab."""

    def __init__(self) -> None:
        self._at, self._begin = _taken_by_others(), time.monotonic()

    def share(self) -> float:
        """1.0 is a whole processor. The kernel's counters are samples: a few per cent are nothing."""
        return max(0.0, (_taken_by_others() - self._at) / (time.monotonic() - self._begin))


def _others_now() -> float:
    others = Others()
    time.sleep(LISTEN)
    return round(others.share(), 2)


def _taken_by_others() -> float:
    """Seconds: all that the processors did, and what other virtual machines took of them, less what the lab did."""
    line = Path("/proc/stat").read_text().splitlines()[0]
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, line.split()[1:9])
    own = cpu_of(os.getpid())
    return (user + nice + system + irq + softirq + steal) / TICKS - own.user - own.system


def _conntrack() -> bool:
    """Whether the kernel keeps a list of connections: it does as soon as a rule of the firewall asks for them."""
    try:
        return int(CONNTRACK.read_text()) > 0
    except OSError:
        return False


def _value(file: str, key: str, separator: str) -> str:
    for line in Path(file).read_text().splitlines():
        if line.startswith(key):
            return line.split(separator, 1)[1].strip()
    return "?"


def _version(name: str, arguments: list[str]) -> str:
    path = places.program(name)
    if path is None:
        return "missing"
    said = subprocess.run([path, *arguments], capture_output=True, text=True)
    return ((said.stdout + said.stderr).strip().splitlines() or ["?"])[0][:80]


def _commit() -> str:
    said = subprocess.run(["git", "-C", str(places.ROOT), "describe", "--always", "--dirty", "--abbrev=12"],
                          capture_output=True, text=True)
    return said.stdout.strip() or "?"
