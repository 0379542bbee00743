"""Figures of the comparison page, each from the results of all arms."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from methmix import metrics
from methmix.arms import names
from methmix.pages.style import ARM_COLOURS, SPURIOUS, TRUTH, shown
from methmix.report.results import ArmResult, serious


def summary(results: list[ArmResult]) -> Figure:
    """Compare arms in four metrics, with bootstrap intervals."""
    arms = serious(results)
    panels = {
        "mae": "mean absolute error",
        "spurious_per_mixture": "spurious tissues a mixture",
        "missed_per_mixture": "missed tissues a mixture",
        "prediction_ratio": "median predicted / true",
    }
    figure = Figure(figsize=(11, 0.34 * len(arms) + 1.1))
    for axes, (name, title) in zip(figure.subplots(1, 4, sharey=True), panels.items(), strict=True):
        for row, result in enumerate(arms):
            value = result.metrics[name]
            low, high = result.metrics[f"{name}_ci95"]
            colour = ARM_COLOURS.get(result.arm, TRUTH)
            axes.plot([low, high], [row, row], color=colour, linewidth=3, solid_capstyle="butt", alpha=0.6)
            axes.plot(value, row, "o", color=colour)
            axes.annotate(
                f" {100 * value:.2f} %" if name == "mae" else f" {value:.3f}",
                (high, row),
                va="center",
                fontsize=8,
            )
        axes.set_title(title, fontweight="normal")
        axes.margins(x=0.35)
        if name == "prediction_ratio":
            axes.axvline(1, color=TRUTH, linewidth=0.8, linestyle=":")
        else:
            axes.set_xlim(left=0)
        if name == "mae":
            axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set_yticks(range(len(arms)), [result.arm for result in arms])
        axes.set_ylim(len(arms) - 0.5, -0.5)
    return figure


def scatter(results: list[ArmResult]) -> Figure:
    """Plot predicted against true proportions, one panel an arm; spurious entries in red."""
    arms = serious(results)
    figure = Figure(figsize=(2.7 * len(arms), 3.0))
    panels = np.atleast_1d(figure.subplots(1, len(arms), sharex=True, sharey=True))
    for axes, result in zip(panels, arms, strict=True):
        wrong = metrics.spurious(result.true, result.predicted)
        there = result.true > 0
        axes.scatter(
            result.true[there], result.predicted[there], s=3, alpha=0.25, linewidths=0,
            color=ARM_COLOURS.get(result.arm, TRUTH), rasterized=True,
        )  # fmt: skip
        # Absent entries all lie at 0; spread them a little to the left so that they can be counted.
        spread = -0.05 * np.random.default_rng(0).random(wrong.sum())
        axes.scatter(spread, result.predicted[wrong], s=4, alpha=0.5, linewidths=0, color=SPURIOUS)
        axes.plot([0, 1], [0, 1], color=TRUTH, linewidth=0.7)
        axes.set_title(f"{result.arm}, r = {shown(result.metrics['pearson_r'])}")
        axes.set_xlabel("true")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
    panels[0].set_ylabel("predicted")
    return figure


def per_tissue(results: list[ArmResult]) -> Figure:
    """Plot the mean absolute error of present entries, and spurious calls, per tissue."""
    arms = [r for r in serious(results) if r.arm in names(selected=True)] or results
    tissues = arms[0].per_tissue["tissue"].tolist()
    figure = Figure(figsize=(max(9.0, 0.42 * len(tissues)), 5.2))
    upper, lower = figure.subplots(2, 1, sharex=True)
    width = 0.8 / len(arms)
    for number, result in enumerate(arms):
        at = np.arange(len(tissues)) + (number - (len(arms) - 1) / 2) * width
        colour = ARM_COLOURS.get(result.arm, TRUTH)
        upper.bar(at, result.per_tissue["mae_present"], width, color=colour, label=result.arm)
        rate = result.per_tissue["spurious"] / result.per_tissue["n_absent"].clip(lower=1)
        lower.bar(at, rate, width, color=colour)
    upper.set_title("mean absolute error where present", fontweight="normal")
    upper.legend(ncols=len(arms), loc="upper right")
    lower.set_title("share of mixtures without the tissue in which it is called", fontweight="normal")
    for axes in (upper, lower):
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    flagged = arms[0].per_tissue["shared_donors"].ne("none")
    labels = [f"{name} *" if flag else name for name, flag in zip(tissues, flagged, strict=True)]
    lower.set_xticks(range(len(tissues)), labels, rotation=90)
    return figure


def training(results: list[ArmResult]) -> Figure | None:
    """Plot validation error, spurious tissues, losses and learning rate by epoch; None without a trained arm."""
    trained = [result for result in results if not result.log.empty]
    if not trained:
        return None
    panels = {
        "val/mae": "validation MAE",
        "val/spurious_per_mixture": "validation, spurious a mixture",
        "total_loss": "total loss (dotted: training)",
        "train/learning_rate": "learning rate",
    }
    figure = Figure(figsize=(12, 2.9))
    for axes, (name, title) in zip(figure.subplots(1, 4), panels.items(), strict=True):
        for result in trained:
            colour = ARM_COLOURS.get(result.arm, TRUTH)
            if name == "total_loss":
                axes.plot(result.log["epoch"], result.log["val/total_loss"], color=colour)
                axes.plot(result.log["epoch"], result.log["train/total_loss"], color=colour, linestyle=":")
            else:
                axes.plot(result.log["epoch"], result.log[name], color=colour, label=result.arm)
        if name != "train/learning_rate":
            axes.set_yscale("log")
        axes.set_title(title, fontweight="normal")
        axes.set_xlabel("epoch")
        if name == "val/mae":
            axes.legend()
    return figure


def strata(results: list[ArmResult]) -> Figure:
    """Plot error by depth, and error and spurious tissues by number of tissues."""
    figure = Figure(figsize=(11, 3.2))
    panels = figure.subplots(1, 3)
    for result in serious(results):
        colour = ARM_COLOURS.get(result.arm, TRUTH)
        by_depth = result.per_mixture.groupby("mean_depth")["mae"].mean()
        panels[0].plot(by_depth.index, by_depth, "o-", color=colour, label=result.arm)
        grouped = result.per_mixture.groupby("n_tissues")[["mae", "spurious"]].mean()
        panels[1].plot(grouped.index, grouped["mae"], "o-", color=colour)
        panels[2].plot(grouped.index, grouped["spurious"], "o-", color=colour)
    panels[0].set(xscale="log", xlabel="mean depth", title="MAE by depth")
    panels[1].set(xlabel="tissues in the mixture", title="MAE by number of tissues")
    panels[2].set(xlabel="tissues in the mixture", title="spurious by number of tissues")
    for axes in panels[:2]:
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
        axes.set_ylim(bottom=0)
    _whole_ticks(panels[1], results)
    _whole_ticks(panels[2], results)
    panels[0].set_xticks(sorted(results[0].per_mixture["mean_depth"].unique()))
    panels[0].xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panels[0].minorticks_off()
    figure.legend(loc="outside right upper")
    return figure


def _whole_ticks(axes: Axes, results: list[ArmResult]) -> None:
    axes.set_xticks(sorted(results[0].per_mixture["n_tissues"].unique()))


def sweep(table: pd.DataFrame) -> Figure:
    """Plot the best validation MAE against the peak learning rate, a line an arm."""
    figure = Figure(figsize=(5.5, 3.4))
    axes = figure.subplots()
    for arm, rows in table.groupby("arm"):
        ordered = rows.sort_values("learning_rate")
        colour = ARM_COLOURS.get(str(arm), TRUTH)
        axes.plot(ordered["learning_rate"], ordered["val/mae"], "o-", color=colour, label=arm)
        best = ordered.iloc[int(ordered["val/mae"].argmin())]
        axes.plot(best["learning_rate"], best["val/mae"], "o", color=colour, markersize=11, fillstyle="none")
    axes.set(xscale="log", xlabel="peak learning rate", ylabel="best validation MAE", title="learning-rate sweep")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=2))
    axes.legend()
    return figure
