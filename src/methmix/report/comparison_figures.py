"""Figures of the comparison: errors of all arms, and presence probabilities."""

from collections.abc import Hashable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from sklearn.metrics import precision_recall_curve

from methmix import metrics
from methmix.arms import MAIN
from methmix.pages.reliability import diagonal, reliability
from methmix.pages.style import TRUTH, colour, drawing, labelled_rows, percent_axis, tissue_columns
from methmix.pages.wording import in_unit, percent, shown
from methmix.report.arm_results import ArmResult, serious

# The trade-off has logarithmic axes: fewer errors per mixture are drawn at this value.
LEAST_ERRORS = 0.003
_CLASSES = {
    "major": "major, > 20 %",
    "minor": "minor, 5 to 20 %",
    "low": f"low, {100 * metrics.PRESENT:g} to 5 %",
    "trace": f"trace, < {percent(metrics.PRESENT)}",
}


@drawing
def errors_by_abundance(results: list[ArmResult]) -> Figure:
    """Draw the mean absolute error of each arm, with its interval, one panel per class of true proportions."""
    arms, titles = serious(results), headings(results)
    figure = Figure(figsize=(11, 0.34 * len(arms) + 1.1))
    columns = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
    for axes, title, rows in zip(columns, titles, zip(*map(classes, arms), strict=True), strict=True):
        for place, (result, row) in enumerate(zip(arms, rows, strict=True)):
            shade, ends, at = colour(result.arm), (row["mae_low"], row["mae_high"]), (row["mae_high"], place)
            axes.plot(ends, [place, place], color=shade, linewidth=3, solid_capstyle="butt", alpha=0.6)
            axes.plot(row["mae"], place, "o", color=shade)
            axes.annotate(in_unit(row["mae"], "%"), at, (5, 0), textcoords="offset points", va="center", fontsize=8)
        axes.set_title(title)
        axes.margins(x=0.35)
        axes.set_xlim(left=0)
        percent_axis(axes.xaxis, ticks=4)
        labelled_rows(axes, [result.arm for result in arms])
    return figure


def _panel_per_arm(arms: list[ArmResult], height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(2.7 * len(arms), height))
    panels = figure.subplots(1, len(arms), sharex=True, sharey=True, squeeze=False)[0]
    for axis in (axis for axes in panels for axis in (axes.xaxis, axes.yaxis)):
        percent_axis(axis, decimals=0)
    return figure, panels


@drawing
def training(results: list[ArmResult]) -> Figure | None:
    """Plot validation error, false positives, losses and learning rate by epoch; None without a trained arm."""
    trained = [result for result in results if not result.log.empty]
    if not trained:
        return None
    panels = {
        "val/mae": "validation MAE",
        "val/spurious_per_mixture": "validation: false positives",
        "val/total_loss": "total loss (dotted: training)",
        "train/learning_rate": "learning rate",
    }
    figure = Figure(figsize=(12, 2.9))
    for axes, (name, title) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        for result in trained:
            axes.plot(result.log["epoch"], result.log[name], color=colour(result.arm), label=result.arm)
            if name == "val/total_loss":
                axes.plot(result.log["epoch"], result.log["train/total_loss"], ":", color=colour(result.arm))
        if name != "train/learning_rate":
            axes.set_yscale("log")
        axes.set(title=title, xlabel="epoch")
    figure.axes[0].legend()
    return figure


@drawing
def background(results: list[ArmResult]) -> Figure | None:
    """Plot predicted against true background, the margin as a band; None in a phase without background."""
    if not results[0].background:
        return None
    arms, columns, margin = serious(results), results[0].background, metrics.BACKGROUND_MARGIN
    true = results[0].true[:, columns].sum(axis=1)
    ends = np.array([true.min() - margin, true.max() + margin])
    figure, panels = _panel_per_arm(arms, 3.2)
    for axes, result in zip(panels, arms, strict=True):
        axes.fill_between(ends, ends - margin, ends + margin, color=TRUTH, alpha=0.15, linewidth=0)
        axes.plot(ends, ends, color=TRUTH, linewidth=0.7)
        predicted = result.predicted[:, columns].sum(axis=1)
        axes.scatter(true, predicted, s=6, alpha=0.5, linewidths=0, color=colour(result.arm))
        held = percent(result.metrics["background_within_3"], 1)
        axes.set(title=f"{result.arm}: {held} within", xlabel="true background", xlim=ends)
    panels[0].set_ylabel("predicted background")
    return figure


def classes(result: ArmResult) -> list[dict[Hashable, Any]]:
    """List the errors of one arm by class of true proportion, for the classes that occur in these mixtures."""
    return result.by_abundance[result.by_abundance["n"] > 0].to_dict("records")


def headings(results: list[ArmResult]) -> list[str]:
    """Name the classes that occur in these mixtures, with their numbers of entries."""
    return [f"{_CLASSES[row['abundance']]} (n = {row['n']:,})" for row in classes(results[0])]


@drawing
def presence(results: list[ArmResult]) -> Figure:
    """Plot the calibration of the presence probability, and precision against recall."""
    figure = Figure(figsize=(10, 4.0))
    left, right = figure.subplots(1, 2)
    for result in serious(results):
        ece, area = (shown(result.metrics[name], 4) for name in ("presence_ece", "presence_auprc"))
        present, probability = reliability(
            left, result.true, result.probability, color=colour(result.arm), label=f"{result.arm}, ECE {ece}"
        )
        precision, recall, _ = precision_recall_curve(present, probability)
        right.step(recall, precision, where="post", color=colour(result.arm), label=f"{result.arm}, AUPRC {area}")
    diagonal(left, "calibration")
    right.set(xlabel="recall", ylabel="precision", title="precision and recall", xlim=(0.5, 1.01))
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
        reliability(left, result.true[rows], result.probability[rows], color=shade, label=f"depth {depth:g}")
    diagonal(left, f"{result.arm}: calibration by depth")
    right.bar(range(len(result.tissues)), result.per_tissue["presence_ece"], color=colour(result.arm))
    tissue_columns(right, result.tissues)
    right.set_title(f"{result.arm}: expected calibration error by tissue")
    return figure


@drawing
def tradeoff(results: list[ArmResult]) -> Figure:
    """Plot missed tissues against false positives of validation mixtures, for all values of each arm's setting."""
    figure = Figure(figsize=(11, 4.2))
    left, right = figure.subplots(1, 2)
    for result in serious(results):
        table = result.tradeoff
        errors = table[["spurious_per_mixture", "missed_per_mixture"]].clip(lower=LEAST_ERRORS)
        false, missed = (errors[name] for name in errors)
        name = table["setting"].iloc[0].replace("_", " ")
        left.plot(false, missed, ".-", color=colour(result.arm), linewidth=1, label=f"{result.arm}: {name}")
        left.plot(false[table["chosen"]], missed[table["chosen"]], "o", color=colour(result.arm), markersize=9)
        if result.arm == MAIN:
            for x, y, value in zip(false, missed, table["value"], strict=True):
                left.annotate(f"{value:g} ", (x, y), fontsize=7, ha="right", va="top", color=colour(result.arm))
            _errors_by_setting(right, table, colour(result.arm), name)
    left.set(
        xlabel="false-positive tissues per mixture", ylabel="missed tissues per mixture", xscale="log", yscale="log"
    )
    for axis in (left.xaxis, left.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    left.set_title("validation mixtures; lower left is better; large dot: as evaluated")
    left.legend(fontsize=7)
    return figure


def _errors_by_setting(axes: Axes, table: pd.DataFrame, shade: str, setting: str) -> None:
    """Plot false positives, missed tissues and the MAE against the presence threshold or the cut."""
    axes.plot(table["value"], table["spurious_per_mixture"], "-", color=shade, label="false positives per mixture")
    axes.plot(table["value"], table["missed_per_mixture"], "--", color=shade, label="missed per mixture")
    error = axes.twinx()
    error.plot(table["value"], table["mae"], ":", color=TRUTH)
    error.set_ylabel("MAE (dotted)")
    error.spines["right"].set_visible(True)
    percent_axis(error.yaxis, decimals=2)
    axes.axvline(table["value"][table["chosen"]].iloc[0], color=TRUTH, linewidth=0.8)
    axes.set(xlabel=setting, title=f"{MAIN}: errors on validation by {setting}")
    axes.legend(loc="upper center")
