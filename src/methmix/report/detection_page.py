"""The figure and the page of the limits of detection."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import NullLocator

from methmix.arms import MAIN
from methmix.detection.sensitivity import shown_limit
from methmix.files.atomic import write_text
from methmix.pages.render import render
from methmix.pages.style import EMPTY, TRUTH, colour, drawing, image, percent_axis, save
from methmix.pages.wording import percent
from methmix.report.arm_results import read_result

logger = logging.getLogger("methmix")


def write_detection_page(folder: Path) -> None:
    """Write ``detection.png`` and ``detection.html`` into the folder that ``python -m methmix.detection`` wrote."""
    record, sensitivities, limits = (
        read_result(folder / name, "measure again: python -m methmix.detection")
        for name in ("detection.json", "detection.csv", "limits.csv")
    )
    figure = _figure(sensitivities, limits, record)
    save(figure, folder / "detection.png")
    write_text(folder / "detection.html", _page(limits, record, figure))
    logger.info("report written to %s", folder / "detection.html")


@drawing
def _figure(sensitivities: pd.DataFrame, limits: pd.DataFrame, record: dict[str, Any]) -> Figure:
    """Draw sensitivity against spike, one panel per depth and false-positive rate, and maps of the limits below."""
    tissues, rates = _tissues(limits), list(dict.fromkeys(limits["fpr"]))
    heights = [2.3 * len(rates) + 0.5, 0.21 * len(tissues) + 1.1]
    figure = Figure(figsize=(12, sum(heights)))
    upper, lower = figure.subfigures(2, 1, height_ratios=heights)
    _curves(upper, sensitivities, rates, record)
    _maps(lower, limits, tissues, record)
    return figure


def _arms(record: dict[str, Any]) -> list[str]:
    """List the arms, the main one first."""
    return sorted(record["arms"], key=lambda arm: arm == MAIN)[::-1]


def _tissues(limits: pd.DataFrame) -> list[str]:
    """Order the tissues by ascending limit of detection of the main arm, averaged over depths and rates."""
    of_main = limits[limits["arm"] == MAIN] if MAIN in set(limits["arm"]) else limits
    # A limit that is not reached counts as ten times the largest one.
    highest = 10 * of_main["limit"].replace(np.inf, np.nan).max()
    hardness = np.log(of_main["limit"].replace(np.inf, 1.0 if np.isnan(highest) else highest))
    return [str(name) for name in hardness.groupby(of_main["tissue"]).mean().sort_values().index]


def _curves(figure: SubFigure, table: pd.DataFrame, rates: list[float], record: dict[str, Any]) -> None:
    """Draw the sensitivity over tissues, median and quartiles, of each arm."""
    depths, spikes = record["settings"]["depths"], record["settings"]["spikes"]
    panels = figure.subplots(len(rates), len(depths), sharex=True, sharey=True, squeeze=False)
    spiked = table[table["spike"] > 0]
    for (row, column), axes in np.ndenumerate(panels):
        # The main arm last, above the others.
        for arm in _arms(record)[::-1]:
            chosen = (spiked["arm"] == arm) & (spiked["depth"] == depths[column]) & (spiked["fpr"] == rates[row])
            by_spike = spiked[chosen].groupby("spike")["sensitivity"]
            middle, shade = by_spike.median(), colour(arm)
            lower, upper = by_spike.quantile(0.25), by_spike.quantile(0.75)
            axes.fill_between(middle.index, lower, upper, color=shade, alpha=0.15, linewidth=0)
            axes.plot(middle.index, middle, "o-", color=shade, markersize=3, label=arm)
        for level in (rates[row], record["sensitivity"]):
            axes.axhline(level, color=TRUTH, linewidth=0.7, linestyle=":")
        axes.set(xscale="log", ylim=(-0.02, 1.03))
        axes.set_xticks(spikes, [percent(spike) for spike in spikes], fontsize=7, rotation=45)
        axes.xaxis.set_minor_locator(NullLocator())
    for axes, depth in zip(panels[0], depths, strict=True):
        axes.set_title(f"mean depth {depth:g}")
    for axes, rate in zip(panels[:, 0], rates, strict=True):
        axes.set_ylabel(f"sensitivity at\n{percent(rate)} false positives")
        percent_axis(axes.yaxis, decimals=0)
    figure.supxlabel("spiked proportion", fontsize=9)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside upper right", ncols=len(labels))


def _maps(figure: SubFigure, limits: pd.DataFrame, tissues: list[str], record: dict[str, Any]) -> None:
    """Draw the limit of each tissue and depth at the first false-positive rate, one map per arm."""
    spikes, depths, rate = record["settings"]["spikes"], record["settings"]["depths"], limits["fpr"].iloc[0]
    title = f"limit of detection: {percent(record['sensitivity'])} sensitivity at {percent(rate)} false positives"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    arms, norm = _arms(record), LogNorm(spikes[0], spikes[-1])
    panels = figure.subplots(1, len(arms), sharey=True, squeeze=False)[0]
    for axes, arm in zip(panels, arms, strict=True):
        chosen = limits[(limits["arm"] == arm) & (limits["fpr"] == rate)]
        values = chosen.pivot_table(index="tissue", columns="depth", values="limit").loc[tissues, depths].to_numpy()
        shades = axes.imshow(np.ma.masked_invalid(values), norm=norm, cmap="YlGnBu_r", aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            dark = np.isfinite(value) and norm(value) < 0.5
            text = shown_limit(value, np.array(spikes)).replace(" %", "").replace("<= ", "≤ ")
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else TRUTH)
        axes.set(title=arm, xlabel="mean depth", facecolor=EMPTY)
        axes.set_xticks(range(len(depths)), [f"{depth:g}" for depth in depths])
        axes.tick_params(length=0)
    panels[0].set_yticks(range(len(tissues)), tissues)
    bar = figure.colorbar(shades, ax=panels, shrink=0.8, aspect=30, ticks=spikes)
    bar.ax.set_yticklabels([percent(spike) for spike in spikes])
    bar.ax.yaxis.set_minor_locator(NullLocator())


def _page(limits: pd.DataFrame, record: dict[str, Any], figure: Figure) -> str:
    settings = record["settings"]
    caption = (
        f"Above: median over {len(record['tissues'])} tissues, band from the first to the third quartile. Below: the "
        f"smallest proportion at which a tissue is detected in {percent(record['sensitivity'])} of the mixtures, in %; "
        "grey where the largest spike is not enough."
    )
    return render(
        "report/detection.html",
        record=record,
        provenance=record["provenance"],
        arms=_arms(record),
        depths=settings["depths"],
        rates=list(dict.fromkeys(limits["fpr"])),
        medians={(row["arm"], row["depth"], row["fpr"]): row for row in record["median_limits"]},
        background=" + ".join(f"{percent(amount)} {name}" for name, amount in settings["background"].items()),
        shown={(row.arm, row.tissue, row.depth, row.fpr): row.shown for row in limits.itertuples()},
        tissues=_tissues(limits),
        images=image(figure, "Sensitivity against spiked proportion, and limits of detection", caption),
    )
