"""All measurements, beside what is to be reached."""

import json
import logging
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

from methmix import provenance
from methmix.benchmark.apart import STATUS, apart
from methmix.benchmark.benchmark_page import render
from methmix.benchmark.steps import training
from methmix.benchmark.streams import PHASE, prepare, solver, streaming
from methmix.config.load import load_arm, load_experiment
from methmix.errors import InputError
from methmix.files.atomic import write_text
from methmix.reference.build import build_reference

logger = logging.getLogger("methmix")

# Measurement, key of its results, what that is, relation, target. Of streamed mixtures, donors and proportions are
# kept, some kilobytes each, and the allocator is not exact.
TARGETS = (
    ("training_step", "step_over_products", "step / its matrix products", "<=", 1.6),
    ("training_step", "generation_over_step", "mixing and reads / step", "<=", 0.3),
    ("scaling", "growth", "step, time for twice the regions", "<=", 2.2),
    ("scaling", "growth_of_drawing", "drawing mixtures, time for twice the regions", "<=", 2.2),
    ("nnls", "speed_over_scipy", "speed / scipy.optimize.nnls in a loop", ">=", 50.0),
    ("nnls", "largest_difference", "largest difference from scipy.optimize.nnls", "<=", 1e-6),
    ("memory", "growth_per_byte", "additional memory per additional byte of file", "<=", 0.1),
    ("memory", "peak_mb", "peak memory, MB", "<=", 4096.0),
)


class Sizes(NamedTuple):
    """How much is measured.

    Parameters
    ----------
    rounds
        How often everything is timed.
    mixtures
        Mixtures that NNLS solves; streamed files have twice and six times as many.
    regions
        Multiples of the experiment's regions at which steps are timed, the first one 1; files are of the second.
    """

    rounds: int
    mixtures: int
    regions: tuple[float, ...]


QUICK = Sizes(rounds=7, mixtures=250, regions=(1, 0.5))
FULL = Sizes(rounds=25, mixtures=1000, regions=(1, 0.25, 0.5, 2))
# As many as bring the memory of a training to its peak.
_STEPS = 2


def benchmark(config: Path, output: Path, sizes: Sizes, device: str) -> None:
    """Measure everything and write ``benchmark.json`` and ``benchmark.html`` into a folder."""
    if not STATUS.is_file():
        raise InputError(f"{STATUS}: there is no such file", "memory is read from it, which only Linux has")
    output.mkdir(parents=True, exist_ok=True)
    used = torch.device("cuda" if device == "auto" and torch.cuda.is_available() else "cpu")
    content = {"mode": "full" if sizes == FULL else "quick", **measure(config, sizes, used, output)}
    write_text(output / "benchmark.json", json.dumps(content, indent=2) + "\n")
    write_text(output / "benchmark.html", render(content))
    missed = [check["quantity"] for check in content["checks"] if not check["met"]]
    logger.info("%d targets, missed: %s", len(content["checks"]), "; ".join(missed) or "none")
    logger.info("report written to %s", output / "benchmark.html")


def measure(config: Path, sizes: Sizes, device: torch.device, folder: Path) -> dict[str, Any]:
    """Make all measurements, in processes of their own; files that they need are below ``folder`` meanwhile."""
    started, here, threads = time.monotonic(), _machine(device), torch.get_num_threads()
    experiment = load_experiment(config)
    arms = {name: load_arm(Path(path), overrides=experiment.overrides) for name, path in experiment.arms[PHASE].items()}
    reference = build_reference(experiment)
    with tempfile.TemporaryDirectory(prefix=".benchmark.", dir=folder) as room:
        inputs = [prepare(experiment, reference, multiple, sizes.mixtures, Path(room)) for multiple in sizes.regions]
        memory = apart(streaming, experiment, inputs[1], (2 * sizes.mixtures, 6 * sizes.mixtures))
        nnls = apart(solver, inputs[0], sizes.rounds)
        trained = {}
        for name, arm in arms.items():
            short = {"epochs": 1, "mixtures_per_epoch": _STEPS * arm.training.batch_size}
            short_arm = arm.model_copy(update={"training": arm.training.model_copy(update=short)})
            logger.info("measuring the training of %s, %.0f s since the start", name, time.monotonic() - started)
            trained[name] = apart(training, short_arm, experiment, inputs, sizes.rounds, threads, device)
    # Measurement -> what was measured -> results.
    content = {key: {name: of[key] for name, of in trained.items()} for key in ("training_step", "scaling")}
    content |= {
        "nnls": {"batched": nnls},
        "memory": memory | {f"train_{name}": of["memory"] for name, of in trained.items()},
    }
    return {
        "machine": here,
        "seconds": time.monotonic() - started,
        "sizes": {
            "tissues": len(reference.tissue_names),
            "regions": len(reference.regions),
            "donors": len(reference.donors),
            "batch_size": {name: arm.training.batch_size for name, arm in arms.items()},
        },
        "checks": checks(content),
        **content,
    }


def checks(content: dict[str, Any]) -> list[dict[str, Any]]:
    """List every target with what was measured: ``measurement, quantity, measured, relation, target, met``."""
    return [
        {
            "measurement": measurement,
            "quantity": f"{name.replace('_', ' ')}: {words}",
            "measured": results[key],
            "relation": relation,
            "target": target,
            "met": bool(results[key] <= target if relation == "<=" else results[key] >= target),
        }
        for measurement, key, words, relation, target in TARGETS
        for name, results in content[measurement].items()
        if key in results
    ]


def _machine(device: torch.device) -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return {
        "cpu": next(names, platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "load_at_start": round(os.getloadavg()[0], 2),
        "commit": provenance.commit(),
        "versions": provenance.versions(),
    }
