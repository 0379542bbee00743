"""Figures of the page of a run."""

from itertools import groupby

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from methmix.pages.style import TRUTH, drawing
from methmix.prediction.results import Array, Result, Run, answered

MOST_BARS = 40
MOST_PATIENTS = 24
# Of the tissues in the bars: the strong colours of the palette, then the light ones; its greys are for the others.
_STRONG = [number for number in range(0, 20, 2) if number != 14]
_COLOURS = [mpl.colormaps["tab20"](number + light) for light in (0, 1) for number in _STRONG]
_LEAST_SHOWN = 0.001
_OTHERS = "#dddddd"


@drawing
def bars(run: Run) -> Figure | None:
    """Draw the proportions of the first samples, a stacked bar each; None if no sample is answered."""
    results = answered(run)[:MOST_BARS]
    if not results:
        return None
    values = _matrix(results)
    order = [t for t in np.argsort(-values.mean(axis=0), kind="stable") if values[:, t].any()]
    own, others = order[: len(_COLOURS)], order[len(_COLOURS) :]
    figure = Figure(figsize=(11, 0.26 * len(results) + 1.3 + 0.18 * (len(own) // 5 + 1)))
    axes = figure.subplots()
    left = np.zeros(len(results))
    for number, tissue in enumerate(own):
        axes.barh(
            range(len(results)),
            values[:, tissue],
            left=left,
            color=_COLOURS[number],
            label=run.tissues[tissue],
            height=0.8,
        )
        left += values[:, tissue]
    if others:
        rest = values[:, others].sum(axis=1)
        axes.barh(range(len(results)), rest, left=left, color=_OTHERS, label=f"{len(others)} others", height=0.8)
    if run.unknown:
        unknown = np.array([result.unknown or 0 for result in results])
        axes.barh(range(len(results)), unknown, left=1 - unknown, color=TRUTH, label="unknown", height=0.8)
    axes.set_yticks(range(len(results)), [result.sample.name for result in results])
    axes.set(xlim=(0, 1), ylim=(len(results) - 0.5, -0.5))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(loc="outside lower center", ncols=6, fontsize=8)
    return figure


@drawing
def heatmap(run: Run) -> Figure | None:
    """Draw the proportions of all samples and tissues on a logarithmic scale; exact zeros stay white."""
    results = answered(run)
    if not results:
        return None
    values = _matrix(results)
    height = min(0.2 * len(results), 14) + 2.2
    figure = Figure(figsize=(max(6.0, 0.28 * len(run.tissues) + 3), height))
    axes = figure.subplots()
    image = axes.imshow(
        np.ma.masked_less_equal(values, 0), norm=LogNorm(_LEAST_SHOWN, 1), cmap="YlGnBu", aspect="auto",
        interpolation="nearest",
    )  # fmt: skip
    axes.set_xticks(range(len(run.tissues)), run.tissues, rotation=90)
    if len(results) <= 70:
        axes.set_yticks(range(len(results)), [result.sample.name for result in results], fontsize=8)
    else:
        axes.set_ylabel(f"{len(results)} samples, in the order of the table")
    axes.tick_params(length=0)
    ticks = [_LEAST_SHOWN, 0.01, 0.1, 1]
    bar = figure.colorbar(image, ax=axes, shrink=0.6, ticks=ticks)
    bar.ax.set_yticklabels([f"{100 * tick:g} %" for tick in ticks])
    return figure


@drawing
def courses(run: Run) -> Figure | None:
    """Draw the change over time of each patient with more than one date; None without such a patient.

    Shown are the tissues that exceed their limit of detection at any of the dates, without the patient's largest one.
    """
    patients = [of_patient for of_patient in by_patient(run) if len({r.sample.date for r in of_patient}) > 1]
    patients = patients[:MOST_PATIENTS]
    if not patients:
        return None
    columns = min(3, len(patients))
    n_rows = -(-len(patients) // columns)
    figure = Figure(figsize=(4 * columns, 3.1 * n_rows))
    panels = figure.subplots(n_rows, columns, squeeze=False).ravel()
    for axes, of_patient in zip(panels, patients, strict=False):
        values = _matrix(of_patient)
        dates = [result.sample.date for result in of_patient if result.sample.date]
        for tissue in _told(values, of_patient):
            line = axes.plot(dates, values[:, tissue], "o-", markersize=4, label=run.tissues[tissue])[0]
            ends = [
                (r.low[tissue], r.high[tissue])
                for r in of_patient
                if r.low is not None and r.high is not None and tissue < len(r.low)
            ]
            if len(ends) == len(dates):
                axes.fill_between(dates, *zip(*ends, strict=True), color=line.get_color(), alpha=0.15, linewidth=0)
        if axes.lines:
            axes.legend(fontsize=7)
        else:
            axes.text(
                0.5, 0.5, "nothing beside the\nlargest tissue", ha="center", transform=axes.transAxes, color=TRUTH
            )
        axes.set_title(of_patient[0].sample.patient)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.set_xticks(
            sorted(set(dates)), [str(day) for day in sorted(set(dates))], rotation=30, ha="right", fontsize=7
        )
    for axes in panels[len(patients) :]:
        axes.set_axis_off()
    return figure


def by_patient(run: Run) -> list[list[Result]]:
    """Group the answered samples that have a patient and a date, in the order of time."""
    dated = [result for result in answered(run) if result.sample.patient and result.sample.date]
    dated.sort(key=lambda result: (result.sample.patient, result.sample.date))
    return [list(group) for _, group in groupby(dated, key=lambda result: result.sample.patient)]


def _told(values: Array, results: list[Result]) -> list[int]:
    """Choose the tissues to show of a patient, the largest first."""
    limits = np.full(values.shape, _LEAST_SHOWN)
    for row, result in enumerate(results):
        if result.limit is not None:
            limits[row] = np.nan_to_num(result.limit, nan=1.0)
    order = np.argsort(-values.mean(axis=0), kind="stable")
    return [int(tissue) for tissue in order[1:] if (values[:, tissue] > limits[:, tissue]).any()]


def _matrix(results: list[Result]) -> Array:
    """Give the proportions of answered samples, [n, n_tissues]."""
    return np.stack([result.proportions for result in results if result.proportions is not None])
