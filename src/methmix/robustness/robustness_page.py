"""The page of the suite: what is not held, and for each group of situations a figure and a table."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from methmix.arms import MAIN
from methmix.pages.render import render
from methmix.pages.style import BLUE, ORANGE, TRUTH, Image, colour, drawing, image, percent_axis
from methmix.pages.wording import percent
from methmix.robustness.situations import GROUPS, Kind


class Quantity(NamedTuple):
    """How a quantity is called: in a sentence, and above a column."""

    meaning: str
    short: str
    unit: str = "%"


QUANTITIES = {
    "mae": Quantity("mean absolute error of the proportions", "MAE"),
    "auc": Quantity("area under the ROC curve of presence, present against absent tissues", "ROC area", ""),
    "absent_excluded": Quantity("absent tissues whose interval excludes 0", "absent: interval excludes 0"),
    "absent_said": Quantity("absent tissues with a presence probability of 0.5 or more", "absent: presence ≥ 0.5"),
    "coverage": Quantity("present tissues whose 90 % interval contains the true proportion", "coverage, present"),
    "large_zero": Quantity("tissues of 30 % or more that are given exactly 0", "≥ 30 % given 0"),
    "flagged": Quantity("mixtures flagged as a poor fit", "flagged"),
    "unanswered": Quantity("mixtures without numbers (too few reads)", "not answered"),
    "limit": Quantity("median limit of detection", "median limit"),
    "claimed": Quantity(
        "mixtures in which a tissue is claimed, by an interval that excludes 0 or a presence more than half-way from "
        "its prior to 1",
        "a tissue is claimed",
    ),
    "mae_over_nnls": Quantity("mean absolute error divided by that of NNLS", "MAE / NNLS", ""),
    "auc_minus_nnls": Quantity("ROC area of presence less that of the NNLS proportion", "ROC area - NNLS", ""),
}
# Columns of the tables; those of a nothing have no truth.
_COLUMNS = ("mae", "auc", "absent_excluded", "absent_said", "coverage", "large_zero", "flagged", "unanswered", "limit")
_OF_NOTHING = ("claimed", "absent_excluded", "absent_said", "flagged", "unanswered", "limit")


def words(verdict: dict[str, Any]) -> str:
    """Write a verdict: the quantity, its value, and the range that is expected."""
    quantity = QUANTITIES[verdict["quantity"]]
    return f"{quantity.meaning}: {_number(verdict['value'], quantity.unit)}, expected {_bounds(verdict)}"


def _bounds(verdict: dict[str, Any]) -> str:
    quantity = QUANTITIES[verdict["quantity"]]
    low, high = (_number(verdict[end], quantity.unit) if end in verdict else None for end in ("low", "high"))
    if low and high:
        return f"{low} to {high}"
    if high:
        return "none" if verdict["high"] == 0 else f"at most {high}"
    return f"at least {low}"


def _number(value: float, unit: str) -> str:
    if np.isnan(value):
        return "-"
    if np.isinf(value):
        return "not known"
    return percent(value, 1 if abs(value) >= 0.0995 or value == 0 else 2) if unit == "%" else f"{value:.3f}"


def robustness_page(record: dict[str, Any]) -> str:
    """Render the page of a record."""
    groups = []
    for kind, (title, what) in GROUPS.items():
        own = [situation for situation in record["situations"] if situation["group"] == kind]
        if own:
            columns = _OF_NOTHING if kind == "nothing" else _COLUMNS
            groups.append({"id": kind, "title": title, "what": what, "images": _images(kind, own), "columns": columns,
                           "rows": [_row(situation, columns) for situation in own]})  # fmt: skip
    return render(
        "robustness/robustness.html",
        record=record,
        provenance=record["provenance"],
        quantities=QUANTITIES,
        groups=groups,
        broken=_broken(record["situations"]),
        main=MAIN,
    )


def _broken(situations: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Gather what is not held: title of the group -> a sentence per expectation, with the situations and values."""
    found: dict[str, dict[str, list[str]]] = {}
    for situation in situations:
        for verdict in situation["expectations"]:
            if not verdict["held"]:
                quantity = QUANTITIES[verdict["quantity"]]
                sentence = f"{quantity.meaning}, expected {_bounds(verdict)}"
                of_group = found.setdefault(GROUPS[situation["group"]][0], {})
                value = _number(verdict["value"], quantity.unit)
                of_group.setdefault(sentence, []).append(f"{value} ({situation['situation']})")
    return {
        title: [f"{sentence}: {', '.join(values)}" for sentence, values in own.items()] for title, own in found.items()
    }


def _row(situation: dict[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    """Write the numbers of a situation, and mark those of the main arm that are not as expected."""
    broken = {verdict["quantity"] for verdict in situation["expectations"] if not verdict["held"]}
    # The comparison with NNLS is marked in the column that it compares.
    marked = broken | {"mae" for _ in broken & {"mae_over_nnls"}} | {"auc" for _ in broken & {"auc_minus_nnls"}}
    cells = {
        method: [
            {"text": _number(values[name], QUANTITIES[name].unit), "wrong": method == MAIN and name in marked}
            for name in columns
        ]
        for method, values in situation["methods"].items()
    }
    verdicts = [{"text": words(verdict), "held": verdict["held"]} for verdict in situation["expectations"]]
    return {"name": situation["situation"], "n": situation["n"], "cells": cells, "verdicts": verdicts}


def _images(kind: Kind, situations: list[dict[str, Any]]) -> list[Image]:
    caption = "" if kind == "nothing" else "Dotted lines: the limits that are expected to hold for absent tissues."
    return image(_figure(kind, situations), f"{GROUPS[kind][0]}: errors and certainty in each situation", caption)


@drawing
def _figure(kind: Kind, situations: list[dict[str, Any]]) -> Figure:
    """Draw error, order, certainty about absent tissues, and refusals, one column per situation."""
    figure = Figure(figsize=(12, 3.4))
    panels = figure.subplots(1, 2 if kind == "nothing" else 4, squeeze=False)[0]
    if kind != "nothing":
        _of_methods(panels[0], situations, "mae", "mean absolute error")
        _of_methods(panels[1], situations, "auc", "ROC area of presence")
        percent_axis(panels[0].yaxis)
    sure = {"absent_excluded": (BLUE, "interval excludes 0"), "absent_said": (ORANGE, "presence ≥ 0.5")}
    _of_main(panels[-2], situations, sure, "absent tissues, sparse")
    if kind != "nothing":
        for level, shade in ((0.07, BLUE), (0.03, ORANGE)):
            panels[-2].axhline(level, color=shade, linewidth=0.8, linestyle=":")
    of_mixtures = {"flagged": (TRUTH, "poor fit"), "unanswered": (ORANGE, "not answered")}
    of_mixtures |= {"claimed": (BLUE, "a tissue is claimed")} if kind == "nothing" else {}
    _of_main(panels[-1], situations, of_mixtures, "mixtures, sparse")
    # Panels have the same methods.
    handles, labels = panels[0].get_legend_handles_labels()
    if kind != "nothing":
        figure.legend(handles[::-1], labels[::-1], fontsize=8, loc="outside upper left", ncols=len(labels))
    for axes in panels:
        axes.set_xticks(range(len(situations)), [own["situation"] for own in situations], rotation=60, ha="right")
        axes.tick_params(axis="x", labelsize=7)
        axes.set_xlim(-0.5, len(situations) - 0.5)
    return figure


def _of_methods(axes: Axes, situations: list[dict[str, Any]], name: str, title: str) -> None:
    """Draw a quantity of every method, the main arm above the others."""
    methods = list(situations[0]["methods"])
    for method in methods[::-1]:
        values = [situation["methods"][method][name] for situation in situations]
        axes.plot(range(len(values)), values, "o", color=colour(method), markersize=6, alpha=0.85, label=method)
    axes.set_title(title)


def _of_main(axes: Axes, situations: list[dict[str, Any]], quantities: dict[str, tuple[str, str]], title: str) -> None:
    """Draw proportions of the main arm as bars side by side."""
    width = 0.8 / len(quantities)
    for number, (name, (shade, label)) in enumerate(quantities.items()):
        values = np.nan_to_num([situation["methods"][MAIN][name] for situation in situations])
        place = np.arange(len(values)) + (number - (len(quantities) - 1) / 2) * width
        axes.bar(place, values, width=width, color=shade, label=label)
    axes.set_title(title)
    percent_axis(axes.yaxis)
    # Room for the legend above the bars.
    axes.set_ylim(0, max(0.1, 1.35 * axes.get_ylim()[1]))
    axes.set_yticks([tick for tick in axes.get_yticks() if tick <= min(1, axes.get_ylim()[1])])
    axes.legend(fontsize=7, loc="upper left")
