"""Memory of processes that write mixtures, evaluate NNLS on them, and train."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from methmix.benchmark.apart import Used, apart
from methmix.benchmark.inputs import PHASE, resized
from methmix.benchmark.sizes import Sizes
from methmix.benchmark.writing import with_mixtures
from methmix.config.arm import ArmSettings
from methmix.config.experiment import Experiment
from methmix.evaluation.controls import Context, nnls
from methmix.files.mixtures import read_mixtures
from methmix.files.reference import Reference, read_reference, write_reference
from methmix.mixtures.write import write_mixtures
from methmix.training.loop import Trainer


def memory(
    arms: dict[str, ArmSettings],
    experiment: Experiment,
    reference: Reference,
    sizes: Sizes,
    device: torch.device,
    folder: Path,
) -> dict[str, Any]:
    """Measure the largest memory of each, in a process of its own.

    ``growth_per_byte``: by how much the memory grows for every byte by which the file of mixtures does.
    """
    few, mixtures = folder / "few.h5", folder / "validation.h5"
    write_reference(few, resized(reference, sizes.streamed_regions))
    used: dict[str, list[Used]] = {}
    paths = [folder / f"mixtures_{n}.h5" for n in sizes.streamed]
    # What they use does not depend on what else is running, so they run two at a time.
    with ThreadPoolExecutor(2) as pool:
        small = [with_mixtures(experiment, n) for n in sizes.streamed]
        used["write"] = list(pool.map(lambda one, path: apart(_write, one, few, path), small, paths))
        used["nnls"] = list(pool.map(lambda path: apart(_nnls, experiment, few, path), paths))
    megabytes = [path.stat().st_size / 2**20 for path in paths]
    content: dict[str, Any] = {
        "regions": round(sizes.streamed_regions * len(reference.regions)),
        "mixtures": list(sizes.streamed),
        "file_mb": megabytes,
    }
    for name, each in used.items():
        resident = [one.resident_mb for one in each]
        content[name] = {
            "resident_mb": resident,
            "anonymous_mb": [one.anonymous_mb for one in each],
            "growth_per_byte": (resident[-1] - resident[0]) / (megabytes[-1] - megabytes[0]),
        }
    whole = folder / "whole.h5"
    write_reference(whole, reference)
    write_mixtures(with_mixtures(experiment, sizes.trained_mixtures), reference, PHASE, "validation", mixtures)

    def train(arm: ArmSettings) -> Used:
        steps = {"epochs": 1, "mixtures_per_epoch": sizes.trained_steps * arm.training.batch_size}
        short = arm.model_copy(update={"training": arm.training.model_copy(update=steps)})
        return apart(_train, short, experiment, whole, mixtures, folder / arm.arm, device)

    with ThreadPoolExecutor(2) as pool:
        trained = dict(zip(arms, pool.map(train, arms.values()), strict=True))
    for name, one in trained.items():
        content[f"train_{name}"] = {
            "regions": len(reference.regions),
            "validation_mixtures": sizes.trained_mixtures,
            "steps": sizes.trained_steps,
            "resident_mb": one.resident_mb,
            "anonymous_mb": one.anonymous_mb,
            "gpu_mb": one.result,
        }
    return content


def _write(experiment: Experiment, reference: Path, output: Path) -> None:
    write_mixtures(experiment, read_reference(reference), PHASE, "test", output)


def _nnls(experiment: Experiment, reference: Path, mixtures: Path) -> None:
    nnls(Context(read_reference(reference), experiment, PHASE), read_mixtures(mixtures))


def _train(
    arm: ArmSettings, experiment: Experiment, reference: Path, validation: Path, folder: Path, device: torch.device
) -> float:
    trainer = Trainer(arm, experiment, read_reference(reference), read_mixtures(validation), folder, device)
    trainer.run()
    return float(trainer.state.record["gpu_peak_memory_mb"])
