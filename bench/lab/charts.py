"""Charts as SVG, readable on light and on dark pages: a transparent ground and greys that stand out from both."""

from pathlib import Path

from .measure import Outcome
from .report import METRICS
from .scenario import Scenario

INK = "#7d8590"  # text and axes
OURS, OTHERS, KERNEL = "#2f81f7", "#8b949e", 0.45  # the last: how opaque the kernel's share is
UNITS = {"cpu": "CPU µs per request: user, and system (lighter)", "memory": "KiB per idle connection",
         "p99": "p99 latency, ms"}
BAR, MARGIN = 0.34, 1.1  # inches


def is_available() -> bool:
    """Whether the library is there; without it there are no charts."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def draw(scenario: Scenario, outcomes: list[Outcome], path: Path) -> None:
    """One bar each, with the range of the rounds; shorter is better."""
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot
    # Text stays text, and the same numbers give the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "tidegate", "font.family": "sans-serif",
                                "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
                                "axes.edgecolor": INK})
    shown = [outcome for outcome in outcomes if outcome.rounds][::-1]
    if not shown:
        return
    figure, axes = pyplot.subplots(figsize=(8, MARGIN + BAR * len(shown)))
    metric = METRICS[scenario.compare][0]
    widest = max(max(outcome.values(metric)) for outcome in shown) or 1
    for place, outcome in enumerate(shown):
        _bar(axes, place, outcome, scenario.compare, widest)
    axes.set_yticks(range(len(shown)), [outcome.label for outcome in shown])
    axes.set_xlim(0, widest * 1.15)
    axes.set_title(scenario.title, loc="left", fontsize=11, fontweight="bold")
    axes.set_xlabel(f"{UNITS[scenario.compare]}; shorter is better", fontsize=9)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.tight_layout()
    figure.savefig(path, transparent=True, metadata={"Date": None})
    pyplot.close(figure)
    # The library ends some lines with a space.
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")


def _bar(axes: object, place: int, outcome: Outcome, compare: str, widest: float) -> None:
    metric = METRICS[compare][0]
    value, values = outcome.middle(metric) or 0, outcome.values(metric)
    colour = OURS if outcome.peer == "tidegate" else OTHERS
    if compare == "cpu":
        # Medians of the two parts need not add up to the median of the whole.
        parts = (outcome.middle("cpu_user") or 0, outcome.middle("cpu_system") or 0)
        user = value * parts[0] / (sum(parts) or 1)
        axes.barh(place, user, height=0.62, color=colour)
        axes.barh(place, value - user, left=user, height=0.62, color=colour, alpha=KERNEL)
    else:
        axes.barh(place, value, height=0.62, color=colour)
    axes.plot([min(values), max(values)], [place, place], color=INK, linewidth=1.2)
    axes.text(max(values) + widest * 0.01, place, f"{value:.1f}", va="center", fontsize=9)
