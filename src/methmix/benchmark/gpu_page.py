"""The page of the GPU run: checks, aims, and where the time goes."""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from methmix.arms import BASELINE, MAIN
from methmix.benchmark.gpu_parts import NOT_MEASURED
from methmix.benchmark.gpu_times import MOST_MEMORY_GB
from methmix.benchmark.measure import number
from methmix.pages.render import render
from methmix.pages.style import BLUE, LIGHT_BLUE, TRUTH, colour, drawing, embed

Measured = dict[str, dict[str, Any]]


def floor_seconds(measured: Measured, arm: str) -> float | None:
    """Give the least time of a step: for its bytes, or for its products, whichever takes longer; None if unknown."""
    speed, work = measured.get("speed"), measured.get(f"work {arm}")
    if speed is None or work is None:
        return None
    of_products = work["flop"] / speed["flop_per_second"][work["precision"]]
    return float(max(work["bytes"] / speed["bytes_per_second"], of_products))


def _over_floor(measured: Measured, arm: str) -> float | None:
    floor, steps = floor_seconds(measured, arm), measured.get(f"steps {arm}")
    return steps["step_seconds"] / floor if floor and steps else None


def _of_steps(name: str, arm: str, factor: float = 1.0) -> Callable[[Measured], float | None]:
    """Make a function that gives a figure of an arm's steps, times a factor; None if it is unknown."""

    def figure(measured: Measured) -> float | None:
        value = measured.get(f"steps {arm}", {}).get(name)
        return None if value is None else float(value) * factor

    return figure


def _seconds_of(mixtures: int, arm: str) -> Callable[[Measured], float | None]:
    def figure(measured: Measured) -> float | None:
        steps = measured.get(f"steps {arm}")
        return mixtures / steps["mixtures_per_second"] if steps else None

    return figure


# What is aimed at, the most that it may be, and what has been measured of it.
_AIMS: tuple[tuple[str, float, Callable[[Measured], float | None]], ...] = (
    (f"{BASELINE}: step / its floor", 3.0, lambda measured: _over_floor(measured, BASELINE)),
    (f"{BASELINE}: step, ms", 1.0, _of_steps("step_seconds", BASELINE, 1000)),
    (f"{BASELINE}: 150,000 mixtures after the warm-up, s", 3.0, _seconds_of(150_000, BASELINE)),
    (f"{BASELINE}: drawing / step", 0.25, _of_steps("drawing_share", BASELINE)),
    (f"{MAIN}: 50,000 mixtures after the warm-up, s", 10.0, _seconds_of(50_000, MAIN)),
    *(
        (f"{arm}: {what}", most, _of_steps(name, arm))
        for what, name, most in (
            ("validation / epoch", "validation_share", 0.05),
            ("GPU memory, GB", "reserved_gb", MOST_MEMORY_GB),
        )
        for arm in (BASELINE, MAIN)
    ),
)


def aims(measured: Measured) -> list[dict[str, Any]]:
    """Compare what was measured with the aims: ``quantity, measured, aim, outcome``; each is at most its aim."""
    rows = []
    for quantity, aim, figure in _AIMS:
        value = figure(measured)
        outcome = NOT_MEASURED if value is None else "met" if value <= aim else "missed"
        rows.append({"quantity": quantity, "measured": value, "aim": aim, "outcome": outcome})
    return rows


def page(content: dict[str, Any]) -> str:
    """Render the page from the content of gpu.json."""
    measured, names = content["measured"], (BASELINE, MAIN)
    arms = [arm for arm in names if f"steps {arm}" in measured]
    floors = {arm: floor_seconds(measured, arm) for arm in arms}
    steps = {arm: {**measured[f"steps {arm}"], "floor": floors[arm] or 0.0} for arm in arms}
    rates = {arm: measured[f"batch sizes {arm}"] for arm in names if f"batch sizes {arm}" in measured}
    figures = {"steps": _drawn(_steps, json.dumps(steps)), "rates": _drawn(_rates, json.dumps(rates))}
    return render(
        "benchmark/gpu.html",
        content=content,
        measured=measured,
        arms=arms,
        names=names,
        trainings=[arm for arm in names if f"whole training {arm}" in measured],
        floors=floors,
        figures=figures,
        number=_shown,
    )


def _shown(value: float | None, factor: float = 1.0) -> str:
    return "" if value is None else number(value * factor)


@lru_cache(maxsize=4)
def _drawn(draw: Callable[[Any], Figure], content: str) -> str:
    """Draw a figure of a content in JSON, unless it was drawn before; the page is written after every part."""
    of = json.loads(content)
    return embed(draw(of)) if of else ""


@drawing
def _steps(timed: dict[str, dict[str, Any]]) -> Figure:
    rows = {}
    for arm, steps in timed.items():
        parts = {"drawing": steps["drawing_seconds"], "forward, backward, optimiser": steps["training_seconds"]}
        rows[f"{arm}, step"] = parts
        rows[f"{arm}, floor"] = {"floor": steps["floor"]}
    milliseconds = 1000 * pd.DataFrame(rows).T[["drawing", "forward, backward, optimiser", "floor"]]
    figure = Figure(figsize=(9, 0.8 + 0.5 * len(rows)))
    axes = figure.subplots()
    milliseconds.plot.barh(stacked=True, ax=axes, color=[LIGHT_BLUE, BLUE, TRUTH], legend=False, xlabel="milliseconds")
    axes.invert_yaxis()
    figure.legend(loc="outside right upper")
    return figure


@drawing
def _rates(timed: dict[str, dict[str, Any]]) -> Figure:
    figure = Figure(figsize=(7, 3.2))
    axes = figure.subplots()
    for arm, rates in timed.items():
        done = [size for size in rates["sizes"] if size["mixtures_per_second"] is not None]
        points = [size["batch_size"] for size in done], [size["mixtures_per_second"] for size in done]
        axes.plot(*points, "o-", color=colour(arm), label=arm)
    axes.set(xlabel="mixtures of a step", ylabel="mixtures per second", xlim=(0, None), ylim=(0, None))
    axes.legend()
    return figure
