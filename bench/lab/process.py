"""Processes that end with the lab, and what they cost while they run."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
END_WITHIN = 5.0  # seconds for a process to end by itself
_running: list["Process"] = []


class Broken(Exception):
    """A process did not do what it was started for."""


@dataclass(frozen=True)
class Cpu:
    """Seconds of processor time."""

    user: float
    system: float

    def __sub__(self, before: "Cpu") -> "Cpu":
        return Cpu(self.user - before.user, self.system - before.system)


class Process:
    """A command in a process group of its own, its output in a file."""

    def __init__(self, name: str, command: list[str], log: Path, env: dict[str, str] | None = None,
                 stdout: Path | None = None):
        self.name, self.command, self.log = name, command, log
        with open(log, "ab") as err, open(stdout or log, "ab") as out:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                          start_new_session=True, env={**os.environ, **(env or {})})
        _running.append(self)

    @property
    def pid(self) -> int:
        return self.child.pid

    def check(self) -> None:
        """Raises if it has ended."""
        if self.child.poll() is not None:
            raise Broken(f"{self.name} ended with status {self.child.returncode}:\n{self.last_words()}")

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def signal(self, number: int) -> None:
        """To the process itself, not to its children."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """The whole group, at once."""
        self._group(signal.SIGKILL)
        self.child.wait()
        if self in _running:
            _running.remove(self)

    def end(self) -> None:
        """Asks the group to end, and ends what is left of it after a while."""
        self._group(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(END_WITHIN)
        self.kill()

    def _group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def cpu(self) -> Cpu:
        """What it has used so far."""
        return cpu_of(self.pid)

    def memory(self) -> int:
        """Bytes of resident memory, what is shared divided among those that share it (Pss)."""
        return sum(_pss(pid) for pid in _tree(self.pid))


def cpu_of(root: int) -> Cpu:
    """Of a process and its descendants: those that live, and those that ended and were waited for."""
    user = system = 0
    for fields in _tree(root).values():
        user += int(fields[11]) + int(fields[13])
        system += int(fields[12]) + int(fields[14])
    return Cpu(user / TICKS, system / TICKS)


def _tree(root: int) -> dict[int, list[str]]:
    """What /proc says about a process and all its descendants."""
    stats = dict(_stats())
    children: dict[int, list[int]] = {}
    for pid, fields in stats.items():
        children.setdefault(int(fields[1]), []).append(pid)
    found, todo = {}, [root]
    while todo:
        pid = todo.pop()
        if pid in stats:
            found[pid] = stats[pid]
        todo += children.get(pid, [])
    return found


def _stats() -> Iterator[tuple[int, list[str]]]:
    """The fields of /proc/PID/stat from the third on; the second, a name, may hold anything."""
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                text = Path(entry.path, "stat").read_text()
                yield int(entry.name), text[text.rindex(")") + 2:].split()


def _pss(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def eventually(what: str, done: Callable[[], bool], within: float, process: Process | None = None) -> None:
    """Waits until something holds."""
    deadline = time.monotonic() + within
    while not done():
        if process:
            process.check()
        if time.monotonic() > deadline:
            words = f":\n{process.last_words()}" if process else ""
            raise Broken(f"{what} not within {within:.0f} s{words}")
        time.sleep(0.05)


@contextlib.contextmanager
def ended_with_this() -> Iterator[None]:
    """Whatever happens, nothing that was started inside is left behind."""
    def interrupted(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)
    # Ctrl-C too: a shell that starts this in the background has it ignored.
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupted) for number in signals}
    try:
        yield
    finally:
        # A second Ctrl-C must not leave half of them.
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        for process in list(_running):
            process._group(signal.SIGTERM)
        for process in list(_running):
            process.end()
        for number, handler in before.items():
            signal.signal(number, handler)
