"""How the time of a training step grows with the number of regions and with the batch."""

from typing import Any

import torch

from methmix.benchmark.clock import growth
from methmix.benchmark.inputs import resized
from methmix.benchmark.sizes import Sizes
from methmix.benchmark.steps import TimedTraining
from methmix.config.arm import ArmSettings
from methmix.config.experiment import Experiment
from methmix.files.reference import Reference


def scaling(
    arms: dict[str, ArmSettings],
    experiment: Experiment,
    reference: Reference,
    trainings: dict[str, TimedTraining],
    sizes: Sizes,
    device: torch.device,
) -> dict[str, Any]:
    """Measure steps of each arm, mixtures included, at several sizes; minimum of the repetitions.

    Parameters
    ----------
    trainings
        Those with the whole reference.
    """
    regions = [round(multiple * len(reference.regions)) for multiple in sizes.regions]
    by_regions: dict[str, list[float]] = {name: [] for name in (*arms, "mixing_and_reads")}
    for multiple in sizes.regions:
        resized_reference = resized(reference, multiple)
        for name, arm in arms.items():
            training = trainings[name] if multiple == 1 else TimedTraining(arm, experiment, resized_reference, device)
            by_regions[name].append(_least(training, sizes.scaling_repetitions))
        # All arms have the same mixtures.
        spent = min(training.parts()["mixing_and_reads"] for _ in range(sizes.scaling_repetitions))
        by_regions["mixing_and_reads"].append(spent)
    by_batch = {
        name: [_least(training, sizes.scaling_repetitions, size) for size in sizes.batch_sizes]
        for name, training in trainings.items()
    }
    return {
        "repetitions": sizes.scaling_repetitions,
        "taken": "minimum",
        "regions": {
            "sizes": regions,
            "seconds": by_regions,
            "growth": {name: growth(regions, spent) for name, spent in by_regions.items()},
        },
        "batch_size": {
            "sizes": list(sizes.batch_sizes),
            "seconds": by_batch,
            "growth": {name: growth(sizes.batch_sizes, spent) for name, spent in by_batch.items()},
        },
    }


def _least(training: TimedTraining, repetitions: int, size: int | None = None) -> float:
    training.whole(size)
    return min(training.whole(size) for _ in range(repetitions))
