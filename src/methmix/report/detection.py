"""Limit of detection: its figure and its page."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import NullLocator, PercentFormatter

from methmix.arms import MAIN, names
from methmix.detection.limits import shown_limit
from methmix.errors import InputError
from methmix.pages.style import ARM_COLOURS, TRUTH, embed, template

_UNREACHED = "#d9d9d9"


def read_detection(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Read what ``python -m methmix.detection`` has written: sensitivities, limits and the record.

    Raises
    ------
    InputError
        A file is missing or damaged.
    """
    again = "measure again: python -m methmix.detection"
    try:
        record: dict[str, Any] = json.loads((folder / "detection.json").read_text())
        return pd.read_csv(folder / "detection.csv"), pd.read_csv(folder / "limits.csv"), record
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: there is no such file", again) from None
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{folder}: a file is damaged ({error})", again) from None


def draw(sensitivities: pd.DataFrame, limits: pd.DataFrame, record: dict[str, Any]) -> Figure:
    """Draw sensitivity against spike, a panel per depth and false-positive rate, and maps of the limits below."""
    arms, tissues = _arms(record), _tissues(limits)
    depths, rates = record["settings"]["depths"], list(dict.fromkeys(limits["fpr"]))
    heights = [2.3 * len(rates) + 0.5, 0.21 * len(tissues) + 1.1]
    figure = Figure(figsize=(12, sum(heights)))
    grid = figure.add_gridspec(2, 1, height_ratios=heights)
    upper, lower = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
    _curves(upper, sensitivities, arms, depths, rates, record["sensitivity"])
    _maps(lower, limits, arms, tissues, record)
    return figure


def _arms(record: dict[str, Any]) -> list[str]:
    """List the arms, the main one last, so that it is drawn above the others."""
    return sorted(record["arms"], key=lambda arm: arm == MAIN)


def _tissues(limits: pd.DataFrame) -> list[str]:
    """Order the tissues from the easiest to the hardest for the main arm."""
    of_main = limits[limits["arm"] == MAIN] if MAIN in set(limits["arm"]) else limits
    # Not reached counts as ten times the largest limit.
    highest = 10 * of_main["limit"].replace(np.inf, np.nan).max()
    hardness = np.log(of_main["limit"].replace(np.inf, 1.0 if np.isnan(highest) else highest))
    return [str(name) for name in hardness.groupby(of_main["tissue"]).mean().sort_values().index]


def _curves(
    figure: SubFigure, table: pd.DataFrame, arms: list[str], depths: list[float], rates: list[float], target: float
) -> None:
    panels = figure.subplots(len(rates), len(depths), sharex=True, sharey=True, squeeze=False)
    for row, rate in enumerate(rates):
        for axes, depth in zip(panels[row], depths, strict=True):
            for arm in arms:
                chosen = table[(table["arm"] == arm) & (table["depth"] == depth) & (table["fpr"] == rate)]
                by_spike = chosen[chosen["spike"] > 0].groupby("spike")["sensitivity"]
                middle = by_spike.median()
                colour = ARM_COLOURS.get(arm, TRUTH)
                axes.fill_between(
                    middle.index,
                    by_spike.quantile(0.25),
                    by_spike.quantile(0.75),
                    color=colour,
                    alpha=0.15,
                    linewidth=0,
                )
                axes.plot(middle.index, middle, "o-", color=colour, markersize=3, label=arm)
            for level in (rate, target):
                axes.axhline(level, color=TRUTH, linewidth=0.7, linestyle=":")
            _percent_axis(axes, sorted(set(table["spike"]) - {0.0}))
            if row == 0:
                axes.set_title(f"mean depth {depth:g}")
            if row == len(rates) - 1:
                axes.set_xlabel("spiked share")
        panels[row, 0].set_ylabel(f"sensitivity at\n{100 * rate:g} % false positives")
        panels[row, 0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside upper right", ncols=len(arms))


def _percent_axis(axes: Axes, spikes: list[float]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(spikes, [f"{100 * spike:g} %" for spike in spikes], fontsize=7)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(-0.02, 1.03)


def _maps(figure: SubFigure, limits: pd.DataFrame, arms: list[str], tissues: list[str], record: dict[str, Any]) -> None:
    """Draw the limit of each tissue and depth at the first false-positive rate, a map per arm."""
    spikes, depths, rate = record["settings"]["spikes"], record["settings"]["depths"], limits["fpr"].iloc[0]
    figure.suptitle(
        f"limit of detection: {100 * record['sensitivity']:g} % sensitivity at {100 * rate:g} % false positives",
        x=0.01, ha="left", fontsize=10,
    )  # fmt: skip
    panels = np.atleast_1d(figure.subplots(1, len(arms), sharey=True))
    norm = LogNorm(spikes[0], spikes[-1])
    for axes, arm in zip(panels, arms[::-1], strict=True):
        chosen = limits[(limits["arm"] == arm) & (limits["fpr"] == rate)]
        values = chosen.pivot_table(index="tissue", columns="depth", values="limit").loc[tissues, depths].to_numpy()
        image = axes.imshow(np.ma.masked_invalid(values), norm=norm, cmap="YlGnBu_r", aspect="auto")
        axes.set_facecolor(_UNREACHED)
        for (row, column), value in np.ndenumerate(values):
            dark = np.isfinite(value) and norm(value) < 0.5
            text = shown_limit(value, np.array(spikes)).replace(" %", "").replace("<= ", "≤ ")
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else TRUTH)
        axes.set_xticks(range(len(depths)), [f"{depth:g}" for depth in depths])
        axes.tick_params(length=0)
        axes.set(title=arm, xlabel="mean depth")
    panels[0].set_yticks(range(len(tissues)), tissues)
    bar = figure.colorbar(image, ax=panels, shrink=0.8, aspect=30, ticks=spikes)
    bar.ax.set_yticklabels([f"{100 * spike:g} %" for spike in spikes])
    bar.ax.yaxis.set_minor_locator(NullLocator())


def render(limits: pd.DataFrame, record: dict[str, Any], figure: Figure) -> str:
    """Render the page: one file that opens offline."""
    arms = _arms(record)[::-1]
    depths = record["settings"]["depths"]
    medians = {(row["arm"], row["depth"], row["fpr"]): row for row in record["median_limits"]}
    return template("detection.html").render(
        record=record,
        provenance=record["provenance"],
        arms=arms,
        trained=names("trained"),
        depths=depths,
        rates=list(dict.fromkeys(limits["fpr"])),
        medians=medians,
        background=" + ".join(f"{100 * share:g} % {name}" for name, share in record["settings"]["background"].items()),
        shown={(row.arm, row.tissue, row.depth, row.fpr): row.shown for row in limits.itertuples()},
        tissues=_tissues(limits),
        figure=embed(figure),
    )
