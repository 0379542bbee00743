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
from methmix.benchmark.benchmark_page import page
from methmix.benchmark.steps import training
from methmix.benchmark.streams import PHASE, files, prepare
from methmix.config.load import load_arm, load_experiment
from methmix.errors import InputError
from methmix.files.atomic import write_text
from methmix.reference.build import build_reference

logger = logging.getLogger("methmix")

# Measurement, key of its results, what that is, relation, target. Of every streamed mixture, donors and proportions
# are kept, some kilobytes, and the allocator is not exact.
TARGETS = (
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


class Sizes(NamedTuple):
    """How often everything is timed, mixtures for NNLS, and multiples of the experiment's regions, the first one 1."""

    rounds: int
    mixtures: int
    regions: tuple[float, ...]


QUICK = Sizes(rounds=7, mixtures=250, regions=(1, 0.5))
FULL = Sizes(rounds=25, mixtures=1000, regions=(1, 0.25, 0.5, 2))


def benchmark(config: Path, output: Path, mode: str, device: str) -> None:
    """Measure everything and write ``benchmark.json`` and ``benchmark.html`` into a folder.

    Parameters
    ----------
    config
        The experiment.
    output
        The folder.
    mode, device
        ``quick`` or ``full``; ``cpu``, or ``auto`` for a GPU if there is one.
    """
    if not STATUS.is_file():
        raise InputError(f"{STATUS}: there is no such file", "memory is read from it, which only Linux has")
    output.mkdir(parents=True, exist_ok=True)
    used = torch.device("cuda" if device == "auto" and torch.cuda.is_available() else "cpu")
    content = {"mode": mode, **measure(config, FULL if mode == "full" else QUICK, used, output)}
    write_text(output / "benchmark.json", json.dumps(content, indent=2) + "\n")
    write_text(output / "benchmark.html", page(content))
    missed = [check["quantity"] for check in content["checks"] if not check["met"]]
    logger.info("%d targets, missed: %s", len(content["checks"]), "; ".join(missed) or "none")
    logger.info("report written to %s", output / "benchmark.html")


def measure(config: Path, sizes: Sizes, device: torch.device, folder: Path) -> dict[str, Any]:
    """Make all measurements, in processes of their own; files that they need are below ``folder`` meanwhile."""
    started, here, threads = time.monotonic(), _machine(device), torch.get_num_threads()
    experiment = load_experiment(config)
    reference = build_reference(experiment)
    arms = [
        load_arm(Path(path), overrides={**experiment.overrides, **_SHORT}) for path in experiment.arms[PHASE].values()
    ]
    # Measurement -> what was measured -> results.
    content: dict[str, dict[str, Any]] = {"training_step": {}, "nnls": {}, "scaling": {}, "memory": {}}
    with tempfile.TemporaryDirectory(prefix=".benchmark.", dir=folder) as room:
        inputs = [prepare(experiment, reference, multiple, sizes.mixtures, Path(room)) for multiple in sizes.regions]
        for measured in (
            apart(files, experiment, inputs, sizes.rounds),
            *(apart(training, arm, experiment, inputs, sizes.rounds, threads, device) for arm in arms),
        ):
            for measurement, results in measured.items():
                content[measurement].update(results)
    of_reference = {
        "tissues": len(reference.tissue_names),
        "regions": len(reference.regions),
        "donors": len(reference.donors),
        "batch_size": {arm.arm: arm.training.batch_size for arm in arms},
    }
    seconds = time.monotonic() - started
    return {"machine": here, "seconds": seconds, "sizes": of_reference, "checks": checks(content), **content}


def checks(content: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
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
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return {
        "cpu": next(models, platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "load_at_start": round(os.getloadavg()[0], 2),
        "commit": provenance.commit(),
        "versions": provenance.versions(),
    }
