"""Batched NNLS against SciPy's in a loop."""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import optimize

from methmix.benchmark.clock import seconds
from methmix.benchmark.inputs import few_mixtures
from methmix.config.experiment import Experiment
from methmix.files.reference import Reference
from methmix.nnls import normalise, weighted_nnls

_REPETITIONS = 2


def solver(experiment: Experiment, reference: Reference, n: int, n_by_scipy: int) -> dict[str, Any]:
    """Measure `weighted_nnls` on ``n`` mixtures, and ``scipy.optimize.nnls`` on some of them, scaled up to all.

    A turn of the loop is the weighting of one mixture's matrix and SciPy's solver; the solver is also timed alone.
    """
    mixtures = few_mixtures(experiment, reference, n)
    profiles = reference.complete_profiles("train")
    solved: list[npt.NDArray[np.float64]] = []

    def solve() -> None:
        solved[:] = normalise(weighted_nnls(profiles, mixtures.methylation, mixtures.depth))

    own = min(seconds(solve, torch.device("cpu")) for _ in range(_REPETITIONS))
    loop, alone, largest = 0.0, 0.0, 0.0
    for row in range(n_by_scipy):
        started = time.perf_counter()
        root = np.sqrt(mixtures.depth[row].astype(float))
        matrix, values = (profiles * root).T, np.nan_to_num(mixtures.methylation[row]) * root
        weighted = time.perf_counter()
        found, _ = optimize.nnls(matrix, values)
        ended = time.perf_counter()
        loop, alone = loop + ended - started, alone + ended - weighted
        largest = max(largest, float(np.abs(normalise(found[None])[0] - solved[row]).max()))
    loop, alone = loop * n / n_by_scipy, alone * n / n_by_scipy
    return {
        "mixtures": n,
        "repetitions": _REPETITIONS,
        "taken": "minimum",
        "solved_by_scipy": n_by_scipy,
        "seconds": own,
        "scipy_seconds_scaled_up": loop,
        "scipy_solver_seconds_scaled_up": alone,
        "speed_over_scipy": loop / own,
        "speed_over_scipy_solver_alone": alone / own,
        "largest_difference": largest,
    }
