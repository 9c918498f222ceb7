"""Charts as SVG, readable on light and on dark pages: a transparent ground and greys that stand out from both."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .measure import Outcome
from .report import METRICS, Ratios
from .scenario import Scenario

INK, RANGE = "#7d8590", "#57606a"  # text and axes; from the lowest round to the highest
OURS, OTHERS, KERNEL = "#2f81f7", "#8b949e", 0.45  # the last: how opaque the kernel's share is
UNITS = {"cpu": "CPU µs per request: user, and system (fainter)", "memory": "KiB per idle connection",
         "p99": "p99 latency, ms"}
BAR, MARGIN = 0.34, 1.1  # inches
FAINTEST = 0.3  # how opaque the first of several points is
TICKS = (0.5, 0.7, 1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20)


def is_available() -> bool:
    """Whether the library is there; without it there are no charts."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(scenario: Scenario, outcomes: list[Outcome], path: Path) -> None:
    """One bar each, with the range of the rounds; shorter is better."""
    shown = [outcome for outcome in outcomes if outcome.rounds]
    if not shown:
        return
    metric = METRICS[scenario.compare][0]
    widest = max(max(outcome.values(metric)) for outcome in shown) or 1
    with _axes(scenario.title, [outcome.label for outcome in shown], path) as axes:
        for place, outcome in enumerate(shown):
            _bar(axes, place, outcome, scenario.compare, widest)
        axes.set_xlim(0, widest * 1.2)
        axes.set_xlabel(f"{UNITS[scenario.compare]}; shorter is better", fontsize=9)


def draw_summary(title: str, ratios: Ratios, path: Path) -> None:
    """A row of points for each peer, a point for each scenario, from faint to full."""
    rows = {label: found for label, found in ratios.items() if found}
    most = max(len(found) for found in rows.values())
    with _axes(title, list(rows), path) as axes:
        for place, (label, found) in enumerate(rows.items()):
            colour, values = _colour(label), list(found.values())
            axes.plot([min(values), max(values)], [place, place], color=colour, linewidth=1.2, alpha=FAINTEST, zorder=1)
            for number, value in enumerate(values):
                opaque = 1 - (1 - FAINTEST) * (len(values) - 1 - number) / max(1, most - 1)
                axes.scatter(value, place, s=46, color=colour, alpha=opaque, linewidths=0, zorder=2)
            ends = sorted({f"{min(values):.2f}", f"{max(values):.2f}"}, key=float)
            axes.annotate(" to ".join(ends), (max(values), place), (9, 0), textcoords="offset points", va="center",
                          fontsize=9)
        everything = [value for found in rows.values() for value in found.values()]
        axes.axvline(1, color=INK, linewidth=0.8, linestyle=":", zorder=0)
        axes.set_xscale("log")
        axes.set_xlim(min(everything) / 1.1, max(everything) * 1.5)
        axes.set_xticks([tick for tick in TICKS if min(everything) / 1.1 <= tick <= max(everything) * 1.5])
        axes.xaxis.set_major_formatter(lambda value, _place: f"{value:g}")
        axes.xaxis.set_minor_locator(_no_ticks())
        axes.set_xlabel("times nginx's, from few connections (faint) to many; left is better", fontsize=9)


@contextmanager
def _axes(title: str, labels: list[str], path: Path) -> Iterator[object]:
    """A chart with one row for each label, the first at the top; written at the end."""
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot
    # Text stays text, and the same numbers give the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "tidegate", "font.family": "sans-serif",
                                "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
                                "axes.edgecolor": INK})
    figure, axes = pyplot.subplots(figsize=(8, MARGIN + BAR * len(labels)))
    yield axes
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.tight_layout()
    figure.savefig(path, transparent=True, metadata={"Date": None})
    pyplot.close(figure)
    # The library ends some lines with a space.
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")


def _no_ticks() -> object:
    from matplotlib.ticker import NullLocator
    return NullLocator()


def _colour(peer: str) -> str:
    return OURS if peer == "tidegate" else OTHERS


def _bar(axes: object, place: int, outcome: Outcome, compare: str, widest: float) -> None:
    metric = METRICS[compare][0]
    value, values, colour = outcome.middle(metric), outcome.values(metric), _colour(outcome.peer)
    if compare == "cpu":
        # Medians of the two parts need not add up to the median of the whole.
        user, system = outcome.middle("cpu_user"), outcome.middle("cpu_system")
        user = value * user / ((user + system) or 1)
        axes.barh(place, user, height=0.62, color=colour)
        axes.barh(place, value - user, left=user, height=0.62, color=colour, alpha=KERNEL)
    else:
        axes.barh(place, value, height=0.62, color=colour)
    axes.plot([min(values), max(values)], [place, place], color=RANGE, linewidth=1.2)
    told = f"{value:.2f}" if value < 10 else f"{value:.1f}"
    told += f", {outcome.failed():,} failed" if outcome.failed() else ""
    axes.text(max(values) + widest * 0.01, place, told, va="center", fontsize=9)
