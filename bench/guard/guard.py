#!/usr/bin/env python3
"""Instructions per request: what the real proxy executes for one request, counted by valgrind, where time is too noisy.

One connection asks again and again over loopback, and a server of a few lines here answers. Two runs, a short and a long
one: their difference has no start and no end of the process in it. Compared with instructions.txt; see README.md.
"""

import argparse
import dataclasses
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FIGURE = HERE / "instructions.txt"
TOLERANCE = 0.05  # of the figure
TRIES = 3  # what goes by the clock only ever adds, more so on a busy machine: the lowest count is the truest
SHORT, LONG = 500, 8500  # requests
WARM_UP_WITHIN = 60.0  # seconds; valgrind makes the start slow
ANSWER_WITHIN = 20.0
END_WITHIN = 60.0

REQUEST = (b"GET /api/hello?from=guard HTTP/1.1\r\nHost: www.example.com\r\n"
           b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\r\n"
           b"Accept: application/json\r\nAccept-Language: en-GB,en;q=0.7\r\nAccept-Encoding: gzip, deflate, br\r\n"
           b"Cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark\r\n\r\n")
ANSWER = (b"HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Sat, 21 Nov 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\n"
          b"Content-Length: 13\r\nCache-Control: no-cache\r\nVary: Accept-Encoding\r\n\r\nhello, world\n")
NOT_EXPECTED = b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"
# Without health checks: how many fall into a run is a matter of time, not of work.
ROUTING = """\
listeners: {{ web: {{ address: "127.0.0.1:{port}" }} }}
upstreams:
  api: {{ servers: [ "127.0.0.1:{first}", "127.0.0.1:{second}" ] }}
routes:
  api:  {{ match: {{ path_prefix: /api }}, filters: [{filters}], upstream: api }}
  site: {{ match: {{ path_prefix: / }}, upstream: api }}
"""


@dataclasses.dataclass(frozen=True)
class Case:
    """What is asked and answered, and what has to come of it, in lower case: nothing else is worth a figure."""

    request: bytes = REQUEST
    answer: bytes = ANSWER
    filters: str = ""  # of the route, as they are written
    status: int = 200
    forwarded: bytes = b""  # is in the head that the server gets
    returned: bytes = b""  # is in the head that the client gets


class Failed(Exception):
    """It could not be counted."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="write what was counted into instructions.txt")
    parser.add_argument("--profile", metavar="FILE", type=Path, help="write a callgrind profile instead of comparing")
    options = parser.parse_args()
    program = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "tidegate"
    try:
        for needed in ("valgrind", str(program)):
            if shutil.which(needed) is None:
                raise Failed(f"{needed} is missing (make bench-deps installs valgrind, make guard builds the proxy)")
        if options.profile:
            say(LONG)
            count(program, LONG, tool=["--tool=callgrind", f"--callgrind-out-file={options.profile}"])
            print(f"guard: callgrind_annotate {options.profile}")
            return 0
        if options.update:
            write(min(per_request(program) for _ in range(TRIES)))
            return 0
        return compare(program)
    except (Failed, OSError) as error:
        print(f"guard: {error}", file=sys.stderr)
        return 2


def per_request(program: Path) -> int:
    """Instructions, start and end left out."""
    counted = []
    for requests in (SHORT, LONG):
        say(requests)
        counted.append(count(program, requests))
    short, long = counted
    return round((long - short) / (LONG - SHORT))


def say(requests: int) -> None:
    print(f"guard: {requests:,} requests under valgrind", file=sys.stderr, flush=True)


def count(program: Path, requests: int, case: Case = Case(), tool: list[str] | None = None) -> int:
    """Instructions that the proxy executes from its start to its end."""
    with tempfile.TemporaryDirectory(prefix="tidegate-guard-") as directory:
        servers = [serve(case), serve(case)]
        port = free_port()
        routing = Path(directory, "tidegate.yaml")
        first, second = (server.getsockname()[1] for server in servers)
        routing.write_text(ROUTING.format(port=port, first=first, second=second, filters=case.filters))
        said = Path(directory, "valgrind")
        counter = tool or ["--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={directory}/out"]
        command = ["valgrind", *counter, f"--log-file={said}",
                   str(program), "run", "-c", str(routing), "--threads", "1", "--access-log", "off"]
        log = Path(directory, "log")
        with log.open("wb") as output:
            proxy = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                     start_new_session=True)
        try:
            ask(connected(port, proxy, log), requests, case)
            proxy.terminate()
            proxy.wait(END_WITHIN)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failed(f"{error}\n{log.read_text()[-2000:]}") from None
        finally:
            if proxy.poll() is None:
                os.killpg(proxy.pid, 9)
                proxy.wait()
            for server in servers:
                server.close()
        if tool:
            return 0
        counted = re.search(r"I\s+refs:\s+([\d,]+)", said.read_text())
        if counted is None:
            raise Failed(f"valgrind told no count:\n{said.read_text()[-2000:]}")
        return int(counted[1].replace(",", ""))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def serve(case: Case) -> socket.socket:
    """A server that gives the same answer to every request, until its socket is closed."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection, case), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener


def answer(connection: socket.socket, case: Case) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    got = b""
    try:
        while piece := connection.recv(65536):
            got += piece
            while (end := got.find(b"\r\n\r\n")) >= 0:
                as_expected = case.forwarded in got[:end].lower()
                got = got[end + 4:]
                connection.sendall(case.answer if as_expected else NOT_EXPECTED)
    except OSError:
        pass


def connected(port: int, proxy: subprocess.Popen, log: Path) -> socket.socket:
    deadline = time.monotonic() + WARM_UP_WITHIN
    while proxy.poll() is None and time.monotonic() < deadline:
        try:
            connection = socket.create_connection(("127.0.0.1", port), ANSWER_WITHIN)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise Failed(f"the proxy does not listen:\n{log.read_text()[-2000:]}")


def ask(connection: socket.socket, requests: int, case: Case) -> None:
    """One after the other, so that the same work is done in the same order each time."""
    for number in range(requests):
        connection.sendall(case.request)
        got = b""
        while not is_whole(got):
            piece = connection.recv(65536)
            if not piece:
                raise Failed(f"the proxy hung up after {number} requests")
            got += piece
        head = got.partition(b"\r\n\r\n")[0]
        if not head.startswith(b"HTTP/1.1 %d" % case.status) or case.returned not in head.lower():
            raise Failed(f"request {number} was answered with {head.decode(errors='replace')}")
    connection.close()


def is_whole(answer: bytes) -> bool:
    """Whether nothing of it is missing, if nothing follows it."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(end) and (len(body) == int(length[1]) if length else body.endswith(b"0\r\n\r\n"))


def compare(program: Path) -> int:
    """Counts again before it says that a request has become dearer."""
    text = FIGURE.read_text()
    figure = next((int(line.replace(",", "")) for line in text.splitlines() if line and not line.startswith("#")), None)
    if not figure:
        raise Failed(f"{FIGURE} has no figure: make guard UPDATE=1")
    for _ in range(TRIES):
        found = per_request(program)
        change = found / figure - 1
        print(f"guard: {found:,} instructions per request, {change:+.1%} from {figure:,}", flush=True)
        if change <= TOLERANCE:
            if change < -TOLERANCE:
                print("guard: better than the figure. Keep it: make guard UPDATE=1")
            return 0
    print(f"guard: FAILED: a request has become dearer by more than {TOLERANCE:.0%}.\n"
          "guard: where it goes: bench/guard/guard.py --profile FILE; callgrind_annotate FILE\n"
          "guard: if it is worth it: make guard UPDATE=1, and say why in the same commit")
    if compiler() not in text:
        print(f"guard: the figure was counted with another compiler than {compiler()}: see {FIGURE.name}")
    return 1


def compiler() -> str:
    try:
        return subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.strip()
    except OSError:
        return "an unknown rustc"


def write(found: int) -> None:
    """The figure, and the compiler that it holds for."""
    FIGURE.write_text("# Instructions per request (bench/guard/guard.py). Changed with `make guard UPDATE=1`, in the commit that\n"
                      f"# changes what a request costs. Counted with {compiler()}.\n{found:,}\n")
    print(f"guard: {FIGURE.name} now says {found:,} instructions per request")


if __name__ == "__main__":
    sys.exit(main())
