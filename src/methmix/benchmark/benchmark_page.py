"""The page of the benchmark: one file that opens offline."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from methmix.benchmark.steps import PARTS
from methmix.pages.render import render
from methmix.pages.style import BLUE, GREEN, LIGHT_BLUE, ORANGE, TRUTH, colour, drawing, embed

_COLOURS = dict(zip((*PARTS, "products"), ("#cc79a7", ORANGE, LIGHT_BLUE, BLUE, GREEN, TRUTH), strict=True))


def page(content: dict[str, Any]) -> str:
    """Render the page from the content of benchmark.json."""
    figures = {"step": embed(_step(content)), "overview": embed(_overview(content))}
    return render("benchmark/benchmark.html", content=content, figures=figures, number=number)


def number(value: float) -> str:
    """Write a number with three significant digits."""
    if value and (abs(value) < 1e-3 or abs(value) >= 1e7):
        return f"{value:.2g}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


@drawing
def _step(content: dict[str, Any]) -> Figure:
    rows = {}
    for arm, measured in content["training_step"].items():
        rows[f"{arm}, step"] = measured["part_seconds"]
        rows[f"{arm}, its products"] = {"products": measured["products_seconds"]}
    milliseconds = 1000 * pd.DataFrame(rows).T[[*_COLOURS]].rename(columns=lambda part: part.replace("_", " "))
    figure = Figure(figsize=(9, 0.8 + 0.5 * len(rows)))
    axes = figure.subplots()
    milliseconds.plot.barh(stacked=True, ax=axes, color=[*_COLOURS.values()], legend=False, xlabel="milliseconds")
    axes.invert_yaxis()
    figure.legend(loc="outside right upper")
    return figure


@drawing
def _overview(content: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(11, 3.2))
    speed, growth, memory = figure.subplots(1, 3)
    steps = content["training_step"].items()
    per_second = {f"{arm}, {what}": rate for arm, of in steps for what, rate in of["mixtures_per_second"]["1"].items()}
    per_second |= {f"NNLS, {how}": rate for how, rate in content["nnls"]["batched_nnls"]["mixtures_per_second"].items()}
    bars = speed.barh([*per_second], [*per_second.values()], color=BLUE)
    speed.bar_label(bars, [number(rate) for rate in per_second.values()], padding=3)
    speed.margins(x=0.25)
    speed.invert_yaxis()
    speed.set_title("mixtures per second")
    for arm, measured in content["scaling"].items():
        for what, line in (("training", "o-"), ("drawing", "o:")):
            seconds = measured["seconds"][what]
            growth.plot(measured["regions"], seconds, line, color=colour(arm), label=f"{arm}, {what}")
    growth.set(title="seconds of a step", xlabel="regions")
    growth.set_xlim(left=0)
    growth.set_ylim(bottom=0)
    growth.legend(fontsize=8)
    peaks = {arm: content["memory"][f"train_{arm}"]["peak_mb"] for arm, _ in steps}
    memory.bar([*peaks], [*peaks.values()], color=[colour(arm) for arm in peaks])
    memory.set(title="peak memory of a training", ylabel="MB")
    return figure
