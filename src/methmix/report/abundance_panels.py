"""Errors by true proportion."""

from collections.abc import Hashable
from typing import Any

from matplotlib.figure import Figure

from methmix import metrics
from methmix.pages.axes import estimate_row, labelled_rows, percent_axis
from methmix.pages.style import colour, drawing
from methmix.pages.wording import percent
from methmix.report.arm_results import ArmResult, serious

_CLASSES = {
    "major": "major, > 20 %",
    "minor": "minor, 5 to 20 %",
    "low": f"low, {100 * metrics.PRESENT:g} to 5 %",
    "trace": f"trace, < {percent(metrics.PRESENT)}",
}


def classes(result: ArmResult) -> list[dict[Hashable, Any]]:
    """Give the errors of one arm in each class of true proportion that these mixtures have."""
    return result.by_abundance[result.by_abundance["n"] > 0].to_dict("records")


def headings(results: list[ArmResult]) -> list[str]:
    """Name the classes that these mixtures have, with their numbers of entries."""
    return [f"{_CLASSES[row['abundance']]} (n = {row['n']:,})" for row in classes(results[0])]


@drawing
def errors_by_abundance(results: list[ArmResult]) -> Figure:
    """Draw the mean absolute error of each arm, with its interval, one panel per class."""
    arms, titles = serious(results), headings(results)
    figure = Figure(figsize=(11, 0.34 * len(arms) + 1.1))
    panels = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
    for number, result in enumerate(arms):
        for axes, row in zip(panels, classes(result), strict=True):
            ends = row["mae_low"], row["mae_high"]
            estimate_row(axes, number, row["mae"], ends, percent(row["mae"], 2), colour(result.arm))
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title)
        axes.margins(x=0.35)
        axes.set_xlim(left=0)
        percent_axis(axes.xaxis, ticks=4)
        labelled_rows(axes, [result.arm for result in arms])
    return figure
