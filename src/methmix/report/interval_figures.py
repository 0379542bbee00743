"""Figures of the intervals of one arm: their coverage, and some of them."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from methmix import metrics
from methmix.pages.style import SPURIOUS, TRUTH, colour, drawing, percent_axis, tissue_columns
from methmix.pages.wording import percent
from methmix.report.arm_results import ArmResult

# Classes of true proportions, above the first end and up to the second.
_CLASSES = {
    "absent": (-1.0, 0.0),
    "0.1 to 1 %": (0.001, 0.01),
    "1 to 5 %": (0.01, 0.05),
    "5 to 20 %": (0.05, 0.2),
    "20 to 50 %": (0.2, 0.5),
    "> 50 %": (0.5, 1.0),
}
# The coverage of fewer tissues says little: it is left out.
_FEWEST = 20
# Coverage this far from the level is drawn in full colour.
_FAR = 0.15
# Number of single intervals shown.
_EXAMPLES = 60


@drawing
def intervals(result: ArmResult) -> Figure | None:
    """Plot the coverage of one arm's intervals and some examples; None if it gives no intervals."""
    if np.isnan(result.low).all():
        return None
    figure = Figure(figsize=(13, 3.8))
    first, second, third = figure.subplots(1, 3)
    present = metrics.present(result.true)
    covered = metrics.covered(result.true, result.low, result.high)
    _by_class(first, result, covered)
    second.bar(range(len(result.tissues)), result.per_tissue["interval_coverage_present"], color=colour(result.arm))
    second.set_title("coverage by tissue, where present")
    tissue_columns(second, result.tissues)
    second.axhline(metrics.INTERVAL_LEVEL, color=TRUTH, linewidth=0.8)
    second.set_ylim(0, 1)
    percent_axis(second.yaxis, decimals=0)
    _examples(third, result, present, covered)
    return figure


def coverage_by_class(result: ArmResult, covered: metrics.Mask) -> tuple[list[str], list[str], np.ndarray]:
    """Compute the coverage of the true proportions.

    Returns
    -------
    depths, classes, coverage
        Mean depths, classes of true proportions, and the coverage [n_depths, n_classes], NaN of too few tissues.
    """
    depth = result.per_mixture["mean_depth"].to_numpy()
    depths = np.unique(depth)
    coverage = np.full((len(depths), len(_CLASSES)), np.nan)
    for row, value in enumerate(depths):
        for column, (low, high) in enumerate(_CLASSES.values()):
            own = (depth == value)[:, None] & (result.true > low) & (result.true <= high)
            if own.sum() >= _FEWEST:
                coverage[row, column] = covered[own].mean()
    return [f"{value:g}" for value in depths], [*_CLASSES], coverage


def _by_class(axes: Axes, result: ArmResult, covered: metrics.Mask) -> None:
    """Write coverage by depth and class; red below the level, blue above."""
    depths, names, coverage = coverage_by_class(result, covered)
    level = metrics.INTERVAL_LEVEL
    axes.imshow(coverage - level, cmap=mpl.colormaps["RdBu"], vmin=-_FAR, vmax=_FAR, aspect="auto")
    for (row, column), value in np.ndenumerate(coverage):
        if np.isfinite(value):
            dark = abs(value - level) > 0.6 * _FAR
            axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color="white" if dark else "black")
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(depths)), depths)
    axes.set(title=f"coverage in %, by true proportion; level {percent(level)}", ylabel="mean depth")


def _examples(axes: Axes, result: ArmResult, present: metrics.Mask, covered: metrics.Mask) -> None:
    """Draw some intervals of present tissues around the truth, in red those that do not contain it."""
    rows, columns = np.nonzero(present)
    some = np.random.default_rng(0).choice(len(rows), min(_EXAMPLES, len(rows)), replace=False)
    some = some[np.argsort(result.true[rows[some], columns[some]])]
    at = rows[some], columns[some]
    low, high, inside = result.low[at] - result.true[at], result.high[at] - result.true[at], covered[at]
    place = np.arange(len(some))
    for mask, shade in ((inside, colour(result.arm)), (~inside, SPURIOUS)):
        axes.vlines(place[mask], low[mask], high[mask], color=shade, linewidth=2, alpha=0.7)
    axes.axhline(0, color=TRUTH, linewidth=0.8)
    axes.set(title=f"{len(some)} present tissues: {percent(metrics.INTERVAL_LEVEL)} interval minus truth", xticks=[])
    axes.set_xlabel("from the smallest true proportion to the largest")
    percent_axis(axes.yaxis, decimals=0)
