"""The figure of the limits of detection: stated limits against what is found, sensitivities, and maps of the limits."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import NullLocator

from methmix.arms import ARMS, MAIN
from methmix.detection.sensitivity import EQUAL, SHIPPED, Threshold, shown_limit
from methmix.detection.stated_limits import BALANCED
from methmix.pages.style import BLUE, EMPTY, ORANGE, TRUTH, colour, drawing, percent_axis, short
from methmix.pages.wording import percent

# Tissues are joined to so many groups of about the same stated limit, through which the curve is drawn.
_GROUPS = 4
# Beyond this false-positive rate a proportion that is called is no limit.
MOST_FALSE = 0.1


@drawing
def detection_figure(sensitivities: pd.DataFrame, limits: pd.DataFrame, record: dict[str, Any]) -> Figure:
    """Draw the stated limits, sensitivity at two kinds of threshold, and maps of the limits, of drawn donors."""
    sensitivities, limits = (table[table["donors"] == "drawn"] for table in (sensitivities, limits))
    tissues, thresholds = ordered_tissues(limits), (SHIPPED, fair_threshold(record))
    heights = [2.9, 2.4 * len(thresholds) + 0.6, 0.21 * len(tissues) + 1.1]
    figure = Figure(figsize=(12, sum(heights)))
    panels: Any = figure.subfigures(3, 1, height_ratios=heights)
    _stated(panels[0], record)
    _curves(panels[1], sensitivities, thresholds, record)
    _maps(panels[2], limits, tissues, thresholds[-1], record)
    return figure


def fair_threshold(record: dict[str, Any]) -> Threshold:
    """Choose the threshold at which arms can be compared: the main arm's false positives or, without it, 5 %."""
    return EQUAL if MAIN in record["arms"] else Threshold("other donors", 0.05)


def at_threshold(table: pd.DataFrame, threshold: Threshold) -> pd.DataFrame:
    """Select the rows of one threshold."""
    same_rate = table["fpr"].isna() if np.isnan(threshold.rate) else table["fpr"] == threshold.rate
    return table[(table["threshold"] == threshold.kind) & same_rate]


def ordered_arms(record: dict[str, Any]) -> list[str]:
    """List the arms, the main one first."""
    return sorted(record["arms"], key=lambda arm: arm == MAIN)[::-1]


def ordered_tissues(limits: pd.DataFrame) -> list[str]:
    """Order the tissues by ascending limit of detection of the main arm, averaged over depths and thresholds."""
    of_main = limits[limits["arm"] == MAIN] if MAIN in set(limits["arm"]) else limits
    # A limit that is not reached counts as ten times the largest one.
    highest = 10 * of_main["limit"].replace(np.inf, np.nan).max()
    hardness = np.log(of_main["limit"].replace(np.inf, 1.0 if np.isnan(highest) else highest))
    return [str(name) for name in hardness.groupby(of_main["tissue"]).mean().sort_values().index]


def _stated(figure: SubFigure, record: dict[str, Any]) -> None:
    """Draw the proportion called at the stated limit against that limit: a dot per tissue, a curve per background."""
    depths = record["settings"]["depths"]
    panels = figure.subplots(1, len(depths), sharex=True, sharey=True, squeeze=False)[0]
    table = pd.DataFrame(record["stated_limit"], columns=["background", "depth", "limit", "called"])
    known = table.dropna()
    for axes, depth in zip(panels, depths, strict=True):
        for background, shade in ((record["background"], BLUE), (BALANCED, ORANGE)):
            chosen = known[(known["depth"] == depth) & (known["background"] == background)].sort_values("limit")
            axes.plot(chosen["limit"], chosen["called"], ".", color=shade, alpha=0.4, markersize=6)
            groups = np.array_split(np.arange(len(chosen)), min(_GROUPS, len(chosen)) or 1)
            middle = [chosen.iloc[rows][["limit", "called"]].astype(float).mean() for rows in groups if len(rows)]
            axes.plot([m["limit"] for m in middle], [m["called"] for m in middle], "o-", color=shade, label=background)
        axes.axhline(record["sensitivity"], color=TRUTH, linewidth=0.8, linestyle=":")
        axes.set(ylim=(-0.03, 1.04), title=f"mean depth {depth:g}")
        if known.empty:
            axes.text(0.5, 0.5, "no limit is stated", transform=axes.transAxes, ha="center", color=TRUTH)
        else:
            percent_axis(axes.xaxis, decimals=1, ticks=5)
    panels[0].set_ylabel("called at the stated limit")
    percent_axis(panels[0].yaxis, decimals=0)
    figure.supxlabel("stated limit of detection", fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2, title="spiked into", alignment="left")


def _curves(figure: SubFigure, table: pd.DataFrame, thresholds: tuple[Threshold, ...], record: dict[str, Any]) -> None:
    """Draw the sensitivity over tissues, median and quartiles, of each arm, a row of panels per threshold."""
    depths, spikes = record["settings"]["depths"], record["settings"]["spikes"]
    panels = figure.subplots(len(thresholds), len(depths), sharex=True, sharey=True, squeeze=False)
    for (row, column), axes in np.ndenumerate(panels):
        here = at_threshold(table, thresholds[row])
        _sensitivity_panel(axes, here[here["depth"] == depths[column]], record)
        axes.set_xticks(spikes, [percent(spike) for spike in spikes], fontsize=7, rotation=45)
        axes.xaxis.set_minor_locator(NullLocator())
    for axes, depth in zip(panels[0], depths, strict=True):
        axes.set_title(f"mean depth {depth:g}")
    for axes, threshold in zip(panels[:, 0], thresholds, strict=True):
        axes.set_ylabel(f"sensitivity,\n{threshold_name(threshold)}")
        percent_axis(axes.yaxis, decimals=0)
    figure.supxlabel("true proportion of the spiked tissue", fontsize=9)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside upper right", ncols=len(labels))


def _sensitivity_panel(axes: Axes, table: pd.DataFrame, record: dict[str, Any]) -> None:
    """Draw one depth at one threshold; the false-positive rate of each arm is a dash at the left edge."""
    # The main arm last, above the others.
    for arm in ordered_arms(record)[::-1]:
        of_arm = table[table["arm"] == arm]
        by_spike = of_arm[of_arm["spike"] > 0].groupby("spike")["sensitivity"]
        middle, shade = by_spike.median(), colour(arm)
        lower, upper = by_spike.quantile(0.25), by_spike.quantile(0.75)
        axes.fill_between(middle.index, lower, upper, color=shade, alpha=0.15, linewidth=0)
        axes.plot(middle.index, middle, "o-", color=shade, markersize=3, label=ARMS[arm].label if arm in ARMS else arm)
        false = of_arm.loc[of_arm["spike"] == 0, "sensitivity"].mean()
        axes.plot([0, 0.06], [false, false], color=shade, linewidth=2.5, transform=axes.get_yaxis_transform())
    axes.axhline(record["sensitivity"], color=TRUTH, linewidth=0.7, linestyle=":")
    axes.set(xscale="log", ylim=(-0.02, 1.03))


def threshold_name(threshold: Threshold) -> str:
    """Write a threshold for a reader."""
    match threshold.kind:
        case "shipped":
            return "shipped threshold"
        case "equal":
            return f"false positives as {MAIN}"
    return f"{threshold.kind}, {percent(threshold.rate)} false positives"


def _maps(
    figure: SubFigure, limits: pd.DataFrame, tissues: list[str], threshold: Threshold, record: dict[str, Any]
) -> None:
    """Draw the limit of each tissue and depth at a threshold, one map per arm."""
    spikes, depths = record["settings"]["spikes"], record["settings"]["depths"]
    title = f"limit of detection, {percent(record['sensitivity'])} called; {threshold_name(threshold)}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    arms, norm = ordered_arms(record), LogNorm(spikes[0], spikes[-1])
    panels = figure.subplots(1, len(arms), sharey=True, squeeze=False)[0]
    of_threshold = at_threshold(limits, threshold)
    for axes, arm in zip(panels, arms, strict=True):
        chosen = of_threshold[of_threshold["arm"] == arm]
        values = chosen.pivot_table(index="tissue", columns="depth", values="limit").loc[tissues, depths].to_numpy()
        shades = axes.imshow(np.ma.masked_invalid(values), norm=norm, cmap="YlGnBu_r", aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            dark = np.isfinite(value) and norm(value) < 0.5
            text = shown_limit(value, np.array(spikes)).replace(" %", "").replace("<= ", "≤ ")
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else TRUTH)
        axes.set(title=ARMS[arm].label if arm in ARMS else arm, xlabel="mean depth", facecolor=EMPTY)
        axes.set_xticks(range(len(depths)), [f"{depth:g}" for depth in depths])
        axes.tick_params(length=0)
    panels[0].set_yticks(range(len(tissues)), [*map(short, tissues)])
    bar = figure.colorbar(shades, ax=panels, shrink=0.8, aspect=30, ticks=spikes)
    bar.ax.set_yticklabels([percent(spike) for spike in spikes])
    bar.ax.yaxis.set_minor_locator(NullLocator())
