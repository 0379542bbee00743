"""What the axes of several figures have in common."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import MaxNLocator, PercentFormatter

from methmix.pages.style import TRUTH


def percent_axis(axis: Axis, decimals: int | None = None, ticks: int | None = None) -> None:
    """Label an axis of proportions in per cent, with at most ``ticks`` intervals between its ticks."""
    axis.set_major_formatter(PercentFormatter(1, decimals=decimals))
    if ticks:
        axis.set_major_locator(MaxNLocator(ticks))


def labelled_rows(axes: Axes, labels: Sequence[str]) -> None:
    """Give each row 0, 1, ... from the top its label."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)


def estimate_row(axes: Axes, row: int, value: float, ends: Sequence[float], text: str, colour: str) -> None:
    """Draw an estimate as a dot on its interval, with its value in words beside it."""
    axes.plot(ends, [row, row], color=colour, linewidth=3, solid_capstyle="butt", alpha=0.6)
    axes.plot(value, row, "o", color=colour)
    beside = {"xytext": (5, 0), "textcoords": "offset points"}
    axes.annotate(text, (max(value, ends[1]), row), va="center", fontsize=8, **beside)


def tissue_columns(axes: Axes, tissues: Sequence[str]) -> None:
    """Give each column 0, 1, ... the name of its tissue."""
    axes.set_xticks(range(len(tissues)), tissues, rotation=90)


def mark(axes: Axes, value: float) -> None:
    """Draw a dotted vertical line at a value to compare with."""
    axes.axvline(value, color=TRUTH, linewidth=0.8, linestyle=":")
