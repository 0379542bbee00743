"""Drawing and writing mixtures against writing the same bytes plainly."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from methmix.benchmark.clock import growth, seconds
from methmix.benchmark.inputs import PHASE
from methmix.config.experiment import Experiment
from methmix.files.reference import Reference
from methmix.mixtures.write import write_mixtures

_PIECE = 2**24


def with_mixtures(experiment: Experiment, n: int) -> Experiment:
    """Give the experiment with ``n`` validation mixtures and ``n`` test mixtures."""
    settings = experiment.mixtures.model_copy(update={"n_test": n, "n_validation": n})
    return experiment.model_copy(update={"mixtures": settings})


def writing(
    experiment: Experiment, reference: Reference, numbers: tuple[int, ...], repetitions: int, folder: Path
) -> dict[str, Any]:
    """Measure the writing of test mixtures, for each number of them, and of as many plain bytes as the last has.

    Both end when the bytes are on the disk (fsync); minimum of the repetitions, which are done in turn.
    """
    path, plain = folder / "mixtures.h5", folder / "plain"
    piece = np.random.default_rng(0).bytes(_PIECE)

    def write(n: int) -> None:
        write_mixtures(with_mixtures(experiment, n), reference, PHASE, "test", path)
        with path.open("rb") as file:
            os.fsync(file.fileno())

    def write_plainly(size: int) -> None:
        with plain.open("wb") as file:
            for start in range(0, size, _PIECE):
                file.write(piece[: size - start])
            file.flush()
            os.fsync(file.fileno())

    def spent(call: Any, argument: int) -> float:
        taken = seconds(lambda: call(argument), torch.device("cpu"))
        plain.unlink(missing_ok=True)
        return taken

    write(numbers[0])
    times: dict[int, list[float]] = {n: [] for n in numbers}
    plainly, size = [], 0
    for _ in range(repetitions):
        for n in numbers:
            times[n].append(spent(write, n))
        size = path.stat().st_size
        plainly.append(spent(write_plainly, size))
    path.unlink()
    least = [min(times[n]) for n in numbers]
    return {
        "mixtures": list(numbers),
        "regions": len(reference.regions),
        "repetitions": repetitions,
        "taken": "minimum",
        "seconds": least,
        "growth": growth(numbers, least),
        "bytes": size,
        "plain_seconds": min(plainly),
        "speed_over_plain": min(plainly) / least[-1],
    }
