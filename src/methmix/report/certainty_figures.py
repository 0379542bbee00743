"""Figures of uncertainty: presence probabilities, the trade-off of false positives and missed tissues, intervals."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from sklearn.metrics import precision_recall_curve

from methmix import metrics
from methmix.arms import MAIN
from methmix.pages.axes import percent_axis, tissue_columns
from methmix.pages.style import SPURIOUS, TRUTH, colour, drawing
from methmix.pages.wording import percent, shown
from methmix.report.arm_results import ArmResult, Array, serious
from methmix.scores import CALIBRATION_BINS, calibration_bins

# Bins with fewer entries would show noise.
_FEWEST = 10
# The trade-off has logarithmic axes: fewer errors per mixture are drawn at this value.
LEAST_ERRORS = 0.003
# Number of single intervals shown.
_EXAMPLES = 60


@drawing
def presence(results: list[ArmResult]) -> Figure:
    """Plot the calibration of the presence probability, and precision against recall."""
    figure = Figure(figsize=(10, 4.0))
    left, right = figure.subplots(1, 2)
    for result in serious(results):
        ece, area = (shown(result.metrics[name], 4) for name in ("presence_ece", "presence_auprc"))
        present, probability = _labelled(result.true, result.probability)
        _reliability(left, present, probability, color=colour(result.arm), label=f"{result.arm}, ECE {ece}")
        precision, recall, _ = precision_recall_curve(present, probability)
        right.step(recall, precision, where="post", color=colour(result.arm), label=f"{result.arm}, AUPRC {area}")
    _diagonal(left)
    left.set_title("calibration")
    right.set(xlabel="recall", ylabel="precision", title="precision and recall", xlim=(0.5, 1.01))
    left.legend()
    right.legend(loc="lower left")
    return figure


@drawing
def calibration(result: ArmResult) -> Figure | None:
    """Plot the calibration of a trained arm's presence probability by depth and by tissue; None for others."""
    if not result.trained:
        return None
    figure = Figure(figsize=(11, 3.6))
    left, right = figure.subplots(1, 2, width_ratios=[2, 3])
    depths = sorted(result.per_mixture["mean_depth"].unique())
    for depth, shade in zip(depths, mpl.colormaps["viridis"](np.linspace(0.05, 0.85, len(depths))), strict=True):
        rows = result.per_mixture["mean_depth"].eq(depth).to_numpy()
        labelled = _labelled(result.true[rows], result.probability[rows])
        _reliability(left, *labelled, color=shade, label=f"depth {depth:g}")
    _diagonal(left)
    left.set_title(f"{result.arm}: calibration by depth")
    left.legend()
    table = result.per_tissue
    right.bar(range(len(table)), table["presence_ece"], color=colour(result.arm))
    tissue_columns(right, result.tissues)
    right.set_title(f"{result.arm}: expected calibration error by tissue")
    return figure


def _labelled(true: Array, probability: Array) -> tuple[metrics.Mask, Array]:
    """Return which of the absent and present entries, traces left out, are present, and their probabilities."""
    labelled = metrics.absent(true) | metrics.present(true)
    return metrics.present(true)[labelled], probability[labelled]


def _reliability(axes: Axes, present: metrics.Mask, probability: Array, **look: object) -> None:
    """Plot the proportion of present entries against the mean presence probability, in the bins of the ECE."""
    bins = calibration_bins(probability)
    number = np.bincount(bins, minlength=CALIBRATION_BINS)
    enough = number >= _FEWEST
    mean = np.bincount(bins, probability, CALIBRATION_BINS)[enough] / number[enough]
    found = np.bincount(bins, present, CALIBRATION_BINS)[enough] / number[enough]
    axes.plot(mean, found, "o-", markersize=4, **look)  # type: ignore[arg-type]


def _diagonal(axes: Axes) -> None:
    axes.axline((0, 0), slope=1, color=TRUTH, linewidth=0.7)
    axes.set(xlabel="presence probability", ylabel="proportion that is present", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))


@drawing
def tradeoff(results: list[ArmResult]) -> Figure:
    """Plot missed tissues against false positives for all values of the setting of an arm that trades them off."""
    figure = Figure(figsize=(11, 4.2))
    left, right = figure.subplots(1, 2)
    for result in serious(results):
        table = result.tradeoff
        errors = table[["spurious_per_mixture", "missed_per_mixture"]].clip(lower=LEAST_ERRORS)
        false, missed = (errors[name] for name in errors)
        name = result.arm if len(table) == 1 else f"{result.arm}: {table['setting'].iloc[0]}"
        left.plot(false, missed, ".-", color=colour(result.arm), linewidth=1, label=name)
        left.plot(false[table["chosen"]], missed[table["chosen"]], "o", color=colour(result.arm), markersize=9)
        if result.arm == MAIN and len(table) > 1:
            for x, y, value in zip(false, missed, table["value"], strict=True):
                left.annotate(f"{value:g} ", (x, y), fontsize=7, ha="right", va="top", color=colour(result.arm))
            _errors_by_threshold(right, table, colour(result.arm))
    left.set(xscale="log", xlabel="false-positive tissues per mixture")
    left.set(yscale="log", ylabel="missed tissues per mixture")
    for axis in (left.xaxis, left.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    left.set_title("lower left is better; large dot: as evaluated")
    left.legend(fontsize=7)
    return figure


def _errors_by_threshold(axes: Axes, table: pd.DataFrame, shade: str) -> None:
    """Plot false positives, missed tissues and the MAE against the presence threshold."""
    axes.plot(table["value"], table["spurious_per_mixture"], "-", color=shade, label="false positives per mixture")
    axes.plot(table["value"], table["missed_per_mixture"], "--", color=shade, label="missed per mixture")
    error = axes.twinx()
    error.plot(table["value"], table["mae"], ":", color=TRUTH)
    error.set_ylabel("MAE (dotted)")
    error.spines["right"].set_visible(True)
    percent_axis(error.yaxis, decimals=2)
    axes.axvline(table["value"][table["chosen"]].iloc[0], color=TRUTH, linewidth=0.8)
    axes.set(xlabel="presence threshold", title=f"{MAIN}: errors by presence threshold")
    axes.legend(loc="upper center")


@drawing
def intervals(result: ArmResult) -> Figure | None:
    """Plot the coverage of one arm's intervals and some examples; None if it gives no intervals."""
    if np.isnan(result.low).all():
        return None
    figure = Figure(figsize=(12, 3.4))
    first, second, third = figure.subplots(1, 3, width_ratios=[1, 2.4, 2.4])
    present = metrics.present(result.true)
    covered = metrics.covered(result.true, result.low, result.high)
    depth = result.per_mixture["mean_depth"].to_numpy()
    depths = np.unique(depth)
    coverage = [covered[depth == d][present[depth == d]].mean() for d in depths]
    first.bar([f"{d:g}" for d in depths], coverage, color=colour(result.arm))
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
