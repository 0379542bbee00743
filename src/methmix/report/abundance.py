"""Errors by how much of a tissue there is, and of the background of cell-free DNA."""

from collections.abc import Hashable
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from methmix import metrics
from methmix.pages.style import ARM_COLOURS, TRUTH, embed, in_unit
from methmix.report.results import ArmResult, serious

_CLASSES = {
    "major": "major, > 20 %",
    "minor": "minor, 5 to 20 %",
    "low": "low, 1 to 5 %",
    "trace": "trace, < 1 %",
}


def headings(results: list[ArmResult]) -> list[str]:
    """Name the classes that these mixtures have, with their numbers of entries."""
    return [f"{_CLASSES[row['abundance']]} (n = {row['n']:,})" for row in _classes(results[0])]


def figure(results: list[ArmResult]) -> Figure:
    """Draw the mean absolute error of each arm, with its interval, a panel a class."""
    arms, titles = serious(results), headings(results)
    drawn = Figure(figsize=(11, 0.34 * len(arms) + 1.1))
    panels = drawn.subplots(1, len(titles), sharey=True, squeeze=False)[0]
    for number, result in enumerate(arms):
        colour = ARM_COLOURS.get(result.arm, TRUTH)
        for axes, row in zip(panels, _classes(result), strict=True):
            axes.plot([row["mae_low"], row["mae_high"]], [number] * 2, color=colour, linewidth=3, alpha=0.6)
            axes.plot(row["mae"], number, "o", color=colour)
            axes.annotate(f" {100 * row['mae']:.2f} %", (row["mae_high"], number), va="center", fontsize=8)
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title, fontweight="normal")
        axes.margins(x=0.35)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set_yticks(range(len(arms)), [result.arm for result in arms])
        axes.set_ylim(len(arms) - 0.5, -0.5)
    return drawn


def rows(results: list[ArmResult]) -> list[dict[str, Any]]:
    """Give the table: for each arm and class the error, and how it comes about."""
    table = []
    for result in serious(results):
        cells = [
            {
                "value": in_unit(row["mae"], "%"),
                "interval": f"{in_unit(row['mae_low'], '%')} to {in_unit(row['mae_high'], '%')}",
                "bias": f"{100 * row['bias']:+.2f} %",
                "ratio": f"{row['prediction_ratio']:.2f}",
                "above_0": f"{100 * row['share_above_0']:.0f} %",
                "called": f"{100 * row['share_called']:.0f} %",
            }
            for row in _classes(result)
        ]
        table.append({"arm": result.arm, "cells": cells})
    return table


def _classes(result: ArmResult) -> list[dict[Hashable, Any]]:
    return result.by_abundance[result.by_abundance["n"] > 0].to_dict("records")


def background(results: list[ArmResult]) -> dict[str, Any]:
    """Give figure and table of how well the background is told; empty where the phase has none."""
    if not results[0].background:
        return {}
    table = []
    for result in serious(results):
        row = {"arm": result.arm}
        for name in ("background_mae", "background_within_3_points"):
            low, high = result.metrics[f"{name}_ci95"]
            row[name] = f"{in_unit(result.metrics[name], '%')} ({in_unit(low, '%')} to {in_unit(high, '%')})"
        table.append(row)
    return {
        "figure": embed(background_figure(results)),
        "rows": table,
        "tissues": results[0].metrics["background"],
        "margin": f"{100 * metrics.BACKGROUND_MARGIN:g}",
    }


def background_figure(results: list[ArmResult]) -> Figure:
    """Plot the predicted background against the true one, one panel an arm, with the margin as a band."""
    arms, columns = serious(results), results[0].background
    true = results[0].true[:, columns].sum(axis=1)
    ends = np.array([true.min() - 0.03, true.max() + 0.03])
    drawn = Figure(figsize=(2.7 * len(arms), 3.2))
    panels = drawn.subplots(1, len(arms), sharex=True, sharey=True, squeeze=False)[0]
    for axes, result in zip(panels, arms, strict=True):
        margin = metrics.BACKGROUND_MARGIN
        axes.fill_between(ends, ends - margin, ends + margin, color=TRUTH, alpha=0.15, linewidth=0)
        axes.plot(ends, ends, color=TRUTH, linewidth=0.7)
        predicted = result.predicted[:, columns].sum(axis=1)
        axes.scatter(
            true, predicted, s=6, alpha=0.5, linewidths=0, color=ARM_COLOURS.get(result.arm, TRUTH), rasterized=True
        )
        axes.set_title(f"{result.arm}: {100 * result.metrics['background_within_3_points']:.1f} % within")
        axes.set(xlabel="true background", xlim=ends)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
    panels[0].set_ylabel("predicted background")
    return drawn
