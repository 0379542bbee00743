"""Figures of a sweep: false positives against missed tissues, the error over two keys, and all keys side by side."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from methmix.pages.style import BLUE, SPURIOUS, TRUTH, drawing, percent_axis
from methmix.pages.wording import percent
from methmix.report.metric_labels import LABELS
from methmix.sweep.choice import succeeded
from methmix.sweep.points import setting_text

# With more values than these, a key has an axis of its numbers, linear or logarithmic.
_MOST_RANKED = 8
_LOGARITHMIC_FROM = 20
_COLOURS = "viridis_r"
_REACHED = ("mae", "spurious_per_mixture", "missed_per_mixture")


class KeyAxis(NamedTuple):
    """Where the values of a key lie, from 0 to 1, [n_points]; ticks and their labels; whether these are all values."""

    positions: npt.NDArray[np.float64]
    ticks: npt.NDArray[np.float64]
    labels: list[str]
    ranked: bool


def key_axis(values: Sequence[Any]) -> KeyAxis:
    """Lay out the values of a key: few of them, or words, evenly spaced in order; numbers else on a scale of theirs."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    names = [setting_text(value) for value in values]
    if not numbers or len(set(names)) <= _MOST_RANKED:
        order = (
            sorted(set(zip(values, names, strict=True))) if numbers else [(name, name) for name in sorted(set(names))]
        )
        labels = [name for _, name in order]
        ticks = np.linspace(0, 1, len(labels)) if len(labels) > 1 else np.array([0.5])
        return KeyAxis(ticks[[labels.index(name) for name in names]], ticks, labels, ranked=True)
    own = np.array(values, dtype=float)
    logarithmic = own.min() > 0 and own.max() / own.min() >= _LOGARITHMIC_FROM
    scaled = np.log(own) if logarithmic else own
    ticks = np.linspace(0, 1, 4)
    at = scaled.min() + ticks * (scaled.max() - scaled.min())
    labels = [f"{value:.2g}" for value in (np.exp(at) if logarithmic else at)]
    return KeyAxis((scaled - scaled.min()) / (scaled.max() - scaled.min()), ticks, labels, ranked=False)


@drawing
def front_figure(whole: pd.DataFrame) -> Figure:
    """Plot false positives against missed tissues on validation, and the front, which nothing improves in both.

    Points that have failed are left out and counted: they would leave no room for the differences between the others.
    """
    figure = Figure(figsize=(6.4, 4.4))
    axes = figure.subplots()
    shown = succeeded(whole["mae_mean"]) | whole["shipped"] | whole["recommended"]
    if not shown.all():
        axes.set_title(f"not shown: points of more than four times the lowest MAE, {(~shown).sum()}", fontsize=8)
    whole = whole[shown]
    x, y = (whole[f"{name}_mean"] for name in _REACHED[1:])
    spread = [whole[f"{name}_sd"].fillna(0) for name in _REACHED[1:]]
    axes.errorbar(x, y, xerr=spread[0], yerr=spread[1], fmt="none", color="#cccccc", linewidth=0.8, zorder=1)
    front = whole[whole["on_front"]].sort_values("spurious_per_mixture_mean")
    axes.step(
        front["spurious_per_mixture_mean"], front["missed_per_mixture_mean"], where="post", color=TRUTH,
        linewidth=1, label="front", zorder=2,
    )  # fmt: skip
    axes.scatter(x, y, c=whole["mae_mean"], cmap=_COLOURS, norm=_scale(whole), s=34, zorder=3)
    _highlight(axes, whole, x, y)
    axes.axvline(float(x[whole["shipped"]].iloc[0]), color=TRUTH, linewidth=0.8, linestyle=":")
    axes.set(xlabel=LABELS["spurious_per_mixture"].long, ylabel=LABELS["missed_per_mixture"].long)
    axes.legend(fontsize=8)
    _colour_bar(figure, axes, whole)
    return figure


@drawing
def map_figure(whole: pd.DataFrame, keys: Sequence[str]) -> Figure:
    """Draw the validation MAE over two keys (at each pair of values, the mean over the others), or over one key."""
    figure = Figure(figsize=(6.4, 4.4))
    axes = figure.subplots()
    if len(keys) == 1:
        _along(axes, whole, keys[0])
        return figure
    x, y = (key_axis(whole[key].tolist()) for key in keys)
    if x.ranked and y.ranked:
        _cells(axes, whole, x, y)
    else:
        axes.scatter(x.positions, y.positions, c=whole["mae_mean"], cmap=_COLOURS, norm=_scale(whole), s=60)
    _highlight(axes, whole, x.positions, y.positions)
    axes.set_xticks(x.ticks, x.labels)
    axes.set_yticks(y.ticks, y.labels)
    axes.set(xlabel=keys[0], ylabel=keys[1])
    axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    _colour_bar(figure, axes, whole)
    return figure


@drawing
def parallel_figure(whole: pd.DataFrame, keys: Sequence[str]) -> Figure:
    """Draw each point as a line through the values of its keys and what it reached on validation."""
    columns = [*keys, *(f"{name}_mean" for name in _REACHED)]
    figure = Figure(figsize=(max(6.4, 1.7 * len(columns)), 4.2))
    axes = figure.subplots()
    shade = colormaps[_COLOURS]
    scale = _scale(whole)
    # Measured values lie on a scale of their own, however few there are; that of the error is the one of the colours.
    lines = [key_axis(whole[key].tolist()) for key in keys]
    lines += [
        _measured(whole[column], _highest_shown(whole) if column == "mae_mean" else float(whole[column].max()))
        for column in columns[len(keys) :]
    ]
    places = np.array([line.positions for line in lines]).T
    at = np.arange(len(columns))
    for row, place in zip(whole.to_dict("records"), places, strict=True):
        axes.plot(at, place, color=shade(scale(row["mae_mean"])), linewidth=1, alpha=0.7)
    for flag, (colour, width) in {"shipped": (TRUTH, 2.2), "recommended": (SPURIOUS, 2.2)}.items():
        axes.plot(at, places[whole[flag].to_numpy()][0], color=colour, linewidth=width, label=flag, zorder=4)
    for number, line in enumerate(lines):
        axes.axvline(number, color="#999999", linewidth=0.8, zorder=0)
        for tick, label in zip(line.ticks, line.labels, strict=True):
            axes.text(
                number + 0.03, tick, label, fontsize=7, va="center", zorder=6,
                bbox={"fc": "white", "ec": "none", "pad": 0.5},
            )  # fmt: skip
    names = [*(key.replace(".", ".\n") for key in keys), *(LABELS[name].short for name in _REACHED)]
    axes.set_xticks(at, names)
    axes.set_yticks([])
    axes.set(xlim=(-0.15, len(columns) - 0.6), ylim=(-0.06, 1.06))
    axes.spines["left"].set_visible(False)
    axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    _colour_bar(figure, axes, whole)
    return figure


def _along(axes: Axes, whole: pd.DataFrame, key: str) -> None:
    along = key_axis(whole[key].tolist())
    order = np.argsort(along.positions)
    place, rows = along.positions[order], whole.iloc[order]
    axes.errorbar(place, rows["mae_mean"], yerr=rows["mae_sd"].fillna(0), fmt="o-", color=BLUE, capsize=2)
    _highlight(axes, whole, along.positions, whole["mae_mean"])
    axes.set_xticks(along.ticks, along.labels)
    axes.set(xlabel=key, ylabel="validation MAE")
    percent_axis(axes.yaxis, decimals=3)
    axes.legend(fontsize=8)


def _cells(axes: Axes, whole: pd.DataFrame, x: KeyAxis, y: KeyAxis) -> None:
    """Draw a cell for every pair of values that has points."""
    cells = np.full((len(y.ticks), len(x.ticks)), np.nan)
    mae = whole["mae_mean"].to_numpy(dtype=float)
    for row, j in enumerate(y.ticks):
        for column, i in enumerate(x.ticks):
            inside = (x.positions == i) & (y.positions == j)
            if inside.any():
                cells[row, column] = mae[inside].mean()
                axes.text(i, j - 0.18 / len(y.ticks), percent(cells[row, column], 3), ha="center", va="top", fontsize=7,
                          bbox={"fc": "white", "ec": "none", "alpha": 0.7, "pad": 1})  # fmt: skip
    edges = [
        np.concatenate([[t[0] - d], t[:-1] + d, [t[-1] + d]]) for t, d in ((x.ticks, _half(x)), (y.ticks, _half(y)))
    ]
    axes.pcolormesh(edges[0], edges[1], cells, cmap=_COLOURS, norm=_scale(whole))


def _half(axis: KeyAxis) -> float:
    return 0.5 / max(1, len(axis.ticks) - 1)


def _measured(values: pd.Series, highest: float) -> KeyAxis:
    """Lay out measured values from the lowest to ``highest``, where those that are beyond lie too."""
    low = float(values.min())
    ticks = np.linspace(0, 1, 3)
    at = low + ticks * (highest - low)
    labels = [percent(value, 3) if values.name == "mae_mean" else f"{value:.2f}" for value in at]
    if values.max() > highest:
        labels[-1] = f"≥ {labels[-1]}"
    places = (values.to_numpy(dtype=float) - low) / max(highest - low, 1e-12)
    return KeyAxis(places.clip(0, 1), ticks, labels, ranked=False)


def _highlight(axes: Axes, whole: pd.DataFrame, x: Any, y: Any) -> None:
    """Mark the shipped point by a square and the recommended one by a ring, edged in white on a dark cell."""
    edge = [withStroke(linewidth=3.4, foreground="white")]
    for flag, marker, size, colour in (("shipped", "s", 110, TRUTH), ("recommended", "o", 210, SPURIOUS)):
        of = whole[flag].to_numpy()
        axes.scatter(np.asarray(x)[of], np.asarray(y)[of], s=size, marker=marker, facecolor="none", edgecolor=colour,
                     linewidth=1.6, label=flag, zorder=5, path_effects=edge)  # fmt: skip


def _highest_shown(whole: pd.DataFrame) -> float:
    """Give the error at which scales end: a point that has diverged would take all of them."""
    mae = whole["mae_mean"]
    return float(max(mae[succeeded(mae)].quantile(0.9), mae.min() * 1.001))


def _scale(whole: pd.DataFrame) -> Normalize:
    return Normalize(float(whole["mae_mean"].min()), _highest_shown(whole), clip=True)


def _colour_bar(figure: Figure, axes: Axes, whole: pd.DataFrame) -> None:
    bar = figure.colorbar(ScalarMappable(_scale(whole), _COLOURS), ax=axes, label="validation MAE", extend="max")
    percent_axis(bar.ax.yaxis, decimals=3)
