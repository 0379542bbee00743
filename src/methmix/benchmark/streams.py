"""Mixtures in files: the memory of a process that streams them, and batched NNLS on them against SciPy's."""

from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize

from methmix.benchmark.apart import peak_memory
from methmix.benchmark.timing import in_turn
from methmix.config.experiment import Experiment, Phase
from methmix.files.mixtures import Mixtures, read_mixtures
from methmix.files.reference import Reference, read_reference, write_reference
from methmix.mixtures.write import write_mixtures
from methmix.nnls import normalise, weighted_nnls

PHASE: Phase = "phase2"
# Mixtures in a smaller and a larger file. With fewer than the first, a process does not reach its steady memory.
_STREAMED = (1000, 3000)


def prepare(experiment: Experiment, reference: Reference, multiple: float, n: int, folder: Path) -> Path:
    """Write the reference with a multiple of its regions (the first ones, or all again), and ``n`` mixtures of it."""
    columns = np.arange(round(multiple * len(reference.regions))) % len(reference.regions)
    counts = {name: np.ascontiguousarray(getattr(reference, name)[:, columns]) for name in ("methylated", "depth")}
    inputs, resized = folder / f"{multiple}", replace(reference, **counts, regions=reference.regions.iloc[columns])
    inputs.mkdir()
    write_reference(inputs / "reference.h5", resized)
    _write(experiment, resized, n, inputs / "mixtures.h5")
    return inputs


def opened(inputs: Path) -> tuple[Reference, Mixtures]:
    """Open what `prepare` has written."""
    return read_reference(inputs / "reference.h5"), read_mixtures(inputs / "mixtures.h5")


def _write(experiment: Experiment, reference: Reference, n: int, path: Path) -> None:
    settings = experiment.mixtures.model_copy(update={"n_validation": n})
    write_mixtures(experiment.model_copy(update={"mixtures": settings}), reference, PHASE, "validation", path)


def files(experiment: Experiment, inputs: list[Path], rounds: int) -> dict[str, dict[str, Any]]:
    """Measure streaming, then NNLS; arguments as for `methmix.benchmark.steps.training`."""
    return {"memory": _streaming(experiment, inputs[1]), "nnls": {"batched_nnls": _solver(inputs[0], rounds)}}


def _streaming(experiment: Experiment, inputs: Path) -> dict[str, dict[str, Any]]:
    """Write a smaller and a larger file of mixtures, deconvolve both, and note the peak memory meanwhile.

    ``growth_per_byte`` is by how much the peak grows from the first file to the second, per byte that the second one
    is larger. NNLS comes last, since it needs more memory than the writing in any case.
    """
    reference, _ = opened(inputs)
    profiles, paths = reference.complete_profiles("train"), [inputs / f"{n}.h5" for n in _STREAMED]
    peaks: dict[str, list[float]] = {"write": [], "nnls": []}
    for n, path in zip(_STREAMED, paths, strict=True):
        _write(experiment, reference, n, path)
        peaks["write"].append(peak_memory())
    for path in paths:
        streamed = read_mixtures(path)
        weighted_nnls(profiles, streamed.methylation, streamed.depth)
        peaks["nnls"].append(peak_memory())
    small, large = (path.stat().st_size / 2**20 for path in paths)
    of_files = {"regions": len(reference.regions), "mixtures": [*_STREAMED], "file_mb": [small, large]}
    return {
        name: {**of_files, "resident_mb": [first, last], "growth_per_byte": (last - first) / (large - small)}
        for name, (first, last) in peaks.items()
    }


def _solver(inputs: Path, rounds: int) -> dict[str, Any]:
    """Time `weighted_nnls` on all mixtures in turn with ``scipy.optimize.nnls`` on one of them, another one each time.

    SciPy's time includes the weighting of the matrix, which every mixture needs.
    """
    reference, mixtures = opened(inputs)
    profiles = reference.complete_profiles("train")
    methylation, depth, n = mixtures.methylation[:], mixtures.depth[:], len(mixtures)

    def by_scipy(row: int) -> npt.NDArray[np.float64]:
        root = np.sqrt(depth[row].astype(float))
        return optimize.nnls((profiles * root).T, np.nan_to_num(methylation[row]) * root)[0]

    rows = cycle(range(n))
    calls = {"batched": lambda: weighted_nnls(profiles, methylation, depth), "scipy": lambda: by_scipy(next(rows))}
    times = in_turn(calls, rounds) / [n, 1]
    solved = weighted_nnls(profiles, methylation[:rounds], depth[:rounds])
    looped = np.array([by_scipy(row) for row in range(len(solved))])
    return {
        "mixtures": n,
        "repetitions": rounds,
        "mixtures_per_second": (1 / times.median()).to_dict(),
        "speed_over_scipy": (times["scipy"] / times["batched"]).median(),
        "largest_difference": float(np.abs(normalise(solved) - normalise(looped)).max()),
    }
