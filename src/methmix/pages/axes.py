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
    """Label the rows 0, 1, ... from the top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)


def tissue_columns(axes: Axes, tissues: Sequence[str]) -> None:
    """Label the columns 0, 1, ... with tissues."""
    axes.set_xticks(range(len(tissues)), tissues, rotation=90)


def mark(axes: Axes, value: float) -> None:
    """Draw a dotted vertical line at a value for comparison."""
    axes.axvline(value, color=TRUTH, linewidth=0.8, linestyle=":")
