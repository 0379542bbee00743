"""The Miami plot: truth above, prediction mirrored below."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from methmix import metrics
from methmix.pages.style import SPURIOUS, TISSUE_SHADES

Array = npt.NDArray[np.float64]

# Bars of empty space between two tissues, as a share of an average tissue's bars.
_GAP = 0.15


def miami(arm: str, tissues: list[str], true: Array, predicted: Array, note: str = "") -> Figure:
    """Draw one arm.

    For each tissue, in alphabetical order, a bar for every mixture that contains it and for every mixture in which it
    is called although absent; sorted by truth, so that spurious bars stand at the end of each tissue, in red.

    Parameters
    ----------
    arm
        Its name, for the title.
    tissues
        Names, in the order of the columns.
    true, predicted
        Proportions, [n_mixtures, n_tissues].
    note
        What the reader must know of the data (drawn donors, shared donors).
    """
    wrong = metrics.spurious(true, predicted)
    shown = (true > 0) | wrong
    gap = max(3.0, _GAP * shown.sum() / len(tissues))
    limit = 100 * max(true.max(), predicted.max(), 0.05) * 1.04
    order = np.argsort(tissues, kind="stable")
    # A bar is narrower than a pixel where there are thousands; each tissue is drawn as one outline of its bars, which
    # blends them instead of losing some.
    figure = Figure(figsize=(max(15.0, 0.5 * len(tissues)), 6.0))
    axes = figure.subplots()
    position, centres = 0.0, []
    for rank, column in enumerate(order):
        rows = np.nonzero(shown[:, column])[0]
        # By truth, and among the absent by prediction.
        rows = rows[np.lexsort((-predicted[rows, column], -true[rows, column]))]
        colour = TISSUE_SHADES[rank % 2]
        red = wrong[rows, column]
        _bars(axes, position, 100 * true[rows, column], colour)
        _bars(axes, position, -100 * np.where(red, 0, predicted[rows, column]), colour)
        _bars(axes, position, -100 * np.where(red, predicted[rows, column], 0), SPURIOUS)
        centres.append(position + max(len(rows), 1) / 2)
        position += max(len(rows), 1) + gap
    axes.set(xlim=(-gap, position), ylim=(-limit, limit), ylabel="predicted %   |   true %")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_xticks(centres, [tissues[i] for i in order], rotation=90)
    axes.tick_params(axis="x", length=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
    n_wrong = int(wrong.sum())
    mass = float(np.where(metrics.absent(true), predicted, 0).sum(axis=1).mean())
    axes.set_title(
        f"{arm}: {len(true)} test mixtures, {n_wrong} spurious bars ({n_wrong / len(true):.2f} a mixture), "
        f"{100 * mass:.1f} % of the mass on absent tissues"
    )
    caption = (
        f"Truth above, prediction mirrored below, a bar a mixture. Red: absent, but predicted at "
        f"{100 * metrics.PRESENT:.0f} % or more."
    )
    figure.supxlabel("\n".join(filter(None, (caption, note))), fontsize=8, color="#666666", x=0.01, ha="left")
    return figure


def _bars(axes: Axes, left: float, height: Array, colour: str) -> None:
    """Draw adjoining bars, one unit wide, from ``left`` on."""
    edges = left + np.arange(len(height) + 1)
    axes.stairs(height, edges, baseline=0, fill=True, facecolor=colour, edgecolor="none", snap=False)
