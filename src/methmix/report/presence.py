"""Figures of how sure an arm is: presence probability, the setting that trades errors, and intervals."""

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, PercentFormatter
from sklearn.metrics import precision_recall_curve

from methmix import metrics
from methmix.arms import MAIN
from methmix.pages.style import ARM_COLOURS, SPURIOUS, TRUTH, shown
from methmix.report.results import ArmResult, serious
from methmix.scores import CALIBRATION_BINS, calibration_bins

# Bins of a handful of entries only show noise.
_FEWEST = 10
# Least number of errors a mixture that the trade-off shows: its axes are logarithmic.
_NONE = 0.003
_EXAMPLES = 60


def presence(results: list[ArmResult]) -> Figure:
    """Plot calibration of the presence probability, and precision against recall."""
    figure = Figure(figsize=(10, 4.0))
    left, right = figure.subplots(1, 2)
    for result in serious(results):
        colour = ARM_COLOURS.get(result.arm, TRUTH)
        ece = shown(result.metrics["presence_ece"], 4)
        _reliability(
            left, result, np.ones(len(result.true), dtype=bool), color=colour, label=f"{result.arm}, ECE {ece}"
        )
        labelled = metrics.absent(result.true) | metrics.present(result.true)
        label = metrics.present(result.true)[labelled]
        precision, recall, _ = precision_recall_curve(label, result.probability[labelled])
        area = shown(result.metrics["presence_auprc"], 4)
        right.step(recall, precision, where="post", color=colour, label=f"{result.arm}, AUPRC {area}")
    _diagonal(left)
    left.set_title("calibration")
    right.set(xlabel="recall", ylabel="precision", title="precision and recall", xlim=(0.5, 1.01))
    left.legend()
    right.legend(loc="lower left")
    return figure


def calibration(result: ArmResult) -> Figure:
    """Plot the calibration of one arm's presence probability by depth and by tissue."""
    figure = Figure(figsize=(11, 3.6))
    left, right = figure.subplots(1, 2, width_ratios=[2, 3])
    depths = sorted(result.per_mixture["mean_depth"].unique())
    for depth, colour in zip(depths, mpl.colormaps["viridis"](np.linspace(0.05, 0.85, len(depths))), strict=True):
        rows = result.per_mixture["mean_depth"].eq(depth).to_numpy()
        _reliability(left, result, rows, color=colour, label=f"depth {depth:g}")
    _diagonal(left)
    left.set_title(f"{result.arm}: calibration by depth")
    left.legend()
    table = result.per_tissue
    right.bar(range(len(table)), table["presence_ece"], color=ARM_COLOURS.get(result.arm, TRUTH))
    right.set_xticks(range(len(table)), table["tissue"], rotation=90)
    right.set_title(f"{result.arm}: expected calibration error by tissue")
    return figure


def tradeoff(results: list[ArmResult]) -> Figure:
    """Plot missed against spurious tissues for all values of the setting that trades them, and for other arms as is."""
    figure = Figure(figsize=(11, 4.2))
    left, right = figure.subplots(1, 2)
    for result in serious(results):
        table, colour = result.tradeoff, ARM_COLOURS.get(result.arm, TRUTH)
        spurious = table["spurious_per_mixture"].clip(lower=_NONE)
        missed = table["missed_per_mixture"].clip(lower=_NONE)
        name = result.arm if len(table) == 1 else f"{result.arm}: {table['setting'].iloc[0]}"
        left.plot(spurious, missed, ".-", color=colour, linewidth=1, label=name)
        left.plot(spurious[table["chosen"]], missed[table["chosen"]], "o", color=colour, markersize=9)
        if result.arm == MAIN and len(table) > 1:
            for x, y, value in zip(spurious, missed, table["value"], strict=True):
                left.annotate(f"{value:g} ", (x, y), fontsize=7, ha="right", va="top", color=colour)
            for column, title, style in (
                ("spurious_per_mixture", "spurious a mixture", "-"),
                ("missed_per_mixture", "missed a mixture", "--"),
            ):
                right.plot(table["value"], table[column], style, color=colour, label=title)
            percent = right.twinx()
            percent.plot(table["value"], table["mae"], ":", color=TRUTH)
            percent.yaxis.set_major_formatter(PercentFormatter(1, decimals=2))
            percent.set_ylabel("MAE (dotted)")
            percent.spines["right"].set_visible(True)
            right.axvline(table["value"][table["chosen"]].iloc[0], color=TRUTH, linewidth=0.8)
            right.set(xlabel="presence threshold", title=f"{MAIN}: what the threshold trades")
            right.legend(loc="upper center")
    left.set(xscale="log", yscale="log", xlabel="spurious tissues a mixture", ylabel="missed tissues a mixture")
    for axis in (left.xaxis, left.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    left.set_title("towards the lower left is better; large: as evaluated")
    left.legend(fontsize=7)
    return figure


def intervals(result: ArmResult) -> Figure | None:
    """Plot the coverage of one arm's 90 % intervals and some examples; None if it gives none."""
    if np.isnan(result.low).all():
        return None
    figure = Figure(figsize=(12, 3.4))
    first, second, third = figure.subplots(1, 3, width_ratios=[1, 2.4, 2.4])
    present = metrics.present(result.true)
    covered = metrics.covered(result.true, result.low, result.high)
    depth = result.per_mixture["mean_depth"].to_numpy()
    depths = sorted(set(depth))
    colour = ARM_COLOURS.get(result.arm, TRUTH)
    by_depth = [covered[depth == d][present[depth == d]].mean() for d in depths]
    first.bar(range(len(depths)), by_depth, color=colour)
    first.set_xticks(range(len(depths)), [f"{d:g}" for d in depths])
    first.set(title="coverage by depth", xlabel="mean depth")
    table = result.per_tissue
    second.bar(range(len(table)), table["interval_coverage_present"], color=colour)
    second.set_xticks(range(len(table)), table["tissue"], rotation=90)
    second.set_title("coverage by tissue, where present")
    for axes in (first, second):
        axes.axhline(0.9, color=TRUTH, linewidth=0.8)
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    _examples(third, result, present, covered)
    return figure


def _examples(axes: Axes, result: ArmResult, present: npt.NDArray[np.bool_], covered: npt.NDArray[np.bool_]) -> None:
    rows, columns = np.nonzero(present)
    some = np.random.default_rng(0).choice(len(rows), min(_EXAMPLES, len(rows)), replace=False)
    rows, columns = rows[some], columns[some]
    order = np.argsort(result.true[rows, columns])
    rows, columns = rows[order], columns[order]
    at, inside, true = np.arange(len(rows)), covered[rows, columns], result.true[rows, columns]
    low, high = result.low[rows, columns] - true, result.high[rows, columns] - true
    for mask, colour in ((inside, ARM_COLOURS.get(result.arm, TRUTH)), (~inside, SPURIOUS)):
        axes.vlines(at[mask], low[mask], high[mask], color=colour, linewidth=2, alpha=0.7)
    axes.axhline(0, color=TRUTH, linewidth=0.8)
    axes.set(title=f"{len(rows)} present tissues: 90 % interval minus truth", xticks=[])
    axes.set_xlabel("from the smallest true proportion to the largest")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _reliability(axes: Axes, result: ArmResult, rows: npt.NDArray[np.bool_], **look: object) -> None:
    """Plot the proportion of entries that are present against their presence probability, in the bins of the ECE."""
    true, probability = result.true[rows], result.probability[rows]
    labelled = metrics.absent(true) | metrics.present(true)
    label, probability = metrics.present(true)[labelled], probability[labelled]
    bins = calibration_bins(probability)
    number = np.bincount(bins, minlength=CALIBRATION_BINS)
    enough = number >= _FEWEST
    mean = np.bincount(bins, probability, CALIBRATION_BINS)[enough] / number[enough]
    observed = np.bincount(bins, label, CALIBRATION_BINS)[enough] / number[enough]
    axes.plot(mean, observed, "o-", markersize=4, **look)  # type: ignore[arg-type]


def _diagonal(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color=TRUTH, linewidth=0.7)
    axes.set(xlabel="presence probability", ylabel="share really present")
