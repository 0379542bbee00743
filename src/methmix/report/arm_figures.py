"""Figures of the errors of all arms."""

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from methmix import metrics
from methmix.arms import ARMS
from methmix.pages.axes import labelled_rows, mark, percent_axis, tissue_columns
from methmix.pages.style import SPURIOUS, TRUTH, colour, drawing
from methmix.pages.wording import in_unit, percent, shown
from methmix.report.arm_results import ArmResult, serious
from methmix.report.metric_labels import LABELS

_CLASSES = {
    "major": "major, > 20 %",
    "minor": "minor, 5 to 20 %",
    "low": f"low, {100 * metrics.PRESENT:g} to 5 %",
    "trace": f"trace, < {percent(metrics.PRESENT)}",
}


@drawing
def summary(results: list[ArmResult]) -> Figure:
    """Compare the arms in four metrics, with bootstrap intervals."""
    arms, names = serious(results), ("mae", "spurious_per_mixture", "missed_per_mixture", "prediction_ratio")
    estimates = [[(r.metrics[name], r.metrics[f"{name}_ci95"]) for r in arms] for name in names]
    figure = _forest(arms, [LABELS[name].long for name in names], [LABELS[name].unit for name in names], estimates)
    for axes, name in zip(figure.axes, names, strict=True):
        if name == "prediction_ratio":
            mark(axes, 1)
        else:
            axes.set_xlim(left=0)
    return figure


@drawing
def errors_by_abundance(results: list[ArmResult]) -> Figure:
    """Draw the mean absolute error of each arm, with its interval, one panel per class of true proportions."""
    arms, titles = serious(results), headings(results)
    by_arm = [[(row["mae"], (row["mae_low"], row["mae_high"])) for row in classes(result)] for result in arms]
    figure = _forest(arms, titles, ["%"] * len(titles), zip(*by_arm, strict=True))
    for axes in figure.axes:
        axes.set_xlim(left=0)
    return figure


def _forest(
    arms: list[ArmResult], titles: list[str], units: list[str], estimates: Iterable[Iterable[tuple[float, Any]]]
) -> Figure:
    """Draw estimates as dots on their intervals, one row per arm; ``estimates`` has a list for each panel."""
    figure = Figure(figsize=(11, 0.34 * len(arms) + 1.1))
    panels = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
    for axes, title, unit, of_arms in zip(panels, titles, units, estimates, strict=True):
        for row, (result, (value, ends)) in enumerate(zip(arms, of_arms, strict=True)):
            shade = colour(result.arm)
            axes.plot(ends, [row, row], color=shade, linewidth=3, solid_capstyle="butt", alpha=0.6)
            axes.plot(value, row, "o", color=shade)
            beside = {"xytext": (5, 0), "textcoords": "offset points", "va": "center", "fontsize": 8}
            axes.annotate(in_unit(value, unit), (max(value, ends[1]), row), **beside)
        axes.set_title(title)
        axes.margins(x=0.35)
        if unit == "%":
            percent_axis(axes.xaxis, ticks=4)
        labelled_rows(axes, [result.arm for result in arms])
    return figure


@drawing
def scatter(results: list[ArmResult]) -> Figure:
    """Plot predicted against true proportions, one panel per arm; false positives in red."""
    arms = serious(results)
    figure, panels = _panel_per_arm(arms, 3.0, ticks=5)
    for axes, result in zip(panels, arms, strict=True):
        wrong, some = metrics.spurious(result.true, result.predicted), result.true > 0
        axes.scatter(result.true[some], result.predicted[some], s=3, alpha=0.25, linewidths=0, color=colour(result.arm))
        # Absent entries all lie at 0; jitter to the left makes them countable.
        jitter = -0.05 * np.random.default_rng(0).random(wrong.sum())
        axes.scatter(jitter, result.predicted[wrong], s=4, alpha=0.5, linewidths=0, color=SPURIOUS)
        axes.plot([0, 1], [0, 1], color=TRUTH, linewidth=0.7)
        axes.set(title=f"{result.arm}, r = {shown(result.metrics['pearson_r'])}", xlabel="true")
    panels[0].set_ylabel("predicted")
    return figure


def _panel_per_arm(arms: list[ArmResult], height: float, ticks: int | None = None) -> tuple[Figure, Any]:
    figure = Figure(figsize=(2.7 * len(arms), height))
    panels = figure.subplots(1, len(arms), sharex=True, sharey=True, squeeze=False)[0]
    for axis in (axis for axes in panels for axis in (axes.xaxis, axes.yaxis)):
        percent_axis(axis, decimals=0, ticks=ticks)
    return figure, panels


@drawing
def per_tissue(results: list[ArmResult]) -> Figure:
    """Plot the mean absolute error of present entries, and false-positive rates, per tissue."""
    arms = [result for result in results if ARMS[result.arm].selected] or results
    table = arms[0].per_tissue
    width = 0.8 / len(arms)
    figure = Figure(figsize=(max(9.0, 0.42 * len(table)), 5.2))
    upper, lower = figure.subplots(2, 1, sharex=True)
    for number, result in enumerate(arms):
        at = np.arange(len(table)) + (number - (len(arms) - 1) / 2) * width
        rate = result.per_tissue["spurious"] / result.per_tissue["n_absent"].clip(lower=1)
        upper.bar(at, result.per_tissue["mae_present"], width, color=colour(result.arm), label=result.arm)
        lower.bar(at, rate, width, color=colour(result.arm))
    upper.set_title("mean absolute error where present")
    lower.set_title("false-positive rate: proportion of mixtures without the tissue in which it is called")
    for axes in (upper, lower):
        percent_axis(axes.yaxis, decimals=1)
    names = table["tissue"].where(table["shared_donors"] == "none", table["tissue"] + " *")
    tissue_columns(lower, names.tolist())
    figure.legend(ncols=len(arms), loc="outside upper right")
    return figure


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
def strata(results: list[ArmResult]) -> Figure:
    """Plot the error by depth, and error and false positives by number of tissues."""
    figure = Figure(figsize=(11, 3.2))
    panels = figure.subplots(1, 3)
    columns = (("mean_depth", "mae"), ("n_tissues", "mae"), ("n_tissues", "spurious"))
    titles = ("MAE by depth", "MAE by number of tissues", "false positives by number of tissues")
    for axes, (by, column), title in zip(panels, columns, titles, strict=True):
        for result in serious(results):
            means = result.per_mixture.groupby(by)[column].mean()
            axes.plot(means.index, means, "o-", color=colour(result.arm), label=result.arm)
        axes.set(title=title, xlabel="mean depth" if by == "mean_depth" else "tissues in the mixture", ylim=(0, None))
        if by == "mean_depth":
            axes.set_xscale("log")
        if column == "mae":
            percent_axis(axes.yaxis, decimals=1)
        ticks = sorted(results[0].per_mixture[by].unique())
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper")
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
        held = percent(result.metrics["background_within_3_points"], 1)
        axes.set(title=f"{result.arm}: {held} within", xlabel="true background", xlim=ends)
    panels[0].set_ylabel("predicted background")
    return figure


def classes(result: ArmResult) -> list[dict[Hashable, Any]]:
    """List the errors of one arm by class of true proportion, for the classes that occur in these mixtures."""
    return result.by_abundance[result.by_abundance["n"] > 0].to_dict("records")


def headings(results: list[ArmResult]) -> list[str]:
    """Name the classes that occur in these mixtures, with their numbers of entries."""
    return [f"{_CLASSES[row['abundance']]} (n = {row['n']:,})" for row in classes(results[0])]
