"""What a larger reference would cost: measured at a few sizes, and extrapolated."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import optimize

from methmix import seeds
from methmix.benchmark.apart import apart
from methmix.benchmark.inputs import drawn_reference
from methmix.benchmark.sizes import Sizes
from methmix.benchmark.steps import TimedTraining
from methmix.config.arm import ArmSettings
from methmix.config.experiment import Experiment
from methmix.files.reference import Reference, read_reference, write_reference

# The extrapolation is to so many times the regions and the donors of the experiment.
TIMES = 10
_STEPS = 3


def larger_reference(
    arm: ArmSettings, experiment: Experiment, reference: Reference, sizes: Sizes, device: torch.device, folder: Path
) -> dict[str, Any]:
    """Measure reading and preparing a mapped reference, and one step on it, and fit what they cost.

    Seconds of reading and preparing, seconds of a step, and the anonymous memory of the process are each fitted by
    `cost_model`.
    """
    path, points = folder / "larger.h5", []
    n_regions, n_donors = len(reference.regions), len(reference.donors)
    for more_regions in sizes.grid_regions:
        for more_donors in sizes.grid_donors:
            regions, donors = round(more_regions * n_regions), round(more_donors * n_donors)
            rng = seeds.generator(experiment.seed, "larger", regions, donors)
            write_reference(path, drawn_reference(reference.tissue_names, donors, regions, rng))
            used = apart(_prepare_and_step, arm, experiment, path, device)
            prepare, step = used.result
            points.append(
                {
                    "regions": regions,
                    "donors": donors,
                    "prepare_seconds": prepare,
                    "step_seconds": step,
                    "anonymous_mb": used.anonymous_mb,
                    "resident_mb": used.resident_mb,
                }
            )
    path.unlink()
    target = (TIMES * n_regions, TIMES * n_donors)
    return {
        "points": points,
        "extrapolated_to": {"regions": target[0], "donors": target[1]},
        "fits": {
            name: cost_model(points, name, *target) for name in ("prepare_seconds", "step_seconds", "anonymous_mb")
        },
    }


def cost_model(points: list[dict[str, float]], name: str, regions: int, donors: int) -> dict[str, Any]:
    """Fit ``a + b regions + c donors regions``, none of them negative, with the least relative errors.

    Returns
    -------
    dict
        The coefficients, the largest relative residual, and the value at ``regions`` and ``donors``.
    """
    terms = np.array([[1.0, p["regions"], p["donors"] * p["regions"]] for p in points])
    values = np.array([p[name] for p in points])
    # Columns of one size, for the solver's sake.
    scale = terms.max(axis=0)
    scaled, _ = optimize.nnls(terms / scale / values[:, None], np.ones(len(values)))
    coefficients = scaled / scale
    return {
        "constant": coefficients[0],
        "per_region": coefficients[1],
        "per_donor_and_region": coefficients[2],
        "largest_relative_residual": float(np.abs(terms @ coefficients / values - 1).max()),
        "extrapolated": float(np.array([1, regions, donors * regions]) @ coefficients),
    }


def _prepare_and_step(
    arm: ArmSettings, experiment: Experiment, path: Path, device: torch.device
) -> tuple[float, float]:
    started = time.perf_counter()
    training = TimedTraining(arm, experiment, read_reference(path), device)
    prepared = time.perf_counter() - started
    training.whole()
    return prepared, min(training.whole() for _ in range(_STEPS))
