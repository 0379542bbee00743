"""The Miami plot: truth above, prediction mirrored below."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from methmix import metrics
from methmix.pages.style import BLUE, LIGHT_BLUE, MISSED, SPURIOUS, drawing, short
from methmix.pages.wording import percent

Array = npt.NDArray[np.float64]

# Two alternating shades separate neighbouring tissues without a legend of forty colours.
_SHADES = (BLUE, LIGHT_BLUE)
# Space between two tissues, relative to the bars of an average tissue.
_GAP = 0.15


@drawing
def miami(
    arm: str,
    tissues: list[str],
    true: Array,
    predicted: Array,
    note: str = "",
    largest: float | None = None,
    split: str = "test",
) -> Figure:
    """Draw one arm; ``true`` and ``predicted`` are proportions, [n_mixtures, n_tissues].

    For each tissue, in alphabetical order, one bar per mixture that contains it or in which it is called although
    absent; sorted by truth, so that false positives stand at the end of each tissue, in red. Missed tissues, present
    but not called, are amber. The ``note`` below the plot says what the reader must know of the data. The axis reaches
    to the ``largest`` proportion, by default of this arm: arms that are compared need one scale.
    """
    wrong, lost = metrics.spurious(true, predicted), metrics.missed(true, predicted)
    drawn = (true > 0) | wrong
    gap = max(3.0, _GAP * drawn.sum() / len(tissues))
    limit = 104 * max(largest_proportion(true, predicted) if largest is None else largest, 0.05)
    order = np.argsort(tissues, kind="stable")
    figure = Figure(figsize=(max(15.0, 0.5 * len(tissues)), 6.0))
    axes = figure.subplots()
    position, centres = 0.0, []
    for rank, column in enumerate(order):
        rows = np.nonzero(drawn[:, column])[0]
        # By truth, and among the absent by prediction.
        rows = rows[np.lexsort((-predicted[rows, column], -true[rows, column]))]
        heights = 100 * true[rows, column], 100 * predicted[rows, column]
        _tissue(axes, position, *heights, wrong[rows, column], lost[rows, column], _SHADES[rank % 2])
        centres.append(position + max(len(rows), 1) / 2)
        position += max(len(rows), 1) + gap
    axes.set(xlim=(-gap, position), ylim=(-limit, limit), ylabel="predicted %   |   true %")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_xticks(centres, [short(tissues[i]) for i in order], rotation=90)
    axes.tick_params(axis="x", length=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
    mass = float(np.where(metrics.absent(true), predicted, 0).sum(axis=1).mean())
    axes.set_title(
        f"{arm}: {len(true)} {split} mixtures, {_counted(wrong, 'false positives')}, "
        f"{_counted(lost, 'missed tissues')}, {percent(mass, 1)} of the predicted mass on absent tissues"
    )
    call = percent(metrics.PRESENT)
    caption = (
        f"Truth above, prediction mirrored below, one bar per mixture. Red: false positives, absent but predicted at "
        f"{call} or more. Amber: missed tissues, {call} or more but predicted below."
    )
    figure.supxlabel("\n".join(filter(None, (caption, note))), fontsize=8, color="#666666", x=0.01, ha="left")
    return figure


def _counted(marked: metrics.Mask, name: str) -> str:
    return f"{marked.sum()} {name} ({marked.sum() / len(marked):.2f} per mixture)"


def largest_proportion(*proportions: Array) -> float:
    """Find the largest of several tables of proportions, 0-1."""
    return float(max(values.max() for values in proportions))


def _tissue(
    axes: Axes, left: float, true: Array, predicted: Array, wrong: metrics.Mask, lost: metrics.Mask, shade: str
) -> None:
    """Draw the bars of one tissue, one unit wide each, from ``left`` on.

    Of thousands of bars each is narrower than a pixel: a common outline blends them, where single bars would vanish.
    """
    edges, bars = left + np.arange(len(true) + 1), []
    for height, mask, marked in ((true, lost, MISSED), (-predicted, wrong, SPURIOUS)):
        bars += [(np.where(mask, 0, height), shade), (np.where(mask, height, 0), marked)]
    for height, fill in bars:
        axes.stairs(height, edges, baseline=0, fill=True, facecolor=fill, edgecolor="none", snap=False)
