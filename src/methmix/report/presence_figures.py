"""Figures of how certain an arm is: calibration of its presence probability, and what other thresholds would give."""

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from sklearn.metrics import precision_recall_curve

from methmix import metrics
from methmix.arms import MAIN
from methmix.evaluation.scores import ECE_BINS
from methmix.pages.axes import percent_axis, tissue_columns
from methmix.pages.style import TRUTH, colour, drawing
from methmix.pages.wording import shown
from methmix.report.arm_results import ArmResult, serious

# Bins with fewer entries would show noise.
_FEWEST = 10
# The trade-off has logarithmic axes: fewer errors per mixture than this are drawn here.
LEAST_ERRORS = 0.003


@drawing
def presence(results: list[ArmResult]) -> Figure:
    """Plot calibration of the presence probability, and precision against recall."""
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
        _reliability(
            left, *_labelled(result.true[rows], result.probability[rows]), color=shade, label=f"depth {depth:g}"
        )
    _diagonal(left)
    left.set_title(f"{result.arm}: calibration by depth")
    left.legend()
    table = result.per_tissue
    right.bar(range(len(table)), table["presence_ece"], color=colour(result.arm))
    tissue_columns(right, table["tissue"])
    right.set_title(f"{result.arm}: expected calibration error by tissue")
    return figure


def _labelled(true: npt.NDArray[np.float64], probability: npt.NDArray[np.float64]) -> tuple[npt.NDArray, npt.NDArray]:
    """Give of the entries that are absent or present, not traces, which are present, and their probability."""
    labelled = metrics.absent(true) | metrics.present(true)
    return metrics.present(true)[labelled], probability[labelled]


def _reliability(axes: Axes, present: npt.NDArray, probability: npt.NDArray, **look: object) -> None:
    """Plot which proportion of the entries of similar presence probability is present, in the bins of the ECE."""
    bins = np.minimum((probability * ECE_BINS).astype(int), ECE_BINS - 1)
    number = np.bincount(bins, minlength=ECE_BINS)
    enough = number >= _FEWEST
    mean = np.bincount(bins, probability, ECE_BINS)[enough] / number[enough]
    found = np.bincount(bins, present, ECE_BINS)[enough] / number[enough]
    axes.plot(mean, found, "o-", markersize=4, **look)  # type: ignore[arg-type]


def _diagonal(axes: Axes) -> None:
    """Draw the line of perfect calibration."""
    axes.axline((0, 0), slope=1, color=TRUTH, linewidth=0.7)
    axes.set(xlabel="presence probability", ylabel="proportion that is present", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))


@drawing
def tradeoff(results: list[ArmResult]) -> Figure:
    """Plot missed tissues against false positives for all values of the setting that trades them, if an arm has one."""
    figure = Figure(figsize=(11, 4.2))
    left, right = figure.subplots(1, 2)
    for result in serious(results):
        table = result.tradeoff
        false, missed = (
            table[name].clip(lower=LEAST_ERRORS) for name in ("spurious_per_mixture", "missed_per_mixture")
        )
        name = result.arm if len(table) == 1 else f"{result.arm}: {table['setting'].iloc[0]}"
        left.plot(false, missed, ".-", color=colour(result.arm), linewidth=1, label=name)
        left.plot(false[table["chosen"]], missed[table["chosen"]], "o", color=colour(result.arm), markersize=9)
        if result.arm == MAIN and len(table) > 1:
            for x, y, value in zip(false, missed, table["value"], strict=True):
                left.annotate(f"{value:g} ", (x, y), fontsize=7, ha="right", va="top", color=colour(result.arm))
            _errors_by_threshold(right, table, colour(result.arm))
    left.set(
        xscale="log", yscale="log", xlabel="false-positive tissues per mixture", ylabel="missed tissues per mixture"
    )
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
