"""Clients: wrk asks as fast as it is answered (closed loop), oha at a fixed rate (open loop). One request, one word."""

import contextlib
import json
import math
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import places
from .process import Broken, Process

TIMEOUT = 5  # seconds for one answer, after which it is a failure
GRACE = 20.0  # seconds beyond its time after which a client is ended


@dataclass(frozen=True)
class Work:
    """What is asked."""

    connections: int
    paths: tuple[str, ...]
    method: str = "GET"
    body: int = 0  # bytes
    headers: tuple[str, ...] = ()
    new_connections: bool = False
    rate: int | None = None  # requests/s; none: as fast as they are answered
    streams: int = 0  # of HTTP/2; 0: HTTP/1.1


@dataclass(frozen=True)
class Load:
    """What came of it. Latencies in milliseconds."""

    requests: int  # answered as expected
    seconds: float  # as the client measured them
    p50: float
    p99: float
    p999: float
    slowest: float
    failures: dict[str, int]
    command: list[str]


def client(work: Work, wanted: str | None = None) -> str:
    """Which one: the cheaper where it can do the work, since it shares a processor with the servers."""
    if wanted:
        return wanted
    return "oha" if work.rate or work.streams or places.program("wrk") is None else "wrk"


def run(work: Work, port: int, seconds: float, directory: Path, wanted: str | None = None) -> Load:
    """Asks for a while."""
    return (_oha if client(work, wanted) == "oha" else _wrk)(work, port, seconds, directory)


def _run(name: str, command: list[str], seconds: float, directory: Path, interrupt: bool = False) -> str:
    """What it printed. It ends by itself, or is told to."""
    out, log = directory / f"{name}.out", directory / f"{name}.log"
    out.unlink(missing_ok=True)
    log.unlink(missing_ok=True)
    process = Process(name, command, log, stdout=out)
    try:
        if interrupt:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.child.wait(seconds)
            process.signal(signal.SIGINT)
        process.child.wait(seconds + GRACE)
    except subprocess.TimeoutExpired:
        raise Broken(f"{name} did not end in time") from None
    finally:
        process.kill()
    if process.child.returncode != 0:
        raise Broken(f"{name} ended with status {process.child.returncode}: {process.last_words()}")
    return out.read_text()


def _headers(work: Work) -> list[str]:
    return [word for header in work.headers for word in ("-H", header)]


def _wrk(work: Work, port: int, seconds: float, directory: Path) -> Load:
    # It knows whole seconds only, and tells what it has when it is interrupted.
    whole = math.ceil(seconds)
    command = [places.needed("wrk"), "-t1", f"-c{work.connections}", f"-d{whole}s",
               "--timeout", f"{TIMEOUT}s", "-s", str(places.BENCH / "lab" / "wrk.lua"), *_headers(work)]
    if work.new_connections:
        command += ["-H", "Connection: close"]
    command += [f"http://{places.HOST}:{port}{work.paths[0]}", "--", work.method, str(work.body)]
    if len(work.paths) > 1:
        command.append(_lines(directory / "paths", work.paths))
    command = _pinned(command)
    said = _run("wrk", command, seconds, directory, interrupt=seconds < whole)
    line = next((line for line in said.splitlines() if line.startswith("LAB ")), None)
    if line is None:
        raise Broken(f"wrk said nothing that can be read: {said[-500:]}")
    told = json.loads(line[4:])
    # It counts an answer with a status of 400 or above as a request and as an error.
    failures = {kind: told[kind] for kind in ("connect", "read", "write", "timeout", "status") if told[kind]}
    return Load(told["requests"] - told["status"], told["seconds"], told["p50"], told["p99"], told["p999"],
                told["max"], failures, command)


def _oha(work: Work, port: int, seconds: float, directory: Path) -> Load:
    command = [places.needed("oha"), "--no-tui", "--output-format", "json", "-z", f"{round(seconds * 1e3)}ms",
               "-c", str(work.connections), "-t", f"{TIMEOUT}s", "-m", work.method, "--worker-threads", "1",
               "--redirect", "0", "--disable-compression", *_headers(work)]
    if work.new_connections:
        command.append("--disable-keepalive")
    if work.streams:
        command += ["--http2", "-p", str(work.streams)]
    if work.rate:
        command += ["-q", str(work.rate), "--latency-correction"]
    if work.body:
        body = directory / "body"
        body.write_bytes(b"tidegate" * (work.body // 8))
        command += ["-D", str(body)]
    urls = [f"http://{places.HOST}:{port}{path}" for path in work.paths]
    if len(urls) > 1:
        command += ["--urls-from-file", _lines(directory / "urls", urls)]
    else:
        command.append(urls[0])
    command = _pinned(command)
    told = json.loads(_run("oha", command, seconds, directory))
    statuses = {int(status): count for status, count in told["statusCodeDistribution"].items()}
    failures = {f"status {status}": count for status, count in statuses.items() if status != 200}
    # What was under way when the time was over is no failure of anybody's.
    failures |= {kind: count for kind, count in told["errorDistribution"].items() if "deadline" not in kind}
    latency = told["latencyPercentiles"]
    good = statuses.get(200, 0)
    ms = {key: (latency[key] or 0) * 1e3 for key in ("p50", "p99", "p99.9")}
    return Load(good, told["summary"]["total"], ms["p50"], ms["p99"], ms["p99.9"],
                (told["summary"]["slowest"] or 0) * 1e3, failures, command)


def _lines(path: Path, lines: Iterable[str]) -> str:
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def _pinned(command: list[str]) -> list[str]:
    return places.pinned(",".join(map(str, places.load_cpus())), command)
