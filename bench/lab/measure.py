"""A scenario, measured: everybody is started, then takes turns, round after round."""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import events, idle, load, machine, peers, places
from .backend import Backend
from .process import Process, eventually
from .scenario import Contender, Scenario

SECONDS, ROUNDS = 2.0, 5
WARM_UP, WARM_UP_FIRST = 0.3, 1.0  # seconds
RECOVERS_WITHIN = 30.0  # seconds, after a server was killed in somebody's turn
IDLE_SETTLES = 3.0  # seconds in which what was needed only to connect may be given back
# For the forecast, as measured: seconds that a start, a turn and ten thousand connections take beside their load.
START_TAKES, TURN_TAKES, IDLE_TAKES = 0.3, 0.1, 5.5


@dataclass(frozen=True)
class Pace:
    """How long and how often."""

    seconds: float | None = None
    rounds: int | None = None
    client: str | None = None

    def of(self, scenario: Scenario) -> "Pace":
        """What the command line says, or else the scenario, or else what is usual."""
        return Pace(self.seconds or scenario.seconds or SECONDS, self.rounds or scenario.rounds or ROUNDS, self.client)


@dataclass(frozen=True)
class Round:
    """One turn. Times per request in microseconds, latencies in milliseconds, memory in MiB."""

    requests: int
    failed: int
    memory: float
    failures: dict[str, int] = field(default_factory=dict)
    events: int = 0
    rate: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    p999: float = 0.0
    slowest: float = 0.0
    cpu: float = 0.0
    cpu_user: float = 0.0
    cpu_system: float = 0.0
    busy: float = 0.0  # share of its processor that it used
    disturbed: float = 0.0  # share of a processor that programs beside the lab, or other virtual machines, took
    per_connection: float = 0.0  # KiB


@dataclass
class Outcome:
    """All turns of one contender."""

    label: str
    peer: str
    version: str = "?"
    commands: dict[str, list[str]] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    trouble: str | None = None

    @contextlib.contextmanager
    def troubles(self) -> Iterator[None]:
        """What goes wrong with one is an outcome too, and does not spoil the others'."""
        try:
            yield
        except Exception as error:
            self.trouble = f"{type(error).__name__}: {error}"

    def values(self, metric: str) -> list[float]:
        return [getattr(turn, metric) for turn in self.rounds]

    def middle(self, metric: str) -> float:
        """The median; 0 if there is no round."""
        return statistics.median(self.values(metric) or [0.0])

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


def takes(scenario: Scenario, wanted: list[str], pace: Pace) -> float:
    """About how many seconds."""
    pace = pace.of(scenario)
    contenders = len(scenario.contenders(wanted))
    if scenario.idle:
        return contenders * (START_TAKES + IDLE_TAKES)
    return contenders * (START_TAKES + WARM_UP_FIRST + pace.rounds * (WARM_UP + pace.seconds + TURN_TAKES))


def measure(scenario: Scenario, wanted: list[str], pace: Pace, tell: Callable[[str], None]) -> list[Outcome]:
    """All contenders, interleaved."""
    pace = pace.of(scenario)
    outcomes = []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-lab-")))
        directory.chmod(0o755)
        backend = Backend(directory / "backend", scenario.ten)
        stack.callback(backend.end)
        running = []
        for number, contender in enumerate(scenario.contenders(wanted)):
            tell(f"starting {contender.label}")
            outcomes.append(Outcome(contender.label, contender.peer))
            with outcomes[-1].troubles():
                if scenario.idle:
                    _alone(scenario, contender, directory, outcomes[-1], tell)
                else:
                    running.append(_start(scenario, contender, directory, number, outcomes[-1], stack))
        for number in range(pace.rounds):
            # Everybody comes after everybody: nobody always follows the same one.
            first = number % max(1, len(running))
            for one in running[first:] + running[:first]:
                if one.outcome.trouble is None:
                    tell(f"round {number + 1} of {pace.rounds}: {one.contender.label}")
                    with one.outcome.troubles():
                        _turn(scenario, one, pace, backend, directory)
    return outcomes


def _start(scenario: Scenario, contender: Contender, directory: Path, number: int, outcome: Outcome,
           stack: ExitStack) -> _Running:
    peer = peers.BY_NAME[contender.peer]
    port = places.FIRST_PEER_PORT + number
    setup = peers.Setup(directory / f"{port}-{contender.peer}", port, contender.access_log, bool(scenario.streams),
                        contender.policy)
    setup.directory.mkdir()
    outcome.version = peer.version_text()
    peer.configure(setup, contender.routes)
    process = peer.start(setup)
    stack.callback(process.end)
    outcome.commands["proxy"] = process.command
    return _Running(contender, peer, setup, process, outcome)


def _turn(scenario: Scenario, one: _Running, pace: Pace, backend: Backend, directory: Path) -> None:
    eventually("both servers have their turn again", lambda: peers.does_the_work(one.setup), RECOVERS_WITHIN,
               one.process)
    work, port = scenario.work(one.contender), one.setup.port
    load.run(work, port, WARM_UP if one.outcome.rounds else WARM_UP_FIRST, directory, pace.client)
    with _event(scenario, one, pace, backend) as event:
        others = machine.Others()
        before = one.process.cpu()
        result = load.run(work, port, pace.seconds, directory, pace.client)
        # Before the event ends: its last step may be under way.
        used, memory, disturbed = one.process.cpu() - before, one.process.memory(), others.share()
    one.process.check()
    one.outcome.commands["client"] = result.command
    each = 1e6 / max(1, result.requests)
    one.outcome.rounds.append(Round(
        requests=result.requests, failed=sum(result.failures.values()), failures=result.failures, events=event.times,
        rate=result.requests / result.seconds, p50=result.p50, p99=result.p99, p999=result.p999, slowest=result.slowest,
        cpu=(used.user + used.system) * each, cpu_user=used.user * each, cpu_system=used.system * each,
        busy=(used.user + used.system) / result.seconds, disturbed=disturbed, memory=memory / 2**20))


def _event(scenario: Scenario, one: _Running, pace: Pace, backend: Backend) -> events.Event:
    if scenario.event == "reload":
        return events.reloads(one.peer, one.process, one.setup)
    if scenario.event == "kill":
        return events.kill(backend, pace.seconds)
    return events.nothing()


def _alone(scenario: Scenario, contender: Contender, directory: Path, outcome: Outcome,
           tell: Callable[[str], None]) -> None:
    """Idle connections to one at a time: they cost the machine more than the proxy."""
    with ExitStack() as stack:
        one = _start(scenario, contender, directory, 0, outcome, stack)
        with idle.held(one.setup.port, 100):
            pass  # so that what the first connections bring is not counted
        before = one.process.memory()
        tell(f"{contender.label}: opening {scenario.connections:,} connections")
        with idle.held(one.setup.port, scenario.connections) as (standing, failed):
            time.sleep(IDLE_SETTLES)
            after = one.process.memory()
        outcome.rounds.append(Round(
            requests=standing, failed=failed, failures={"connection": failed} if failed else {}, memory=after / 2**20,
            per_connection=(after - before) / 1024 / max(1, standing)))
