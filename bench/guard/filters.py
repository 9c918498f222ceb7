#!/usr/bin/env python3
"""What each filter adds to a request, in instructions: the route of the guard without filters, and with one after the other.

Counted as the guard counts. What a filter needs in the request or the answer is there without the filter, too. Written to
../results/filters.md; see ../README.md.
"""

import argparse
import base64
import datetime
import os
import re
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import guard
from guard import ROOT, Case, Failed

SOURCE = ROOT / "proxy" / "src" / "filter"
TABLE = ROOT / "bench" / "results" / "filters.md"
REQUESTS = (200, 1200)  # in a short and a long run
FEW = (50, 250)  # of those that are so dear that it is as exact
COUNTS = 5  # of each, in turns; what goes by the clock only ever adds, so the lowest is the truest


def with_field(request: bytes, field: bytes) -> bytes:
    return request.replace(b"\r\n\r\n", b"\r\n" + field + b"\r\n\r\n")


def listing(size: int) -> bytes:
    """A text as APIs answer it: much of it repeats itself, not all."""
    lines = (f'{{"id":{n},"name":"item {n * 7919 % 1000:03}","price":{n * 104729 % 9973 / 100:.2f},"in_stock":{n % 3}}}\n'
             for n in range(size))
    return "".join(lines).encode()[:size]


def answer_of(body: bytes) -> bytes:
    head = guard.ANSWER.partition(b"\r\n\r\n")[0]
    return re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head) + b"\r\n\r\n" + body


# What is asked and answered, without filters.
PLAIN = Case()
ORIGIN = replace(PLAIN, request=with_field(guard.REQUEST, b"Origin: https://app.example.com"))
PASSWORD = replace(PLAIN, request=with_field(guard.REQUEST, b"Authorization: Basic " + base64.b64encode(b"anna:guard")))
LARGE = replace(PLAIN, request=guard.REQUEST.replace(b"deflate, br", b"deflate, br, zstd"), answer=answer_of(listing(4096)))
WITHOUT = {
    "the guard's": PLAIN,
    "with an `Origin`": ORIGIN,
    "with a password": PASSWORD,
    "answered with 4 KiB of text": LARGE,
}


@dataclass(frozen=True)
class Row:
    """A filter as it is written, and by what is seen that it did its work."""

    filter: str
    written: str
    case: Case = PLAIN
    remark: str = ""
    status: int = 200
    forwarded: bytes = b""
    returned: bytes = b""
    requests: tuple[int, int] = REQUESTS

    def counted(self) -> Case:
        return replace(self.case, filters=f" {self.written} ", status=self.status, forwarded=self.forwarded,
                       returned=self.returned)


TOGETHER = "five together"
ROWS = (
    Row("request_headers", '{ request_headers: { remove: X-Debug, set: { X-Client: "${client.ip}" } } }',
        forwarded=b"x-client: 127.0.0.1"),
    Row("response_headers", "{ response_headers: { remove: Server, set: { X-Frame-Options: DENY } } }",
        returned=b"x-frame-options: deny"),
    Row("strip_prefix", "{ strip_prefix: /api }", forwarded=b"get /hello?from=guard "),
    Row("rewrite", "{ rewrite: { path: /greetings } }", forwarded=b"get /greetings?from=guard "),
    Row("rewrite", "{ rewrite: { prefix: /api, to: /v2 } }", forwarded=b"get /v2/hello?from=guard "),
    Row("rewrite", '{ rewrite: { regex: "/api/(?P<what>[a-z]+)", to: "/v2/$what" } }',
        forwarded=b"get /v2/hello?from=guard "),
    Row("set_host", "{ set_host: api.internal }", forwarded=b"host: api.internal"),
    Row("redirect_https", "redirect_https", status=308, returned=b"location: https://www.example.com/api/hello?from=guard",
        remark="an answer of the proxy's instead of a server's"),
    Row("cors", '{ cors: { origins: "*" } }', ORIGIN, returned=b"access-control-allow-origin: *"),
    Row("cors", '{ cors: { origins: [ "https://*.example.org", "https://app.example.com" ], credentials: true } }', ORIGIN,
        returned=b"access-control-allow-credentials: true"),
    Row("compress", "compress", returned=b"content-length: 13", remark="13 bytes, below `min_size`"),
    Row("compress", "{ compress: { algorithms: gzip } }", LARGE, "4 KiB of text", requests=FEW, returned=b"content-encoding: gzip"),
    Row("compress", "{ compress: { algorithms: br } }", LARGE, "4 KiB of text", requests=FEW, returned=b"content-encoding: br"),
    Row("compress", "{ compress: { algorithms: zstd } }", LARGE, "4 KiB of text", requests=FEW, returned=b"content-encoding: zstd"),
    Row("rate_limit", "{ rate_limit: { rate: 100000/s } }", returned=b'ratelimit: "client"'),
    Row("rate_limit", "{ rate_limit: { rate: 100000/s, by: { cookie: session } } }", returned=b'ratelimit: "cookie"'),
    Row("body_limit", "{ body_limit: 1MiB }", remark="a request without a body"),
    Row("ip_access", "{ ip_access: { allow: [ 10.0.0.0/8, 127.0.0.0/8, 192.168.0.0/16 ], deny: [ 10.6.6.0/24, 127.6.6.0/24 ] }"
        " }"),
    Row("maintenance", "{ maintenance: { except: { cookie: { theme: dark } } } }", remark="the exception holds"),
    Row("basic_auth", '{ basic_auth: { users: { anna: "$2b$04$Zz.fYwS6gRBVuqfvCfI8vOtoqfJeBtxAgDxia32KbzmI6U6hZUbHO" },'
        " user_header: X-User } }", PASSWORD, "the password was right before", forwarded=b"x-user: anna"),
    Row("fault", "{ fault: { until: 2099-12-01, abort: 503, when: { header: { X-Fault: abort } } } }",
        remark="the condition does not hold"),
    Row("fault", "{ fault: { until: 2099-12-01, abort: 503, share: 0% } }", remark="none is chosen"),
    Row(TOGETHER, '{ rate_limit: { rate: 100000/s } }, { cors: { origins: "*" } }, { strip_prefix: /api },'
        ' { request_headers: { set: { X-Client: "${client.ip}" } } }, { response_headers: { set: { X-Frame-Options: DENY } } }',
        ORIGIN, forwarded=b"get /hello?from=guard ", returned=b"access-control-allow-origin: *"),
)

PAGE = """\
# What a filter costs

Instructions that a request takes more on a route with this filter than on the same route without one. Written by
`make bench-filters` on {date} with {compiler}; [bench/README.md](../README.md) says how it is counted.
The lowest of {counts} counts of {requests:,} requests (of {few} where an answer is compressed). The request without filters was
counted at the start and at the end: {apart:,} instructions apart. Believe no difference of 1 % of a request.

| without filters, the request is | instructions |
|---|---|
{without}

| filter | as it is written | instructions more | |
|---|---|---|---|
{filters}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("filters", nargs="*", help="only these, and nothing is written")
    options = parser.parse_args()
    program = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "tidegate"
    try:
        all_have_a_row()
        for needed in ("valgrind", str(program)):
            if shutil.which(needed) is None:
                raise Failed(f"{needed} is missing (make bench-deps installs valgrind, make bench-filters builds the proxy)")
        if strangers := set(options.filters) - {row.filter for row in ROWS}:
            raise Failed(f"{', '.join(sorted(strangers))} is no filter")
        rows = [row for row in ROWS if not options.filters or row.filter in options.filters]
        text = table(program, rows)
    except (Failed, OSError) as error:
        print(f"filters: {error}", file=sys.stderr)
        return 1
    print(text)
    if not options.filters:
        TABLE.write_text(text)
        print(f"filters: written to {TABLE.relative_to(ROOT)}", file=sys.stderr)
    return 0


def all_have_a_row() -> None:
    """Every filter of the proxy, and no other."""
    kinds, rows = set(kind_names()), {row.filter for row in ROWS} - {TOGETHER}
    if forgotten := kinds - rows:
        raise Failed(f"nothing in ROWS says how to configure {', '.join(sorted(forgotten))}")
    if strangers := rows - kinds:
        raise Failed(f"ROWS has {', '.join(sorted(strangers))}, which is no filter")


def kind_names() -> list[str]:
    """What the list of the source names, by the names that its files give."""
    listed = re.search(r"\bKINDS: .*?=\s*&\[(.*?)\];", (SOURCE / "mod.rs").read_text(), re.DOTALL)
    modules = re.findall(r"(\w+)::KIND\b", listed[1]) if listed else []
    if not modules:
        raise Failed(f"no KINDS in {SOURCE / 'mod.rs'}")
    names = []
    for module in modules:
        name = re.search(r'\bKIND: .*?\bname: "(\w+)"', (SOURCE / f"{module}.rs").read_text(), re.DOTALL)
        if name is None:
            raise Failed(f"no KIND with a name in {SOURCE / module}.rs")
        names.append(name[1])
    return names


def table(program: Path, rows: list[Row]) -> str:
    """The plain request is counted first and last: what lies between the two is not the filters'."""
    used = {row.case for row in rows} | {PLAIN}
    asked = {name: case for name, case in WITHOUT.items() if case in used}
    without = {case: per_request(program, f"without filters, {name}", case) for name, case in asked.items()}
    lines = []
    for row in rows:
        more = per_request(program, row.written, row.counted(), row.requests) - without[row.case]
        remark = f", {row.remark}" if row.remark else ""
        share = 100 * more / without[row.case]
        lines.append(f"| `{row.filter}` | `{row.written}`{remark} | {more:+,} | {share:+,.1f} % |")
    again = per_request(program, "without filters, once more", PLAIN)
    cases = (f"| {name} | {without[case]:,} |" for name, case in asked.items())
    return PAGE.format(date=datetime.date.today(), compiler=guard.compiler(), counts=COUNTS, requests=REQUESTS[1] - REQUESTS[0],
                       few=FEW[1] - FEW[0], apart=abs(again - without[PLAIN]), without="\n".join(cases), filters="\n".join(lines))


def per_request(program: Path, what: str, case: Case, requests: tuple[int, int] = REQUESTS) -> int:
    """Start and end left out."""
    print(f"filters: {what}", file=sys.stderr, flush=True)
    few, many = requests
    counts = [(guard.count(program, few, case), guard.count(program, many, case)) for _ in range(COUNTS)]
    short, long = map(min, zip(*counts))
    return round((long - short) / (many - few))


if __name__ == "__main__":
    sys.exit(main())
