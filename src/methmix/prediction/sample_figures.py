"""Figures of the samples of a prediction, and of groups of them."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from methmix.arms import MAIN
from methmix.models.prediction import Array, Prediction
from methmix.pages.style import TRUTH, colour, drawing, labelled_rows, percent_axis, short, tissue_columns
from methmix.prediction.sample_results import Cohort, SampleResult

MOST_BARS = 40
MOST_PATIENTS = 24
# Tissues in one course, whose legend leaves room for it.
MOST_LINES = 6
# Tissues in the bars have the strong colours of the palette, then the light ones; its greys are for the others.
_STRONG = [number for number in range(0, 20, 2) if number != 14]
_COLOURS = [mpl.colormaps["tab20"](number + light) for light in (0, 1) for number in _STRONG]
_LEAST_SHOWN = 0.001
_OTHERS = "#dddddd"
# More names than this beside a heatmap cannot be read.
_MOST_NAMES = 70
_METHODS = {"model": ("model", colour(MAIN)), "nnls": ("NNLS", colour("nnls"))}

Answered = list[tuple[SampleResult, Prediction]]


@drawing
def bars(cohort: Cohort) -> Figure:
    """Draw the proportions of the first samples, one stacked bar per sample."""
    answered = cohort.answered[:MOST_BARS]
    values = _matrix(answered)
    order = [t for t in np.argsort(-values.mean(axis=0), kind="stable") if values[:, t].any()]
    own, others = order[: len(_COLOURS)], order[len(_COLOURS) :]
    stacked: list[Any] = [(cohort.tissues[t], values[:, t], shade) for t, shade in zip(own, _COLOURS, strict=False)]
    if others:
        stacked.append((f"{len(others)} others", values[:, others].sum(axis=1), _OTHERS))
    if cohort.unknown:
        stacked.append(("unknown", np.array([result.unknown or 0 for result, _ in answered]), TRUTH))
    figure = Figure(figsize=(11, 0.26 * len(answered) + 1.3 + 0.18 * (len(own) // 5 + 1)))
    axes = figure.subplots()
    left = np.zeros(len(answered))
    for label, widths, shade in stacked:
        axes.barh(range(len(answered)), widths, left=left, color=shade, label=label, height=0.8)
        left += widths
    labelled_rows(axes, [result.sample.name for result, _ in answered])
    axes.set_xlim(0, 1)
    percent_axis(axes.xaxis)
    figure.legend(loc="outside lower center", ncols=6, fontsize=8)
    return figure


@drawing
def heatmap(cohort: Cohort) -> Figure:
    """Draw the proportions of all samples and tissues on a logarithmic scale; exact zeros stay white."""
    answered = cohort.answered
    figure = Figure(figsize=(max(6.0, 0.28 * len(cohort.tissues) + 3), min(0.2 * len(answered), 14) + 2.2))
    axes = figure.subplots()
    image = axes.imshow(
        np.ma.masked_less_equal(_matrix(answered), 0), norm=LogNorm(_LEAST_SHOWN, 1), cmap="YlGnBu", aspect="auto",
        interpolation="nearest",
    )  # fmt: skip
    tissue_columns(axes, cohort.tissues)
    if len(answered) <= _MOST_NAMES:
        axes.set_yticks(range(len(answered)), [short(result.sample.name) for result, _ in answered], fontsize=8)
    else:
        axes.set_ylabel(f"{len(answered)} samples, in the order of the table")
    axes.tick_params(length=0)
    ticks = [_LEAST_SHOWN, 0.01, 0.1, 1]
    bar = figure.colorbar(image, ax=axes, shrink=0.6, ticks=ticks)
    bar.ax.set_yticklabels([f"{100 * tick:g} %" for tick in ticks])
    return figure


@drawing
def courses(cohort: Cohort) -> Figure | None:
    """Draw the change over time of each patient with more than one date; None without such a patient."""
    patients = by_patient(cohort)[:MOST_PATIENTS]
    if not patients:
        return None
    columns = min(3, len(patients))
    n_rows = -(-len(patients) // columns)
    figure = Figure(figsize=(4 * columns, 3.1 * n_rows))
    panels = figure.subplots(n_rows, columns, squeeze=False).ravel()
    for axes, of_patient in zip(panels, patients, strict=False):
        _course(axes, of_patient, cohort.tissues)
        axes.set_title(of_patient[0][0].sample.patient)
    for axes in panels[len(patients) :]:
        axes.set_axis_off()
    return figure


@drawing
def patient_course(of_patient: Answered, tissues: list[str], background: list[str]) -> Figure | None:
    """Draw the change over time of one patient; None with a single date."""
    dated = [pair for pair in of_patient if pair[0].sample.date]
    if len({result.sample.date for result, _ in dated}) < 2:
        return None
    dated.sort(key=lambda pair: str(pair[0].sample.date))
    figure = Figure(figsize=(7.2, 2.3))
    _course(figure.subplots(), dated, tissues, background)
    return figure


@drawing
def group_boxes(record: dict[str, Any]) -> Figure:
    """Draw the summed proportion of each sample, by group and method, as `group_comparison.compare` gives them."""
    rows = record["groups"]
    figure = Figure(figsize=(max(5.0, 1.5 * len(rows) + 1), 3.8))
    axes = figure.subplots()
    rng = np.random.default_rng(0)
    for at, (method, (label, shade)) in zip((-0.2, 0.2), _METHODS.items(), strict=True):
        if method not in rows[0]["sums"]:
            continue
        values = [row["sums"][method] for row in rows]
        places = [number + at for number in range(len(rows))]
        axes.boxplot(
            values, positions=places, widths=0.32, showfliers=False, manage_ticks=False, label=label,
            patch_artist=True, boxprops={"facecolor": shade, "alpha": 0.25, "edgecolor": shade},
            medianprops={"color": shade, "linewidth": 2}, whiskerprops={"color": shade}, capprops={"color": shade},
        )  # fmt: skip
        for place, of_group in zip(places, values, strict=True):
            beside = place + rng.uniform(-0.11, 0.11, len(of_group))
            axes.plot(beside, of_group, "o", color=shade, markersize=3, alpha=0.6, markeredgewidth=0, clip_on=False)
    axes.set_xticks(range(len(rows)), [f"{short(row['group'])}\n{row['n']}" for row in rows])
    axes.set_ylabel("tissues of interest, summed")
    # Most sums are small; a root shows them, and 0.
    axes.set_yscale("function", functions=(lambda x: np.sqrt(np.clip(x, 0, None)), np.square))
    axes.set_yticks([0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1])
    every = [value for row in rows for of_group in row["sums"].values() for value in of_group]
    axes.set_ylim(0, 1.08 * max(0.01, *every))
    percent_axis(axes.yaxis, decimals=0)
    figure.legend(loc="outside upper right", ncols=2)
    return figure


def by_patient(cohort: Cohort) -> list[Answered]:
    """Group the samples with estimates by patient, in the order of time; patients with more than one date."""
    dated = [pair for pair in cohort.answered if pair[0].sample.patient and pair[0].sample.date]
    dated.sort(key=lambda pair: (pair[0].sample.patient, pair[0].sample.date))
    patients = [list(group) for _, group in groupby(dated, key=lambda pair: pair[0].sample.patient)]
    return [of_patient for of_patient in patients if len({result.sample.date for result, _ in of_patient}) > 1]


def _course(axes: Axes, of_patient: Answered, tissues: list[str], background: Sequence[str] = ()) -> None:
    """Draw the tissues that exceed their limit of detection at any date, without background, or else the largest.

    Beside a panel of normals these are the tissues that are called.
    """
    values = _matrix(of_patient)
    dates: list[Any] = [result.sample.date for result, _ in of_patient]
    intervals = [(found.low, found.high) for _, found in of_patient]
    limits = (_least_drawn(result, found) for result, found in of_patient)
    above = np.any([row > limit for row, limit in zip(values, limits, strict=True)], axis=0)
    order = np.argsort(-values.mean(axis=0), kind="stable")
    others = order[[tissues[t] not in background for t in order]] if background else order[1:]
    for tissue in others[above[others]][:MOST_LINES]:
        line = axes.plot(dates, values[:, tissue], "o-", markersize=4, label=tissues[tissue])[0]
        low, high = ([end[tissue] for end in ends if end is not None] for ends in zip(*intervals, strict=True))
        if low and high:
            axes.fill_between(dates, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    if axes.lines:
        axes.legend(fontsize=7)
    else:
        words = "no tissue but the background" if background else "nothing beside the\nlargest tissue"
        axes.text(0.5, 0.5, words, ha="center", transform=axes.transAxes, color=TRUTH)
        # The dates have their places, though nothing is drawn at them.
        axes.plot(dates, np.zeros(len(dates)), linewidth=0)
    axes.set_ylim(bottom=0)
    percent_axis(axes.yaxis)
    days = sorted(set(dates))
    axes.set_xticks(days, [str(day) for day in days], rotation=30, ha="right", fontsize=7)


def _least_drawn(result: SampleResult, found: Prediction) -> Array | float:
    if result.above_normals is not None:
        return 0.0
    return _LEAST_SHOWN if found.limit is None else np.nan_to_num(found.limit, nan=1.0)


def _matrix(answered: Answered) -> Array:
    return np.stack([found.proportions for _, found in answered])
