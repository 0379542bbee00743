"""The straightforward way to make mixtures, which this package replaces: files of calls, mixed by worker processes."""

import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from methmix import seeds
from methmix.benchmark.clock import seconds
from methmix.benchmark.inputs import PHASE
from methmix.benchmark.steps import TimedTraining
from methmix.config.experiment import Experiment
from methmix.config.phases import Recipe
from methmix.files.reference import Reference
from methmix.mixtures.recipes import draw_proportions

_POSITIONS, _MISSING = 150, 2
_WORKERS = 2
_REPETITIONS = 3


def loader(
    experiment: Experiment, reference: Reference, training: TimedTraining, n: int, folder: Path
) -> dict[str, Any]:
    """Measure mixtures per second of that loader, once its workers are busy, and of a training's own batches.

    Its mixtures have no reads, and are of few donors, whose files the system keeps in memory; ours have reads and are
    of donors drawn for the step.
    """
    recipe = experiment.mixtures.recipes[PHASE]
    # As many donors as the recipe can mix.
    tissues = reference.tissue_names[: max(getattr(recipe, "n_tissues", [2]))]
    paths = [folder / f"{number}.h5" for number in range(len(tissues))]
    for donor, path in enumerate(paths):
        _write_calls(path, reference.fractions[donor], seeds.generator(experiment.seed, "calls", donor))
    items = iter(DataLoader(_MixedPerItem(paths, recipe, tissues, n + _WORKERS), batch_size=None, num_workers=_WORKERS))
    for _ in range(_WORKERS):
        next(items)
    started = time.perf_counter()
    made = sum(1 for _ in items)
    theirs = made / (time.perf_counter() - started)
    spent = min(seconds(training.batch, training.device) for _ in range(_REPETITIONS))
    return {
        "loader_mixtures": made,
        "loader_workers": _WORKERS,
        "loader_per_second": theirs,
        "own_mixtures": training.batch_size,
        "own_repetitions": _REPETITIONS,
        "own_taken": "minimum, episode included",
        "own_per_second": training.batch_size / spent,
        "speed_over_loader": training.batch_size / spent / theirs,
    }


def _write_calls(path: Path, fractions: npt.NDArray[np.float32], rng: np.random.Generator) -> None:
    """Write the calls of a donor, uint8 [n_regions, 150]: 0, 1, or 2 where a region has no such position."""
    shape = (len(fractions), _POSITIONS)
    calls = (rng.random(shape, dtype=np.float32) < np.nan_to_num(fractions)[:, None]).astype(np.uint8)
    calls[rng.random(shape, dtype=np.float32) < 0.5] = _MISSING
    with h5py.File(path, "w") as file:
        file.create_dataset("methylation", data=calls, compression="gzip")


class _MixedPerItem(Dataset[torch.Tensor]):
    """Mixtures that are each made of files when they are asked for."""

    def __init__(self, paths: list[Path], recipe: Recipe, tissues: list[str], n: int) -> None:
        self._paths = paths
        self._proportions = draw_proportions(recipe, tissues, n, np.random.default_rng(0))

    def __len__(self) -> int:
        return len(self._proportions)

    def __getitem__(self, item: int) -> torch.Tensor:
        if item >= len(self):
            raise IndexError
        mixed: Any = 0
        for path, share in zip(self._paths, self._proportions[item], strict=True):
            if share > 0:
                with h5py.File(path) as file:
                    calls = file["methylation"][:]
                observed = (calls != _MISSING).sum(axis=1)
                mixed += share * (calls == 1).sum(axis=1) / np.maximum(observed, 1)
        return torch.from_numpy(mixed.astype(np.float32))
