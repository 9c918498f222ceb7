"""The outcome as a table for people and as JSON for programs."""

import json
from pathlib import Path

from .measure import Outcome
from .scenario import Scenario

# What the ratios are of, by what a scenario compares.
METRICS = {"cpu": ("cpu", "CPU per request"), "memory": ("per_connection", "memory per connection"),
           "p99": ("p99", "p99")}
CLIENT_BOUND = 0.9  # of its processor: below it, the client and not the proxy sets the rate


def table(scenario: Scenario, outcomes: list[Outcome]) -> str:
    """One line each; the ratios tell how many times the others' cost the first one's is."""
    heads, rows = (_idle_rows if scenario.idle else _load_rows)(scenario, outcomes)
    lines = [f"{scenario.title}  [{scenario.name}]", *([scenario.about] if scenario.about else []), ""]
    lines += _columns(heads, rows)
    lines += _remarks(scenario, outcomes)
    return "\n".join(lines)


def ratio(outcome: Outcome, other: Outcome, scenario: Scenario) -> float | None:
    """How many times the other's cost."""
    metric = METRICS[scenario.compare][0]
    mine, theirs = outcome.middle(metric), other.middle(metric)
    return mine / theirs if mine and theirs else None


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
    name = METRICS[scenario.compare][1]
    lines = ["", f"Medians of {max((len(one.rounds) for one in outcomes), default=0)} rounds; ratios are of {name}."]
    first = outcomes[0] if outcomes else None
    if first and _is_one_each(outcomes):
        told = [f"{value:.2f} × {one.label}" for one in outcomes[1:] if (value := ratio(first, one, scenario))]
        if told:
            lines.append(f"{first.label}: {', '.join(told)}")
    slow = [one.label for one in outcomes if one.rounds and (one.middle("busy") or 0) < CLIENT_BOUND]
    if slow and not scenario.idle and not scenario.rate:
        lines.append(f"Not at their limit (the client was): {', '.join(slow)}. Compare their CPU, not their requests/s.")
    for outcome in outcomes:
        kinds: dict[str, int] = {}
        for turn in outcome.rounds:
            for kind, count in turn.failures.items():
                kinds[kind] = kinds.get(kind, 0) + count
        if kinds:
            lines.append(f"{outcome.label} failed: " + ", ".join(f"{count:,} × {kind}" for kind, count in kinds.items()))
        if scenario.event and outcome.rounds:
            lines.append(f"{outcome.label}: {scenario.event} happened {sum(turn.events for turn in outcome.rounds)} times")
        if outcome.trouble:
            lines.append(f"{outcome.label} stopped: {outcome.trouble}")
    return lines


def write_json(path: Path, about: dict[str, object], results: list[tuple[Scenario, list[Outcome]]]) -> None:
    """Everything that was measured, with where and how."""
    scenarios = [{"name": scenario.name, "title": scenario.title, "about": scenario.about, "compare": scenario.compare,
                  "contenders": [outcome.to_json() for outcome in outcomes]} for scenario, outcomes in results]
    path.write_text(json.dumps({**about, "scenarios": scenarios}, indent=1, ensure_ascii=False) + "\n")
