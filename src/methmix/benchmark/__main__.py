"""Measure what the computing costs, as ratios inside one run. Nothing passes or fails by time. For Linux."""

import argparse
import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from methmix import cli
from methmix.benchmark.apart import STATUS
from methmix.benchmark.checks import checks
from methmix.benchmark.inputs import PHASE
from methmix.benchmark.larger import larger_reference
from methmix.benchmark.loader import loader
from methmix.benchmark.machine import machine
from methmix.benchmark.page import render
from methmix.benchmark.processes import processes
from methmix.benchmark.scaling import scaling
from methmix.benchmark.sizes import FULL, QUICK, Sizes
from methmix.benchmark.solver import solver
from methmix.benchmark.steps import TimedTraining, training_step
from methmix.benchmark.streaming import memory
from methmix.benchmark.writing import writing
from methmix.config.arm import ArmSettings
from methmix.config.load import load_arm, load_experiment
from methmix.errors import InputError
from methmix.files.atomic import write_text
from methmix.reference.build import build_reference

logger = logging.getLogger("methmix")


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.benchmark", __doc__ or "")
    cli.config_option(arguments)
    arguments.add_argument("--output", type=Path, required=True, help="folder to write benchmark.json and .html to")
    arguments.add_argument("--full", action="store_true", help="more repetitions and larger sizes")
    arguments.add_argument("--device", choices=["auto", "cpu"], default="auto", help="auto: a GPU if there is one")
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    if not STATUS.is_file():
        raise InputError(f"{STATUS}: there is no such file", "memory is read from it, which only Linux has")
    device = torch.device("cuda" if options.device == "auto" and torch.cuda.is_available() else "cpu")
    options.output.mkdir(parents=True, exist_ok=True)
    content = measure(options.config, FULL if options.full else QUICK, device, options.output)
    content = {"mode": "full" if options.full else "quick", **content}
    write_text(options.output / "benchmark.json", json.dumps(content, indent=2) + "\n")
    write_text(options.output / "benchmark.html", render(content))
    missed = [check["quantity"] for check in content["checks"] if not check["met"]]
    logger.info("%d of %d targets are met%s", len(content["checks"]) - len(missed), len(content["checks"]),
                f"; missed: {'; '.join(missed)}" if missed else "")  # fmt: skip
    logger.info("the page is %s", options.output / "benchmark.html")


def measure(config: Path, sizes: Sizes, device: torch.device, folder: Path) -> dict[str, Any]:
    """Do all measurements, on a reference made for them; files that they need are below ``folder`` meanwhile."""
    started, here = time.monotonic(), machine(device)
    experiment = load_experiment(config)
    arms: dict[str, ArmSettings] = {
        name: load_arm(Path(path), overrides=experiment.overrides) for name, path in experiment.arms[PHASE].items()
    }
    reference = build_reference(experiment)
    trainings = {name: TimedTraining(arm, experiment, reference, device) for name, arm in arms.items()}
    content: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix=".benchmark.", dir=folder) as temporary:
        room = Path(temporary)
        # A name -> how it is measured; those in processes of their own last.
        measurements: dict[str, Callable[[], dict[str, Any]]] = {
            "training_step": lambda: {
                name: training_step(training, sizes.repetitions) for name, training in trainings.items()
            },
            "nnls": lambda: solver(experiment, reference, sizes.solved, sizes.solved_by_scipy),
            "writing": lambda: writing(experiment, reference, sizes.written, sizes.writings, room),
            "loader": lambda: loader(experiment, reference, trainings["sparse"], sizes.loaded, room),
            "scaling": lambda: scaling(arms, experiment, reference, trainings, sizes, device),
            "memory": lambda: memory(arms, experiment, reference, sizes, device, room),
            "larger_reference": lambda: larger_reference(arms["sparse"], experiment, reference, sizes, device, room),
            "processes": lambda: processes(config, arms, experiment, reference, sizes, room),
        }
        for name, measured in measurements.items():
            content[name] = measured()
            logger.info("%s: measured, %.0f s since the start", name, time.monotonic() - started)
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


if __name__ == "__main__":
    sys.exit(main())
