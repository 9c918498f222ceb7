"""A scenario, measured: everybody is started, then takes turns, round after round."""

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import events, idle, load, peers, places
from .backend import Backend
from .process import Process
from .scenario import Contender, Scenario

SECONDS, ROUNDS = 4.0, 5
WARM_UP_FIRST = 2.0  # seconds
IDLE_SETTLES = 3.0  # seconds in which what was needed only to connect may be given back


@dataclass(frozen=True)
class Pace:
    """How long and how often."""

    seconds: float | None = None
    rounds: int | None = None
    warm_up: float = 1.0
    client: str | None = None

    def of(self, scenario: Scenario) -> "Pace":
        """What the command line says, or else the scenario, or else what is usual."""
        return Pace(self.seconds or scenario.seconds or SECONDS, self.rounds or scenario.rounds or ROUNDS,
                    self.warm_up, self.client)


@dataclass(frozen=True)
class Round:
    """One turn. Times per request in microseconds, latencies in milliseconds, memory in MiB."""

    rate: float
    p50: float
    p99: float
    p999: float
    slowest: float
    cpu: float
    cpu_user: float
    cpu_system: float
    busy: float  # share of its processor that it used
    memory: float
    requests: int
    failed: int
    failures: dict[str, int] = field(default_factory=dict)
    events: int = 0
    per_connection: float = 0.0  # KiB


@dataclass
class Outcome:
    """All turns of one contender."""

    label: str
    peer: str
    version: str
    commands: dict[str, list[str]]
    rounds: list[Round] = field(default_factory=list)
    trouble: str | None = None

    def middle(self, metric: str) -> float | None:
        """The median."""
        values = self.values(metric)
        return statistics.median(values) if values else None

    def values(self, metric: str) -> list[float]:
        return [getattr(turn, metric) for turn in self.rounds]

    def failed(self) -> int:
        return sum(turn.failed for turn in self.rounds)

    def to_json(self) -> dict[str, object]:
        metrics = ("rate", "p50", "p99", "p999", "cpu", "cpu_user", "cpu_system", "busy", "memory", "per_connection")
        summary = {metric: {"median": self.middle(metric), "min": min(self.values(metric)),
                            "max": max(self.values(metric))} for metric in metrics} if self.rounds else {}
        return {**asdict(self), "failed": self.failed(), "summary": summary}


@dataclass
class _Running:
    contender: Contender
    peer: peers.Peer
    setup: peers.Setup
    process: Process
    outcome: Outcome


def measure(scenario: Scenario, wanted: list[str], pace: Pace, tell: Callable[[str], None]) -> list[Outcome]:
    """All contenders, interleaved."""
    pace = pace.of(scenario)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-lab-")))
        directory.chmod(0o755)
        backend = Backend(directory / "backend")
        stack.callback(lambda: (backend.first.end(), backend.second.end()))
        if scenario.idle:
            return [_alone(scenario, contender, directory, tell) for contender in scenario.contenders(wanted)]
        running = []
        for number, contender in enumerate(scenario.contenders(wanted)):
            tell(f"starting {contender.label}")
            running.append(_start(contender, directory, places.FIRST_PEER_PORT + number, stack))
        for number in range(pace.rounds):
            for one in running:
                if one.outcome.trouble is None:
                    tell(f"round {number + 1} of {pace.rounds}: {one.contender.label}")
                    _turn(scenario, one, pace, number, backend, directory)
        return [one.outcome for one in running]


def _start(contender: Contender, directory: Path, port: int, stack: ExitStack) -> _Running:
    peer = peers.BY_NAME[contender.peer]
    own = directory / f"{port}-{peer.name}"
    own.mkdir()
    setup = peers.Setup(own, port, contender.access_log)
    peer.configure(setup, contender.routes)
    process = peer.start(setup)
    stack.callback(process.end)
    return _Running(contender, peer, setup, process,
                    Outcome(contender.label, peer.name, peer.version_text(), {"proxy": process.command}))


def _turn(scenario: Scenario, one: _Running, pace: Pace, number: int, backend: Backend, directory: Path) -> None:
    """What goes wrong is an outcome too, and does not spoil the others'."""
    try:
        load.run(scenario.work(one.contender), one.setup.port, WARM_UP_FIRST if number == 0 else pace.warm_up,
                 directory, pace.client)
        one.outcome.rounds.append(_round(scenario, one, pace, backend, directory))
        one.process.check()
    except Exception as error:
        one.outcome.trouble = f"{type(error).__name__}: {error}"


def _round(scenario: Scenario, one: _Running, pace: Pace, backend: Backend, directory: Path) -> Round:
    before, begin = one.process.cpu(), time.monotonic()
    with _event(scenario, one, pace, backend) as event:
        result = load.run(scenario.work(one.contender), one.setup.port, pace.seconds, directory, pace.client)
        # Before the event ends: its last step may be under way.
        used, elapsed = one.process.cpu() - before, time.monotonic() - begin
        memory = one.process.memory()
    one.outcome.commands["client"] = result.command
    if scenario.event:
        events.settle()
    each = 1e6 / max(1, result.requests)
    return Round(
        rate=result.requests / result.seconds, p50=result.p50, p99=result.p99, p999=result.p999,
        slowest=result.slowest, cpu=(used.user + used.system) * each, cpu_user=used.user * each,
        cpu_system=used.system * each, busy=(used.user + used.system) / elapsed, memory=memory / 2**20,
        requests=result.requests, failed=sum(result.failures.values()), failures=result.failures, events=event.times)


def _event(scenario: Scenario, one: _Running, pace: Pace, backend: Backend) -> events.Event:
    if scenario.event == "reload":
        return events.reloads(one.peer, one.process, one.setup)
    if scenario.event == "kill":
        return events.kill(backend, pace.seconds)
    return events.nothing()


def _alone(scenario: Scenario, contender: Contender, directory: Path, tell: Callable[[str], None]) -> Outcome:
    """Idle connections to one at a time: they cost the machine more than the proxy."""
    with ExitStack() as stack:
        tell(f"starting {contender.label}")
        one = _start(contender, directory, places.FIRST_PEER_PORT, stack)
        try:
            with idle.held(one.setup.port, 100):
                pass  # so that what the first connections bring is not counted
            before = one.process.memory()
            tell(f"{contender.label}: opening {scenario.connections:,} connections")
            with idle.held(one.setup.port, scenario.connections) as (standing, failed):
                time.sleep(IDLE_SETTLES)
                after = one.process.memory()
            one.outcome.rounds.append(Round(
                0, 0, 0, 0, 0, 0, 0, 0, 0, after / 2**20, standing, failed, {"connection": failed} if failed else {},
                per_connection=(after - before) / 1024 / max(1, standing)))
        except Exception as error:
            one.outcome.trouble = f"{type(error).__name__}: {error}"
        return one.outcome
