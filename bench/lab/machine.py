"""Where a run was made: results from two machines are not compared."""

import os
import platform
import subprocess
from pathlib import Path

from . import places

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
        "load before": round(os.getloadavg()[0], 2),
        "commit": _commit(),
        "clients": {name: _version(name, arguments) for name, arguments in CLIENTS.items()},
    }


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
