#!/usr/bin/env python3
"""The load lab: `make bench`, `make bench SCENARIO=keepalive-64`, `make bench QUICK=1`. See README.md."""

import argparse
import datetime
import platform
import sys
import time
from pathlib import Path

from lab import machine, page, peers, places, report
from lab.measure import Pace, measure, takes
from lab.process import Broken, ended_with_this
from lab.scenario import Scenario, Unknown, load_all

QUICK_ROUNDS = 3
QUICK_SCENARIOS = ("keepalive-64", "new-connection", "answer-10k")
QUICK_PEERS = ("tidegate", "bare", "nginx", "haproxy")
RESULTS = places.BENCH / "results"  # of complete runs; committed
LOCAL = RESULTS / "local"  # of all others; not committed


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures Tidegate and its peers side by side on this machine.")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="a file in bench/scenarios; default: all")
    parser.add_argument("--list", action="store_true", help="say which scenarios and peers there are, and end")
    parser.add_argument("--quick", action="store_true", help="a few scenarios and peers, in about two minutes")
    parser.add_argument("--peers", help="some of them, separated by commas; default: all that are installed")
    parser.add_argument("--seconds", type=float, help="length of a round")
    parser.add_argument("--rounds", type=int, help="rounds for each")
    parser.add_argument("--client", choices=("wrk", "oha"), help="default: wrk in closed loops, oha in open ones")
    parser.add_argument("--no-save", action="store_true", help="write no results")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    try:
        known = load_all()
        if options.list:
            print(listing(known))
            return 0
        chosen = choose(options, known)
        who = choose_peers(options)
        places.needed("taskset")
    except (Unknown, places.Missing) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    if platform.system() != "Linux":
        print("bench: needs Linux: it pins processes and reads /proc", file=sys.stderr)
        return 2
    places.allow_files()
    try:
        with ended_with_this():
            return 0 if run(options, chosen, who) else 1
    except KeyboardInterrupt:
        print("\nbench: interrupted; everything that was started has ended", file=sys.stderr)
        return 130
    except (Broken, places.Missing) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def listing(known: dict[str, Scenario]) -> str:
    lines = [f"  {name:16}  {scenario.title}" for name, scenario in known.items()]
    found = [f"  {peer.name:16}  {peer.path() or 'missing'}" for peer in peers.PEERS]
    return "\n".join(["Scenarios", *lines, "", "Peers", *found])


def choose(options: argparse.Namespace, known: dict[str, Scenario]) -> list[Scenario]:
    names = options.scenarios or (QUICK_SCENARIOS if options.quick else list(known))
    for name in names:
        if name not in known:
            raise Unknown(f"no scenario is called `{name}`; known are {', '.join(known)}")
    return [known[name] for name in names]


def choose_peers(options: argparse.Namespace) -> list[str]:
    every = [peer.name for peer in peers.PEERS]
    wanted = options.peers.split(",") if options.peers else list(QUICK_PEERS) if options.quick else every
    for name in wanted:
        if name not in every:
            raise Unknown(f"no peer is called `{name}`; known are {', '.join(every)}")
    there = [name for name in wanted if peers.BY_NAME[name].path()]
    for name in wanted:
        if name not in there:
            print(f"bench: {name} is left out: not installed (make bench-deps)", file=sys.stderr)
    if "tidegate" in wanted and "tidegate" not in there:
        raise places.Missing(f"tidegate is not built in {places.BUILT}: bench/build.sh")
    return there


def run(options: argparse.Namespace, chosen: list[Scenario], who: list[str]) -> bool:
    """Measures, tells, writes; whether nobody stopped half-way."""
    pace = Pace(options.seconds, options.rounds or (QUICK_ROUNDS if options.quick else None), options.client)
    facts = machine.facts()
    about = {"date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "arguments": sys.argv[1:],
             "machine": facts, "warnings": machine.warnings(facts)}
    for key, value in facts.items():
        print(f"{key:20}  {value}")
    for warning in about["warnings"]:
        print(f"bench: {warning}", file=sys.stderr)
    expected = sum(takes(scenario, who, pace) for scenario in chosen)
    print(f"{len(chosen)} scenarios, {len(who)} peers: about {max(1, round(expected / 60))} minutes", flush=True)
    results: report.Results = []
    data = LOCAL / f"{about['date'][:16].replace(':', '')}.json"
    begin = time.monotonic()
    try:
        for number, scenario in enumerate(chosen):
            def tell(text: str, number: int = number, name: str = scenario.name) -> None:
                at = f"{time.monotonic() - begin:.0f} of {expected:.0f} s"
                progress(f"[{at}] {number + 1}/{len(chosen)} {name}: {text}")
            outcomes = measure(scenario, who, pace, tell)
            progress("")
            if not outcomes:
                print(f"\n{scenario.title}  [{scenario.name}]: none of those peers takes part")
                continue
            results.append((scenario, outcomes))
            print("\n" + report.table(scenario, outcomes), flush=True)
            if not options.no_save:
                LOCAL.mkdir(parents=True, exist_ok=True)
                report.write_json(data, about, results)
    finally:
        if results and not options.no_save:
            publish(data, about, results, is_complete(options) and len(results) == len(chosen))
    return all(outcome.trouble is None for _, outcomes in results for outcome in outcomes)


def is_complete(options: argparse.Namespace) -> bool:
    """Everything, at the usual pace: what is shown to others."""
    return not (options.scenarios or options.quick or options.peers or options.seconds or options.rounds
                or options.client)


def publish(data: Path, about: dict[str, object], results: report.Results, complete: bool) -> None:
    """The page with its charts. Only a complete run replaces those that are committed."""
    if complete:
        data = data.rename(RESULTS / data.name)
    page.write(data.parent, data.name, about, results)
    print(f"\nbench: charts and tables: {data.parent / 'README.md'}; every round: {data.name}")


def progress(text: str) -> None:
    """One line that is written over on a terminal; a line each in a log."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text[:110]}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
