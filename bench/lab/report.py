"""The outcome as a table for people and as JSON for programs."""

import json
import statistics
from collections import Counter
from pathlib import Path

from .measure import Outcome
from .scenario import Scenario

# What the ratios are of, by what a scenario compares.
METRICS = {"cpu": ("cpu", "CPU per request"), "memory": ("per_connection", "memory per connection"),
           "p99": ("p99", "p99")}
CLIENT_BOUND = 0.9  # of its processor: below it, the client and not the proxy sets the rate
BEHIND = 0.98  # of the rate that was asked for
DISTURBED = 0.1  # of a processor
Results = list[tuple[Scenario, list[Outcome]]]
Ratios = dict[str, dict[str, float]]
EVENTS = {"reload": "new files in force within a second", "kill": "times a server killed and started again"}


def table(scenario: Scenario, outcomes: list[Outcome]) -> str:
    """One line each; the ratios tell how many times the others' cost the first one's is."""
    heads, rows = (_idle_rows if scenario.idle else _load_rows)(scenario, outcomes)
    lines = [f"{scenario.title}  [{scenario.name}]", *([scenario.about] if scenario.about else []), ""]
    lines += _columns(heads, rows)
    lines += _remarks(scenario, outcomes)
    return "\n".join(lines)


def ratio(outcome: Outcome, other: Outcome, scenario: Scenario) -> float | None:
    """How many times the other's cost: the median over the rounds, each compared with the other's of the same time."""
    metric = METRICS[scenario.compare][0]
    found = [mine / theirs for mine, theirs in zip(outcome.values(metric), other.values(metric)) if theirs]
    return statistics.median(found) if found else None


def ratios(results: Results, base: str) -> Ratios:
    """By peer and scenario: how many times one peer's cost everybody's is."""
    found: Ratios = {}
    for scenario, outcomes in results:
        other = next((outcome for outcome in outcomes if outcome.peer == base), None)
        for outcome in outcomes:
            if other and (value := ratio(outcome, other, scenario)):
                found.setdefault(outcome.label, {})[scenario.name] = value
    return found


def _load_rows(scenario: Scenario, outcomes: list[Outcome]) -> tuple[list[str], list[list[str]]]:
    heads = ["", "requests/s", "p50 ms", "p99", "p99.9", "CPU µs/request", "(min-max)", "user", "system", "busy",
             "MiB", "failed", *_ratio_heads(outcomes)]
    rows = []
    for outcome in outcomes:
        if not outcome.rounds:
            rows.append([outcome.label, "no result"])
            continue
        middle = outcome.middle
        cpu = outcome.values("cpu")
        rows.append([outcome.label, f"{middle('rate'):,.0f}", f"{middle('p50'):.2f}", f"{middle('p99'):.2f}",
                     f"{middle('p999'):.2f}", f"{middle('cpu'):.1f}", f"({min(cpu):.1f}-{max(cpu):.1f})",
                     f"{middle('cpu_user'):.1f}", f"{middle('cpu_system'):.1f}", f"{middle('busy'):.0%}",
                     f"{middle('memory'):.0f}", f"{outcome.failed():,}", *_ratios(outcome, outcomes, scenario)])
    return heads, rows


def _idle_rows(scenario: Scenario, outcomes: list[Outcome]) -> tuple[list[str], list[list[str]]]:
    heads = ["", "connections", "failed", "MiB", "KiB/connection", *_ratio_heads(outcomes)]
    rows = [[outcome.label, f"{outcome.rounds[0].requests:,}", f"{outcome.failed():,}",
             f"{outcome.middle('memory'):.0f}", f"{outcome.middle('per_connection'):.1f}",
             *_ratios(outcome, outcomes, scenario)] if outcome.rounds else [outcome.label, "no result"]
            for outcome in outcomes]
    return heads, rows


def _is_one_each(outcomes: list[Outcome]) -> bool:
    """Peers are compared with each other, and not with other forms of themselves."""
    return len({outcome.peer for outcome in outcomes}) == len(outcomes)


def _ratio_heads(outcomes: list[Outcome]) -> list[str]:
    return [f"/ {base.label}" for base in _bases(outcomes[0], outcomes)] if _is_one_each(outcomes) else ["/ its first"]


def _bases(outcome: Outcome, outcomes: list[Outcome]) -> list[Outcome]:
    """Against whom its ratios are told: nginx and the yardstick, or its own first form."""
    if _is_one_each(outcomes):
        return [one for one in outcomes if one.peer in ("nginx", "bare")]
    return [next(one for one in outcomes if one.peer == outcome.peer)]


def _ratios(outcome: Outcome, outcomes: list[Outcome], scenario: Scenario) -> list[str]:
    found = [ratio(outcome, base, scenario) for base in _bases(outcome, outcomes)]
    return ["-" if value is None else f"{value:.2f}" for value in found]


def _columns(heads: list[str], rows: list[list[str]]) -> list[str]:
    padded = [row + [""] * (len(heads) - len(row)) for row in rows]
    widths = [max(len(row[column]) for row in [heads, *padded]) for column in range(len(heads))]
    return ["  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                      for column, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in [heads, *padded]]


def _remarks(scenario: Scenario, outcomes: list[Outcome]) -> list[str]:
    rounds = max(len(one.rounds) for one in outcomes)
    words = f"Medians of {rounds} rounds" if rounds > 1 else "One round" if rounds else "No round"
    lines = ["", f"{words}; ratios are of {METRICS[scenario.compare][1]}."]
    first = outcomes[0]
    if _is_one_each(outcomes):
        told = [f"{value:.2f} × {one.label}" for one in outcomes[1:] if (value := ratio(first, one, scenario))]
        if told:
            lines.append(f"{first.label}: {', '.join(told)}")
    measured = [one for one in outcomes if one.rounds and not scenario.idle]
    if slow := [one.label for one in measured if not scenario.rate and one.middle("busy") < CLIENT_BOUND]:
        lines.append(f"Not at their limit (the client was): {', '.join(slow)}. Compare CPU, not requests/s.")
    if late := [one.label for one in measured if scenario.rate and one.middle("rate") < scenario.rate * BEHIND]:
        lines.append(f"Behind the {scenario.rate:,} requests/s that were due: {', '.join(late)}.")
    taken = max((one.middle("disturbed") for one in measured), default=0)
    if taken > DISTURBED:
        lines.append(f"Others took up to {taken:.0%} of a processor meanwhile (median of a peer's rounds): repeat.")
    for outcome in outcomes:
        lines += _own_remarks(scenario, outcome)
    return lines


def _own_remarks(scenario: Scenario, outcome: Outcome) -> list[str]:
    lines = []
    kinds: Counter[str] = Counter()
    for turn in outcome.rounds:
        kinds.update(turn.failures)
    if kinds:
        lines.append(f"{outcome.label} failed: " + ", ".join(f"{count:,} × {kind}" for kind, count in kinds.items()))
    if scenario.event and outcome.rounds:
        lines.append(f"{outcome.label}: {sum(turn.events for turn in outcome.rounds)} {EVENTS[scenario.event]}")
    if outcome.trouble:
        lines.append(f"{outcome.label} stopped: {outcome.trouble}")
    return lines


def write_json(path: Path, about: dict[str, object], results: Results) -> None:
    """Everything that was measured, with where and how; a line for each contender."""
    lines = ["  " + json.dumps(_rounded({"scenario": scenario.name, **outcome.to_json()}), ensure_ascii=False)
             for scenario, outcomes in results for outcome in outcomes]
    head = json.dumps({**about, "results": []}, indent=1, ensure_ascii=False).removesuffix("]\n}")
    path.write_text(head + "\n" + ",\n".join(lines) + "\n ]\n}\n")


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value
