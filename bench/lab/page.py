"""The page of a complete run, results/README.md: where, what stands out, then each scenario's chart and table."""

from pathlib import Path

from . import charts, report
from .report import Results

SUMMARY = "summary.svg"
TITLE = "CPU per request over keep-alive connections"


def write(directory: Path, data: str, about: dict[str, object], results: Results) -> None:
    """The page and its charts."""
    facts = about["machine"]
    lines = ["# Results of the load lab", "",
             f"Written by `make bench`: one run, all of whose rounds are in [{data}]({data}). "
             "[bench/README.md](../README.md) says what was measured, and what not to conclude.", "",
             f"{about['date']}, commit {facts['commit']}, {facts['processors']} processors ({facts['processor']}), "
             f"Linux {facts['kernel']}, {facts['system']}.", ""]
    lines += [f"- {warning}" for warning in about["warnings"]] + [""] * bool(about["warnings"])
    lines += _versions(results)
    lines += _summary(results, directory)
    for scenario, outcomes in results:
        lines += [f"## {scenario.name}", ""]
        if charts.is_available():
            charts.draw(scenario, outcomes, directory / f"{scenario.name}.svg")
            lines += [f"![{scenario.title}]({scenario.name}.svg)", ""]
        lines += ["```text", report.table(scenario, outcomes), "```", ""]
    (directory / "README.md").write_text("\n".join(lines).rstrip() + "\n")


def _versions(results: Results) -> list[str]:
    said = {outcome.peer: outcome.version for _, outcomes in results for outcome in outcomes}
    return [", ".join(f"{peer} {version}" for peer, version in said.items()) + ".", ""]


def _summary(results: Results, directory: Path) -> list[str]:
    """The keep-alive scenarios side by side, as multiples of nginx's cost."""
    kept = sorted((one for one in results if one[0].name.startswith("keepalive-")), key=lambda one: one[0].connections)
    ratios = report.ratios(kept, "nginx")
    if not ratios:
        return []
    lines = ["## Summary", ""]
    if charts.is_available():
        charts.draw_summary(TITLE, ratios, directory / SUMMARY)
        lines += [f"![{TITLE}]({SUMMARY})", ""]
    columns = [scenario.name for scenario, _ in kept]
    lines += [f"{TITLE}, as a multiple of nginx's, by connections:", "",
              "| | " + " | ".join(f"{scenario.connections:,}" for scenario, _ in kept) + " |",
              "|---" * (len(columns) + 1) + "|"]
    for label, found in ratios.items():
        cells = [f"{found[name]:.2f}" if name in found else "-" for name in columns]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return [*lines, ""]
