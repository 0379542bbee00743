"""All measurements, compared with their targets: benchmark.json and its page."""

import json
import logging
import os
import platform
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure

from methmix import provenance
from methmix.benchmark.apart import STATUS, apart
from methmix.benchmark.costs import PARTS, PHASE, prepare, solver, streaming, training
from methmix.config.load import load_arm, load_experiment
from methmix.errors import InputError
from methmix.files.atomic import all_or_none, write_text
from methmix.pages.render import render
from methmix.pages.style import BLUE, GREEN, LIGHT_BLUE, ORANGE, TRUTH, colour, drawing, embed
from methmix.reference.build import build_reference

logger = logging.getLogger("methmix")

# Measurement, key of its results, quantity, relation, target. Some kilobytes per streamed mixture are kept in memory.
_TARGETS = (
    ("training_step", "step_over_products", "step / its matrix products", "<=", 1.6),
    ("training_step", "generation_over_step", "mixing and reads / step", "<=", 0.3),
    ("nnls", "speed_over_scipy", "speed / scipy.optimize.nnls in a loop", ">=", 50.0),
    ("nnls", "largest_difference", "largest difference from scipy.optimize.nnls", "<=", 1e-6),
    ("scaling", "growth", "step, time for twice the regions", "<=", 2.2),
    ("scaling", "growth_of_drawing", "drawing mixtures, time for twice the regions", "<=", 2.2),
    ("memory", "growth_per_byte", "additional memory per additional byte of mixtures", "<=", 0.1),
    ("memory", "peak_mb", "peak memory, MB", "<=", 4096.0),
)
# Enough steps for the memory of a training to reach its peak.
_SHORT = {"training.epochs": 1, "training.mixtures_per_epoch": 500}
# Rounds of timing, mixtures for NNLS, and multiples of the experiment's regions, the first one 1.
_SIZES = {"quick": (7, 250, (1, 0.5)), "full": (25, 1000, (1, 0.25, 0.5, 2))}
_COLOURS = dict(zip((*PARTS, "products"), ("#cc79a7", ORANGE, LIGHT_BLUE, BLUE, GREEN, TRUTH), strict=True))


def benchmark(config: Path, output: Path, mode: str, device: str) -> None:
    """Write ``benchmark.json`` and ``benchmark.html``; ``device`` is ``cpu``, or ``auto`` for a GPU if there is one."""
    if not STATUS.is_file():
        raise InputError(f"{STATUS}: there is no such file", "memory is read from it; run the benchmark on Linux")
    output.mkdir(parents=True, exist_ok=True)
    used = torch.device("cuda" if device == "auto" and torch.cuda.is_available() else "cpu")
    content = {"mode": mode, **measure(config, *_SIZES[mode], used, output)}
    with all_or_none():
        write_text(output / "benchmark.json", json.dumps(content, indent=2) + "\n")
        write_text(output / "benchmark.html", page(content))
    missed = [check["quantity"] for check in content["checks"] if not check["met"]]
    logger.info("%d targets, missed: %s", len(content["checks"]), "; ".join(missed) or "none")
    logger.info("report written to %s", output / "benchmark.html")


def measure(
    config: Path, rounds: int, n_mixtures: int, multiples: tuple[float, ...], device: torch.device, folder: Path
) -> dict[str, Any]:
    """Make all measurements, each in a process of its own; their temporary files are below ``folder``."""
    started, threads, described = time.monotonic(), torch.get_num_threads(), machine(device)
    experiment = load_experiment(config)
    reference = build_reference(experiment)
    arms = [load_arm(Path(path), overrides=experiment.overrides | _SHORT) for path in experiment.arms[PHASE].values()]
    numbers = [round(multiple * len(reference.regions)) for multiple in multiples]
    with tempfile.TemporaryDirectory(prefix=".benchmark.", dir=folder) as room:
        inputs = {n: prepare(experiment, reference, n, n_mixtures, Path(room)) for n in numbers}
        memory = apart(streaming, experiment, inputs[numbers[1]])
        nnls = apart(solver, inputs[numbers[0]], rounds)
        trained = {arm.arm: apart(training, arm, experiment, inputs, rounds, threads, device) for arm in arms}
    # Measurement -> what was measured -> results.
    results: dict[str, dict[str, Any]] = {
        name: {str(arm): of[name] for arm, of in trained.items()} for name in ("training_step", "scaling")
    }
    results["nnls"] = {"batched_nnls": nnls}
    results["memory"] = memory | {f"train_{arm}": of["memory"] for arm, of in trained.items()}
    counted: dict[str, Any] = {
        "tissues": reference.tissue_names,
        "regions": reference.regions,
        "donors": reference.donors,
    }
    sizes: dict[str, Any] = {name: len(of) for name, of in counted.items()}
    sizes["batch_size"] = {arm.arm: arm.training.batch_size for arm in arms}
    content = {"machine": described, "seconds": time.monotonic() - started, "sizes": sizes}
    return content | {"checks": checks(results)} | results


def machine(device: torch.device) -> dict[str, Any]:
    """Describe what is measured on."""
    model = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "load_at_start": round(os.getloadavg()[0], 2),
        "commit": provenance.commit(),
        "versions": provenance.versions(),
    }


def checks(content: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare what was measured with the targets: ``measurement, quantity, measured, relation, target, met``."""
    return [
        {
            "measurement": measurement,
            "quantity": f"{name.replace('_', ' ')}: {quantity}",
            "measured": results[key],
            "relation": relation,
            "target": target,
            "met": bool(results[key] <= target if relation == "<=" else results[key] >= target),
        }
        for measurement, key, quantity, relation, target in _TARGETS
        for name, results in content[measurement].items()
        if key in results
    ]


def page(content: dict[str, Any]) -> str:
    """Render the page from the content of benchmark.json."""
    figures = {"step": embed(_step(content)), "overview": embed(_overview(content))}
    return render("benchmark/benchmark.html", content=content, figures=figures, number=number)


def number(value: float) -> str:
    """Write a number with three significant digits."""
    form = ".2g" if value and not 1e-3 <= abs(value) < 1e7 else ",.0f" if abs(value) >= 100 else ".3g"
    return f"{value:{form}}"


@drawing
def _step(content: dict[str, Any]) -> Figure:
    seconds = {}
    for arm, measured in content["training_step"].items():
        seconds[f"{arm}, step"] = measured["part_seconds"]
        seconds[f"{arm}, its products"] = {"products": measured["products_seconds"]}
    milliseconds = 1000 * pd.DataFrame(seconds).T[[*_COLOURS]].rename(columns=lambda part: part.replace("_", " "))
    figure = Figure(figsize=(9, 0.8 + 0.5 * len(seconds)))
    axes = figure.subplots()
    milliseconds.plot.barh(stacked=True, ax=axes, color=[*_COLOURS.values()], legend=False, xlabel="milliseconds")
    axes.invert_yaxis()
    figure.legend(loc="outside right upper")
    return figure


@drawing
def _overview(content: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(11, 3.2))
    speed, growth, memory = figure.subplots(1, 3)
    timed = {arm: step["mixtures_per_second"]["1"] for arm, step in content["training_step"].items()}
    timed["NNLS"] = content["nnls"]["batched_nnls"]["mixtures_per_second"]
    per_second = {f"{name}, {what}": rate for name, rates in timed.items() for what, rate in rates.items()}
    bars = speed.barh([*per_second], [*per_second.values()], color=BLUE)
    speed.bar_label(bars, fmt=number, padding=3)
    speed.set(title="mixtures per second", xmargin=0.25)
    speed.invert_yaxis()
    for arm, measured in content["scaling"].items():
        for what, line in (("training", "o-"), ("drawing", "o:")):
            points = measured["regions"], measured["seconds"][what]
            growth.plot(*points, line, color=colour(arm), label=f"{arm}, {what}")
        memory.bar(arm, content["memory"][f"train_{arm}"]["peak_mb"], color=colour(arm))
    growth.set(title="seconds of a step", xlabel="regions", xlim=(0, None), ylim=(0, None))
    growth.legend(fontsize=8)
    memory.set(title="peak memory of a training", ylabel="MB")
    return figure
