"""Figures of the intervals of proportions."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from methmix import metrics
from methmix.pages.axes import percent_axis, tissue_columns
from methmix.pages.style import SPURIOUS, TRUTH, colour, drawing
from methmix.pages.wording import percent
from methmix.report.arm_results import ArmResult

_EXAMPLES = 60


@drawing
def intervals(result: ArmResult) -> Figure | None:
    """Plot the coverage of one arm's intervals and some examples; None if it gives none."""
    if np.isnan(result.low).all():
        return None
    figure = Figure(figsize=(12, 3.4))
    first, second, third = figure.subplots(1, 3, width_ratios=[1, 2.4, 2.4])
    present = metrics.present(result.true)
    covered = metrics.covered(result.true, result.low, result.high)
    depth = result.per_mixture["mean_depth"].to_numpy()
    depths = np.unique(depth)
    first.bar(
        range(len(depths)), [covered[depth == d][present[depth == d]].mean() for d in depths], color=colour(result.arm)
    )
    first.set_xticks(range(len(depths)), [f"{d:g}" for d in depths])
    first.set(title="coverage by depth", xlabel="mean depth")
    second.bar(range(len(result.tissues)), result.per_tissue["interval_coverage_present"], color=colour(result.arm))
    second.set_title("coverage by tissue, where present")
    tissue_columns(second, result.tissues)
    for axes in (first, second):
        axes.axhline(metrics.INTERVAL_LEVEL, color=TRUTH, linewidth=0.8)
        axes.set_ylim(0, 1)
        percent_axis(axes.yaxis, decimals=0)
    _examples(third, result, present, covered)
    return figure


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
