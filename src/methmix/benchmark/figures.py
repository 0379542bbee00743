"""Figures of the benchmark."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from methmix.benchmark.checks import LOADER_SPEED, MEMORY_MB, SOLVER_SPEED, STEP_OVER_PRODUCTS
from methmix.benchmark.steps import PARTS
from methmix.pages.style import TRUTH, drawing
from methmix.pages.style import colour as arm_colour

_PART_COLOURS = dict(zip(PARTS, ("#cc79a7", "#e69f00", "#56b4e9", "#0072b2", "#009e73"), strict=True))
_PRODUCTS, _OURS, _TARGET = "#999999", "#0072b2", "#4d4d4d"


@drawing
def step(content: dict[str, Any]) -> Figure:
    """Draw where a step's time goes, per arm, with the matrix products alone beside it."""
    arms = content["training_step"]
    figure = Figure(figsize=(9, 0.75 + 1.1 * len(arms)))
    axes = figure.subplots()
    labels = []
    for row, (arm, measured) in enumerate(arms.items()):
        left = 0.0
        for part in PARTS:
            spent = 1000 * measured["part_seconds"][part]
            name = part.replace("_", " ") if row == 0 else None
            axes.barh(2.5 * row, spent, left=left, color=_PART_COLOURS[part], label=name)
            left += spent
        products = 1000 * measured["products_seconds"]
        axes.barh(2.5 * row + 1, products, color=_PRODUCTS, label="matrix products alone" if row == 0 else None)
        ends = [STEP_OVER_PRODUCTS * products] * 2
        axes.plot(ends, [2.5 * row - 0.5, 2.5 * row + 1.5], ":", color=_TARGET,
                  label=f"target, {STEP_OVER_PRODUCTS:g} x products" if row == 0 else None)  # fmt: skip
        labels += [(2.5 * row, f"{arm}, step"), (2.5 * row + 1, f"{arm}, products")]
    axes.set_yticks(*zip(*labels, strict=True))
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds")
    figure.legend(loc="outside right upper")
    return figure


@drawing
def scaling(content: dict[str, Any]) -> Figure:
    """Draw seconds against regions, batch size and number of mixtures; dotted: proportional to the size."""
    figure = Figure(figsize=(11, 3.4))
    panels = figure.subplots(1, 3)
    for axes, axis, title in zip(panels, ("regions", "batch_size"), ("regions", "mixtures in a batch"), strict=False):
        measured = content["scaling"][axis]
        for name, spent in measured["seconds"].items():
            label = name.replace("_", " ")
            _line(axes, measured["sizes"], spent, arm_colour(name), label)
        axes.set(xlabel=title, ylabel="seconds of a training step", title=f"time against {title}")
    writing = content["writing"]
    _line(panels[2], writing["mixtures"], writing["seconds"], _OURS, "drawing and writing")
    panels[2].set(xlabel="mixtures in a file", ylabel="seconds", title="time against mixtures written")
    for axes in panels:
        axes.legend(fontsize=8)
    return figure


def _line(axes: Axes, sizes: list[float], costs: list[float], colour: str, label: str) -> None:
    axes.plot(sizes, costs, "o-", color=colour, label=label, markersize=4)
    # Through the largest size, where fixed costs matter least.
    axes.plot(sizes, costs[-1] * np.array(sizes) / sizes[-1], ":", color=colour, linewidth=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], fontsize=8)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


@drawing
def memory(content: dict[str, Any]) -> Figure:
    """Draw the memory of streaming processes against the size of their file, and of trainings."""
    measured = content["memory"]
    figure = Figure(figsize=(11, 3.2))
    left, right = figure.subplots(1, 2)
    for name, label, colour in (("write", "writing", "#e69f00"), ("nnls", "reading, NNLS", "#009e73")):
        left.plot(measured["mixtures"], measured[name]["resident_mb"], "o-", color=colour, label=label)
        left.plot(measured["mixtures"], measured[name]["anonymous_mb"], "o--", color=colour, markersize=3)
    left.plot(measured["mixtures"], measured["file_mb"], ":", color=TRUTH, label="size of the file")
    left.set(xlabel="mixtures", ylabel="MB", title="largest memory (dashed: anonymous)")
    left.set_ylim(0)
    left.set_xticks(measured["mixtures"])
    left.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    arms = list(content["training_step"])
    for row, arm in enumerate(arms):
        of_arm = measured[f"train_{arm}"]
        right.barh(row, of_arm["resident_mb"], color=arm_colour(arm), alpha=0.5)
        right.barh(row, of_arm["anonymous_mb"], color=arm_colour(arm), height=0.5)
    right.axvline(MEMORY_MB, color=_TARGET, linestyle=":")
    right.text(MEMORY_MB, -0.55, "target ", ha="right", va="center", fontsize=8)
    right.set_yticks(range(len(arms)), arms)
    right.invert_yaxis()
    right.set(xlabel="MB", title="training (narrow bar: anonymous)")
    return figure


@drawing
def others(content: dict[str, Any]) -> Figure:
    """Draw our speed against the loader's, and against SciPy's solver, on logarithmic axes."""
    loader, nnls = content["loader"], content["nnls"]
    figure = Figure(figsize=(11, 2.3))
    left, right = figure.subplots(1, 2)
    per_second = {"files, workers": loader["loader_per_second"], "methmix": loader["own_per_second"]}
    _bars(left, per_second, LOADER_SPEED, "mixtures made per second")
    per_second = {
        "scipy, a loop": nnls["mixtures"] / nnls["scipy_seconds_scaled_up"],
        "methmix": nnls["mixtures"] / nnls["seconds"],
    }
    _bars(right, per_second, SOLVER_SPEED, "mixtures solved by NNLS per second")
    return figure


def _bars(axes: Axes, values: dict[str, float], target: float, title: str) -> None:
    theirs = next(iter(values.values()))
    bars = axes.barh(list(values), list(values.values()), color=[_PRODUCTS, _OURS])
    axes.bar_label(bars, [f"{value:,.3g}" for value in values.values()], padding=3)
    axes.axvline(target * theirs, color=_TARGET, linestyle=":", label=f"target, {target:g} x")
    axes.set_xscale("log")
    axes.set_xlim(0.3 * theirs, 5 * max(target * theirs, *values.values()))
    axes.invert_yaxis()
    axes.set_title(title)
    axes.legend(fontsize=8)


@drawing
def larger(content: dict[str, Any]) -> Figure:
    """Draw what each size of reference cost against what the fit says."""
    measured = content["larger_reference"]
    figure = Figure(figsize=(11, 3.2))
    titles = {
        "prepare_seconds": "reading and preparing, seconds",
        "step_seconds": "step of sparse, seconds",
        "anonymous_mb": "anonymous memory, MB",
    }
    for axes, (name, title) in zip(figure.subplots(1, len(titles)), titles.items(), strict=True):
        fit = measured["fits"][name]
        found = np.array([point[name] for point in measured["points"]])
        terms = np.array([[1, point["regions"], point["donors"] * point["regions"]] for point in measured["points"]])
        fitted = terms @ [fit["constant"], fit["per_region"], fit["per_donor_and_region"]]
        axes.plot(fitted, found, "o", color=_OURS)
        ends = [min(fitted.min(), found.min()), max(fitted.max(), found.max())]
        axes.plot(ends, ends, ":", color=TRUTH)
        axes.set(xlabel="fitted", ylabel="measured", title=title)
    return figure
