"""What is measured: the memory and speed of mixtures in files, of NNLS, and of the training of one arm."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count, cycle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import optimize
from torch.profiler import profile, record_function
from torch.utils.benchmark import Timer, timer

from methmix.benchmark.apart import peak_memory
from methmix.config.arm import ArmSettings
from methmix.config.experiment import Experiment
from methmix.files.mixtures import Mixtures, read_mixtures
from methmix.files.reference import Reference, read_reference, write_reference
from methmix.mixtures.write import write_mixtures
from methmix.nnls import normalise, weighted_nnls
from methmix.training.loop import Trainer

PHASE = "phase2"
# In the order of a step; the backward pass is what the other parts leave.
PARTS = ("episode", "mixing_and_reads", "forward", "backward", "optimiser")
_PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm")
# Mixtures in a smaller and a larger file. With fewer than the first, a process does not reach its steady memory.
_STREAMED = (1000, 3000)
# Short calls are repeated for this long and averaged; a longer one is timed once, after a warm-up call.
_LEAST_SECONDS = 0.05


def in_turn(calls: Mapping[Any, Callable[[], object]], rounds: int, threads: int = 1) -> pd.DataFrame:
    """Time calls one after the other: seconds per call, a row per round and a column per name (a tuple: levels).

    Other work slows neighbouring calls equally but changes from second to second, so compare within rounds:
    ``(times["b"] / times["a"]).median()``. The clock waits for a GPU.
    """
    timers = [Timer("call()", globals={"call": call}, num_threads=threads, timer=timer) for call in calls.values()]
    taken = [[each.blocked_autorange(min_run_time=_LEAST_SECONDS).median for each in timers] for _ in range(rounds)]
    return pd.DataFrame(dict(zip(calls, np.transpose(taken), strict=True)))


def growth(times: pd.DataFrame) -> float:
    """Return the largest factor by which doubling the size multiplies the time; columns are sizes, ascending."""
    powers = np.diff(np.log(times), axis=1) / np.diff(np.log(times.columns.to_numpy(float)))
    return float(2 ** np.median(powers, axis=0).max())


def prepare(experiment: Experiment, reference: Reference, n_regions: int, n_mixtures: int, folder: Path) -> Path:
    """Write the reference with its first ``n_regions`` regions (more than it has: all again) and mixtures of it."""
    columns = np.arange(n_regions) % len(reference.regions)
    methylated, depth = (np.take(counts, columns, axis=1) for counts in (reference.methylated, reference.depth))
    resized = replace(reference, methylated=methylated, depth=depth, regions=reference.regions.iloc[columns])
    inputs = folder / str(n_regions)
    write_reference(inputs / "reference.h5", resized)
    _write(experiment, resized, n_mixtures, inputs / "mixtures.h5")
    return inputs


def _write(experiment: Experiment, reference: Reference, n: int, path: Path) -> None:
    settings = experiment.mixtures.model_copy(update={"n_validation": n})
    write_mixtures(experiment.model_copy(update={"mixtures": settings}), reference, PHASE, "validation", path)


def opened(inputs: Path) -> tuple[Reference, Mixtures]:
    """Open what `prepare` has written."""
    return read_reference(inputs / "reference.h5"), read_mixtures(inputs / "mixtures.h5")


def streaming(experiment: Experiment, inputs: Path) -> dict[str, dict[str, Any]]:
    """Record the peak memory after writing a smaller and a larger file of mixtures, and after NNLS of each.

    NNLS comes last: it needs more memory than the writing. The growth is that of the peak per byte of the file.
    """
    reference = read_reference(inputs / "reference.h5")
    profiles, paths = reference.complete_profiles("train"), {n: inputs / f"{n}.h5" for n in _STREAMED}
    written, solved = [], []
    for n, path in paths.items():
        _write(experiment, reference, n, path)
        written.append(peak_memory())
    for path in paths.values():
        streamed = read_mixtures(path)
        weighted_nnls(profiles, streamed.methylation, streamed.depth)
        solved.append(peak_memory())
    sizes = [path.stat().st_size / 2**20 for path in paths.values()]
    of_files = {"regions": len(reference.regions), "mixtures": [*paths], "file_mb": sizes}
    # The kernel counts pages by core and adds them up roughly: a peak that has been reached may read a little lower.
    return {
        name: {**of_files, "resident_mb": peaks, "growth_per_byte": max(0, peaks[1] - peaks[0]) / (sizes[1] - sizes[0])}
        for name, peaks in (("write", written), ("nnls", solved))
    }


def solver(inputs: Path, rounds: int) -> dict[str, Any]:
    """Time NNLS of all mixtures together in turn with ``scipy.optimize.nnls`` of one mixture, another in each round."""
    reference, mixtures = opened(inputs)
    profiles = reference.complete_profiles("train")
    methylation, depth, n = mixtures.methylation[:], mixtures.depth[:], len(mixtures)

    def by_scipy(row: int) -> Any:
        # Every mixture needs a matrix with weights of its own.
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


def training(
    arm: ArmSettings, experiment: Experiment, inputs: dict[int, Path], rounds: int, threads: int, device: torch.device
) -> dict[str, dict[str, Any]]:
    """Train one arm, recording the peak memory of this process, then time steps with one and with several threads."""
    # The experiment's own number of regions comes first.
    whole, batch_size = next(iter(inputs)), arm.training.batch_size
    # Made one by one, so that the others take no memory while the first one trains.
    trainers = (Trainer(arm, experiment, *opened(inputs[n]), inputs[n] / arm.arm, device) for n in inputs)
    trainer = next(trainers)
    trainer.run()
    memory = {"peak_mb": peak_memory(), "gpu_mb": trainer.state.record["gpu_peak_memory_mb"]}
    calls = dict(sorted(zip(inputs, map(_calls, (trainer, *trainers)), strict=True)))
    times = in_turn({(what, n): call for n in calls for what, call in calls[n].items()}, rounds)
    several = in_turn(calls[whole], max(1, rounds // 2), threads)
    seconds = pd.DataFrame({str(threads): several.median(), "1": times.xs(whole, axis=1, level=1).median()})
    step = {"batch_size": batch_size, "mixtures_per_second": (batch_size / seconds).to_dict()}
    by_part: dict[str, Any] = {what: times.xs(what, axis=1, level=0) for what in calls[whole]}
    scaling: dict[str, Any] = {"regions": [*calls], "seconds": {k: of.median().tolist() for k, of in by_part.items()}}
    scaling |= {"growth": growth(by_part["training"]), "growth_of_drawing": growth(by_part["drawing"])}
    return {"training_step": step | attribution(trainer, rounds), "scaling": scaling, "memory": memory}


def _calls(trainer: Trainer) -> dict[str, Callable[[], Any]]:
    """Return what is timed: drawing the mixtures of a step, and a step with its mixtures."""
    batches = map(trainer.batches.batch, count())
    return {"drawing": lambda: next(batches), "training": lambda: trainer.train_step(0, next(batches))}


def attribution(trainer: Trainer, rounds: int) -> dict[str, Any]:
    """Attribute the time of a step to its parts; ratios are taken within each step, medians over ``rounds``."""
    made = {"episode": (trainer.batches.episodes, "draw"), "mixing_and_reads": (trainer.batches.sampler, "sample")}
    learned = {"forward": (trainer.model, "loss"), "optimiser": (trainer.optimiser, "step")}
    for part, (owner, method) in (made | learned).items():
        if owner is not None:
            setattr(owner, method, record_function(part)(getattr(owner, method)))
    step = _calls(trainer)["training"]
    # The first profile also sets the profiler up.
    profiles = pd.DataFrame([_profiled(step, trainer.device) for _ in range(1 + rounds)][1:])
    median, of_step = profiles.median(), profiles.div(profiles["step"], axis=0).median()
    seconds = {"step_seconds": median["step"], "part_seconds": median[[*PARTS]].to_dict()}
    products = {"products_seconds": median["products"], "products_gflop": median["gflop"]}
    products["products_gflop_per_second"] = median["gflop"] / median["products"]
    ratios = {"generation_over_step": of_step["mixing_and_reads"], "episode_over_step": of_step["episode"]}
    ratios["step_over_products"] = 1 / of_step["products"]
    return {"repetitions": rounds, "taken": "median", **seconds, **products, **ratios}


def _profiled(step: Callable[[], Any], device: torch.device) -> dict[str, float]:
    """Profile one step: seconds of it, of its parts and of its matrix products, and the GFLOP of the products."""
    gpu = device.type == "cuda"
    with profile(record_shapes=True, with_flops=True) as profiled, record_function("step"):
        step()
        if gpu:
            torch.cuda.synchronize(device)
    events = [event for event in profiled.events() or [] if event.device_type.name == "CPU"]
    # On a GPU, parts and products are kernel times.
    kind = "device_time_total" if gpu else "cpu_time_total"
    parts = {name: sum(getattr(event, kind) for event in events if event.name == name) / 1e6 for name in PARTS}
    whole = next(event.cpu_time_total for event in events if event.name == "step") / 1e6
    # Products in double precision belong to the small systems of equations of a solver.
    products = [event for event in events if event.name in _PRODUCTS and "double" not in event.input_dtypes]
    measured = {"step": whole, **parts, "backward": whole - sum(parts.values())}
    measured["products"] = sum(getattr(event, f"self_{kind}") for event in products) / 1e6
    return measured | {"gflop": sum(event.flops or 0 for event in products) / 1e9}
