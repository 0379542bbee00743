"""The page of the spikes: what is called at a stated specificity, what is estimated, and by how many controls."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from methmix.arms import ARMS, MAIN
from methmix.normals.specificity import SPECIFICITIES, specificity_of
from methmix.pages.render import render
from methmix.pages.style import BLUE, ORANGE, TRUTH, Image, colour, drawing, image, percent_axis
from methmix.spikes.hardships import AMOUNTS
from methmix.spikes.spike_methods import WITH_PANEL


def spikes_page(record: dict[str, Any]) -> str:
    """Render the page of a record."""
    return render(
        "spikes/spikes.html",
        record=record,
        provenance=record["provenance"],
        labels={name: label(name) for name in record["methods"]},
        called=[f"called_{100 * stated:.0f}" for stated in SPECIFICITIES],
        specificities=SPECIFICITIES,
        stated=[specificity_of(stated, record["n_panel"]) for stated in SPECIFICITIES],
        covered=[part for part in record["methods"][WITH_PANEL]["coverage_90"][1:] if part is not None],
        main=WITH_PANEL,
        hard_amount=AMOUNTS[-1],
        images=[*_sensitivity_images(record), *_estimate_images(record), *_tissue_images(record)],
    )


def label(method: str) -> str:
    """Name a method for a reader."""
    if method == WITH_PANEL:
        return f"{MAIN} with a panel of normals"
    return ARMS[method].label.removesuffix(", cut") if method in ARMS else method


def _sensitivity_images(record: dict[str, Any]) -> list[Image]:
    n = f"{record['n_panel']} controls make the panel, {record['n_spiked']} are spiked, {record['n_divisions']} times."
    return image(
        _sensitivity(record),
        "Sensitivity against the spiked amount, for each method, at two specificities and two depths",
        f"Called: above the threshold that the panel's controls set at the stated specificity. {n} At 0: the unseen "
        "controls that are false positives (dotted: as stated). Bars: 95 % bootstrap over controls.",
    )


def _estimate_images(record: dict[str, Any]) -> list[Image]:
    return image(
        _estimates(record),
        "Estimated amount of the spiked tissue and of absent tissues, and coverage of intervals",
        "Left: mean estimate of the spiked tissue (dotted: the truth). Middle: mean estimate of each absent tissue. "
        "Right: intervals that contain the truth (dotted: as stated); methods without intervals are not drawn.",
    )


def _tissue_images(record: dict[str, Any]) -> list[Image]:
    return image(
        _by_tissue(record),
        "Sensitivity by tissue, and by the number of controls in the panel",
        "Left: each tissue, called at 95 % specificity with the panel. Right: panels of fewer controls, and no panel.",
    )


@drawing
def _sensitivity(record: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(12, 3.6))
    panels = figure.subplots(1, 4, sharey=True)
    depths = (
        ("as they are", record["methods"]),
        (f"depth {record['thinned']['depth']:g}", record["thinned"]["methods"]),
    )
    for number, (depth, methods) in enumerate(depths):
        for row, stated in enumerate(SPECIFICITIES):
            axes, key = panels[2 * number + row], f"called_{100 * stated:.0f}"
            for name, values in methods.items():
                low, high = np.array(values[f"{key}_ci95"], dtype=float).T
                rate = np.array(values[key])
                error = np.clip([rate - low, high - rate], 0, None)
                axes.errorbar(
                    _places(record), rate, yerr=error, color=_colour(name), label=label(name), marker=".", linewidth=1.3
                )
            axes.axhline(1 - stated, color=TRUTH, linewidth=0.8, linestyle=":")
            axes.set(title=f"{100 * stated:g} % specificity, {depth}")
            _amounts(axes, record)
    percent_axis(panels[0].yaxis)
    panels[0].set_ylabel("called")
    figure.legend(*panels[0].get_legend_handles_labels(), fontsize=8, loc="outside upper left", ncols=5)
    return figure


@drawing
def _estimates(record: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(12, 3.4))
    panels = figure.subplots(1, 3)
    for name, values in record["methods"].items():
        style = {"color": _colour(name), "marker": ".", "linewidth": 1.3}
        panels[0].plot(_places(record), values["mean_estimate"], **style)
        panels[1].plot(_places(record), values["absent_each"], label=label(name), **style)
        if values["coverage_90"][0] is not None:
            panels[2].plot(_places(record), values["coverage_90"], **style)
    panels[0].plot(_places(record), record["spikes"], ":", color=TRUTH)
    panels[2].axhline(0.9, color=TRUTH, linewidth=0.8, linestyle=":")
    titles = ("estimate of the spiked tissue", "estimate of each absent tissue", "coverage of 90 % intervals")
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title)
        _amounts(axes, record)
        percent_axis(axes.yaxis)
    panels[2].set_ylim(0, 1.03)
    figure.legend(*panels[1].get_legend_handles_labels(), fontsize=8, loc="outside upper left", ncols=5)
    return figure


@drawing
def _by_tissue(record: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(12, 3.4))
    left, right = figure.subplots(1, 2, sharey=True)
    for number, (tissue, methods) in enumerate(record["by_tissue"].items()):
        shade = f"C{number % 10}"
        left.plot(_places(record), methods[WITH_PANEL]["called_95"], marker=".", color=shade, label=tissue)
    sizes = {f"{size} controls": own for size, own in record["by_panel_size"].items()}
    curves = {
        "no panel": record["methods"][MAIN],
        **sizes,
        f"{record['n_panel']} controls": record["methods"][WITH_PANEL],
    }
    shades = np.linspace(0.25, 1, len(curves))
    for (name, values), strength in zip(curves.items(), shades, strict=True):
        own = {"color": ORANGE} if name == "no panel" else {"color": BLUE, "alpha": float(strength)}
        right.plot(_places(record), values["called_95"], marker=".", label=name, **own)
    for axes, title in ((left, "by tissue"), (right, "by the number of controls in the panel")):
        axes.set_title(title)
        axes.legend(fontsize=7, loc="lower right")
        _amounts(axes, record)
    percent_axis(left.yaxis)
    left.set_ylabel("called at 95 % specificity")
    return figure


def _colour(method: str) -> str:
    return BLUE if method == WITH_PANEL else ORANGE if method == MAIN else colour(method)


def _places(record: dict[str, Any]) -> list[int]:
    return list(range(len(record["spikes"])))


def _amounts(axes: Axes, record: dict[str, Any]) -> None:
    axes.set_xticks(_places(record), [f"{100 * amount:g}" for amount in record["spikes"]])
    axes.set_xlabel("spiked, %")
