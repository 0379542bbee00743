"""A training of one arm: its memory, where the time of a step goes, and how that grows with regions."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

from methmix.benchmark.apart import peak_memory
from methmix.benchmark.streams import opened
from methmix.benchmark.timing import growth, in_turn
from methmix.config.arm import ArmSettings
from methmix.config.experiment import Experiment
from methmix.training.loop import Trainer

# In the order of a step; the backward pass is what the other parts leave.
PARTS = ("episode", "mixing_and_reads", "forward", "backward", "optimiser")
_PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm")


def training(
    arm: ArmSettings, experiment: Experiment, inputs: list[Path], rounds: int, threads: int, device: torch.device
) -> dict[str, dict[str, Any]]:
    """Train one arm and note the peak memory of this process, then time its steps.

    Parameters
    ----------
    arm, experiment, device
        As for `Trainer`.
    inputs
        Folders of `prepare`: the first one of the experiment's size, the others of other sizes.
    rounds
        How often a step is timed; medians are returned.
    threads
        Of torch, for a second measurement of mixtures per second; all else is measured with one.
    """
    whole, trainer = _trainer(arm, experiment, inputs[0], device)
    trainer.run()
    memory = {"peak_mb": peak_memory(), "gpu_mb": trainer.state.record["gpu_peak_memory_mb"]}
    others = [_trainer(arm, experiment, folder, device) for folder in inputs[1:]]
    calls = {regions: _calls(each) for regions, each in sorted([(whole, trainer), *others])}
    alone = {name: in_turn({n: calls[n][name] for n in calls}, rounds) for name in calls[whole]}
    several = in_turn(calls[whole], max(1, rounds // 2), threads)
    seconds = pd.DataFrame(
        {str(threads): several.median(), "1": {name: times[whole].median() for name, times in alone.items()}}
    )
    step = {"batch_size": arm.training.batch_size, "mixtures_per_second": (arm.training.batch_size / seconds).to_dict()}
    scaling = {
        "regions": [*calls],
        "seconds": {name: [*times.median()] for name, times in alone.items()},
        "growth": growth(alone["training"]),
        "growth_of_drawing": growth(alone["drawing"]),
    }
    return {
        "training_step": {arm.arm: step | _attribution(trainer, rounds)},
        "scaling": {arm.arm: scaling},
        "memory": {f"train_{arm.arm}": memory},
    }


def _trainer(arm: ArmSettings, experiment: Experiment, inputs: Path, device: torch.device) -> tuple[int, Trainer]:
    """Make the trainer for some inputs; the number of their regions comes first."""
    reference, validation = opened(inputs)
    return len(reference.regions), Trainer(arm, experiment, reference, validation, inputs / arm.arm, device)


def _calls(trainer: Trainer) -> dict[str, Callable[[], Any]]:
    """Return what is timed: drawing the mixtures of a step, and a step with its mixtures."""
    steps = count()
    return {
        "drawing": lambda: trainer.batches.batch(next(steps)),
        "training": lambda: trainer.train_step(0, trainer.batches.batch(next(steps))),
    }


def _attribution(trainer: Trainer, rounds: int) -> dict[str, Any]:
    """Find where the time of a step goes; ratios are those within each step, medians over ``rounds``."""
    for part, owner, method in (
        ("episode", trainer.batches.episodes, "draw"),
        ("mixing_and_reads", trainer.batches.sampler, "sample"),
        ("forward", trainer.model, "loss"),
        ("optimiser", trainer.optimiser, "step"),
    ):
        if owner is not None:
            setattr(owner, method, record_function(part)(getattr(owner, method)))
    step = _calls(trainer)["training"]
    # The first profile also sets the profiler up.
    profiles = pd.DataFrame([_profiled(step, trainer.device) for _ in range(1 + rounds)][1:])
    median, of_step = profiles.median(), profiles.div(profiles["step"], axis=0).median()
    return {
        "repetitions": rounds,
        "taken": "median",
        "step_seconds": median["step"],
        "part_seconds": median[[*PARTS]].to_dict(),
        "products_seconds": median["products"],
        "products_gflop": median["gflop"],
        "products_gflop_per_second": median["gflop"] / median["products"],
        "step_over_products": 1 / of_step["products"],
        "generation_over_step": of_step["mixing_and_reads"],
        "episode_over_step": of_step["episode"],
    }


def _profiled(step: Callable[[], Any], device: torch.device) -> dict[str, float]:
    """Profile one step: seconds of it, of its parts and of its matrix products, and the operations of these (GFLOP).

    Products in double precision are not counted: they belong to the small systems of equations of a solver. On a GPU
    all seconds but those of the whole step are of its kernels.
    """
    gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]
    with profile(activities=activities, record_shapes=True, with_flops=True) as profiled, record_function("step"):
        step()
        if gpu:
            torch.cuda.synchronize(device)
    events = [event for event in profiled.events() or [] if event.device_type == DeviceType.CPU]
    kind = "device_time_total" if gpu else "cpu_time_total"
    parts = {name: sum(getattr(event, kind) for event in events if event.name == name) / 1e6 for name in PARTS}
    whole = next(event.cpu_time_total for event in events if event.name == "step") / 1e6
    products = [event for event in events if event.name in _PRODUCTS and "double" not in event.input_dtypes]
    return {
        "step": whole,
        **parts,
        "backward": whole - sum(parts.values()),
        "products": sum(getattr(event, f"self_{kind}") for event in products) / 1e6,
        "gflop": sum(event.flops or 0 for event in products) / 1e9,
    }
