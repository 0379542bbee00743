"""Checks of the GPU: what it computes is what the CPU computes, and nothing waits that need not."""

import copy
import signal
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from methmix.benchmark.gpu_parts import Finding, Found
from methmix.benchmark.gpu_room import Room, trained
from methmix.errors import RunError
from methmix.mixtures.reads import draw_mixtures
from methmix.models.prediction import predict
from methmix.provenance import PACKAGE
from methmix.training.checkpoint import load_checkpoint
from methmix.training.job import STOPPED
from methmix.training.loop import Trainer
from methmix.training.monitor import Validation

_CPU = torch.device("cpu")
_MIXTURES = 64
# Rounding of a mean changes a count where a random number lies at the edge; `tests/unit/mixtures` has the same limit.
_MOST_UNEQUAL = 1e-4
# Below and above the largest mean that is drawn from tables.
_MEANS = (0.2, 2.0, 10.0, 29.0, 31.0, 100.0, 500.0)
_MOST_DEVIATIONS = 5.0
# Trainings on CPU and GPU may differ by as much as those of two seeds, or by this part where these agree by chance:
# twice the range of three seeds of the original arm (1,500 regions, on a CPU).
_LEAST_SPREAD = 0.03
# No other seed is begun after so long.
_CPU_SECONDS = 15.0
# Rounding grows over 40 steps, but an optimiser that has lost its moments changes the weights by far more.
_MOST_CHANGE = 1e-3
_MOST_DIFFERENCE, _MOST_FLIPPED = 1e-3, 1e-4
_COUNTED_STEPS = 3


def reads(room: Room) -> Found:
    """Compare the reads that the device draws with those of the CPU, and counts with the Poisson distribution."""
    reference, rng = room.reference(room.few), np.random.default_rng(1)
    train = [row for row, split in enumerate(reference.split) if split == "train"]
    fractions = torch.from_numpy(reference.fractions[train])
    weights = rng.dirichlet(np.full(len(train), 0.1), _MIXTURES).astype(np.float32)
    coverage = torch.from_numpy(rng.gamma(8, 1 / 8, fractions.shape[1]).astype(np.float32))
    depth = rng.choice(room.experiment.mixtures.mean_depths, _MIXTURES)
    seeds = rng.integers(2**64, size=_MIXTURES, dtype=np.uint64)
    drawn = [
        torch.stack(draw_mixtures(weights, fractions.to(device), depth, coverage.to(device), seeds)).cpu()
        for device in (_CPU, room.device)
    ]
    differ = (drawn[0].nan_to_num(-1) - drawn[1].nan_to_num(-1)).abs() > 1e-6
    unequal = float(differ.any(dim=0).double().mean())
    rows = [row for mean in _MEANS for row in _counts(room, mean)]
    largest = max(row["deviations"] for row in rows)
    return Found(
        {"unequal": unequal, "entries": differ[0].numel(), "distribution": rows},
        {
            "reads: values": Finding(unequal, _MOST_UNEQUAL, f"fraction of {differ[0].numel():,} regions that differ"),
            "reads: distribution": Finding(largest, _MOST_DEVIATIONS, "largest deviation, in standard deviations"),
        },
    )


def _counts(room: Room, mean: float) -> Iterator[dict[str, Any]]:
    """Draw counts of one mean on the device, of methylated and of other reads, and compare them with Poisson's."""
    n_regions = 2**12
    n = room.sizes.draws // n_regions
    half, one = torch.full((1, n_regions), 0.5, device=room.device), torch.ones(n_regions, device=room.device)
    seeds = np.random.default_rng(2).integers(2**64, size=n, dtype=np.uint64)
    methylation, depth = draw_mixtures(np.ones((n, 1), np.float32), half, np.full(n, 2 * mean), one, seeds)
    methylated = (methylation.nan_to_num(0) * depth).round()
    for kind, counts in (("methylated", methylated), ("other", depth - methylated)):
        yield {"mean": mean, "reads": kind, **_deviation(counts.double().cpu().numpy().ravel(), mean)}


def _deviation(counts: npt.NDArray[np.float64], mean: float) -> dict[str, float]:
    """Compare mean, variance and proportion of zeros; deviations are in standard deviations of each."""
    n, none = len(counts), np.exp(-mean)
    found = np.array([counts.mean() / mean, counts.var() / mean, float((counts == 0).mean())])
    deviation = np.sqrt(np.array([1 / mean, 2 + 1 / mean, none * (1 - none)]) / n)
    # Of large means, no zero is expected, and none counts as a deviation less than one.
    deviations = np.abs(found - [1, 1, none]) / np.maximum(deviation, [0, 0, 1 / n])
    named = dict(zip(("mean_ratio", "variance_ratio", "zeros"), found.tolist(), strict=True))
    return {**named, "expected_zeros": float(none), "deviations": float(deviations.max())}


def waits(room: Room, arm: str) -> Found:
    """Count how often a step waits for the GPU, and where."""
    room.need_gpu()
    trainer = trained(room.trainer(arm, room.few), room.sizes.warm_up)
    torch.cuda.synchronize()
    first = room.sizes.warm_up
    places: Counter[str] = Counter()
    with counted_waits(places):
        trained(trainer, _COUNTED_STEPS, first)
    per_step = places.total() / _COUNTED_STEPS
    where = {place: number / _COUNTED_STEPS for place, number in places.most_common()}
    return Found({"per_step": per_step, "places": where}, {f"{arm}: waits in a step": Finding(per_step, 0.0)})


@contextmanager
def counted_waits(places: Counter[str]) -> Iterator[None]:
    """Count by place in the package each time that the block makes Python wait for the GPU."""

    def note(message: Warning | str, *_: Any) -> None:
        if "synchronizing CUDA operation" in str(message):
            places[_place()] += 1

    with warnings.catch_warnings(), patch.object(warnings, "showwarning", note):
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")


def _place() -> str:
    """Name the line of the package, outside of this folder, that is being executed."""
    frames = [frame for frame in traceback.extract_stack() if Path(frame.filename).is_relative_to(PACKAGE)]
    here = next((f for f in reversed(frames) if Path(f.filename).parent != Path(__file__).parent), None)
    return f"{Path(here.filename).relative_to(PACKAGE)}:{here.lineno} {here.name}" if here else "elsewhere"


def training(room: Room, arm: str) -> Found:
    """Train some steps on CPU and device; and, where products are in bfloat16, without."""
    steps, seeds = room.sizes.training_steps, room.sizes.seeds

    def error(seed: int, device: torch.device) -> float:
        batch = room.arm(arm, room.few).training.batch_size
        short = {"epochs": 1, "mixtures_per_epoch": steps * batch}
        trainer = trained(room.trainer(arm, room.few, device, seed, **short), steps)
        return Validation(trainer.model, room.mixtures(room.few)).values()["val/mae"]

    on_device, begun = error(seeds[0], room.device), time.monotonic()
    on_cpu: list[float] = []
    for seed in seeds:
        # On few cores one seed must do.
        if not on_cpu or time.monotonic() - begun < _CPU_SECONDS:
            on_cpu.append(error(seed, _CPU))
    spread = max(float(np.ptp(on_cpu)), _LEAST_SPREAD * float(np.mean(on_cpu)))
    away = abs(on_device - float(np.mean(on_cpu)))
    figures: dict[str, Any] = {
        "steps": steps,
        "device": on_device,
        "cpu": dict(zip(map(str, seeds), on_cpu, strict=False)),
    }
    note = f"validation MAE {on_device:.5f}, CPU {', '.join(f'{value:.5f}' for value in on_cpu)}"
    findings = {f"{arm}: training": Finding(away, spread, note)}
    if room.arm(arm, room.few).model.backbone == "mlp":
        if room.on_gpu:
            with without_bfloat16():
                figures["float32"] = error(seeds[0], room.device)
        findings[f"{arm}: bfloat16"] = _of_rounding(on_device, figures.get("float32"), spread)
    return Found(figures, findings)


def _of_rounding(in_bfloat16: float, in_float32: float | None, spread: float) -> Finding:
    if in_float32 is None:
        return Finding(None, note="it needs a GPU")
    if in_float32 == in_bfloat16:
        return Finding(None, note="the same to the last digit: this GPU does not use bfloat16")
    return Finding(abs(in_bfloat16 - in_float32), spread, f"validation MAE {in_bfloat16:.5f}, float32 {in_float32:.5f}")


@contextmanager
def without_bfloat16() -> Iterator[None]:
    """Let trainings compute as on a GPU that has no bfloat16."""
    with patch.object(torch.cuda, "is_bf16_supported", lambda *_, **__: False):
        yield


def resume(room: Room, arm: str) -> Found:
    """Stop a training in its second epoch, resume it, and compare its weights with those of one in one go."""
    per_epoch = room.sizes.short_steps
    batch = room.arm(arm, room.few).training.batch_size
    short = {"epochs": 2, "mixtures_per_epoch": per_epoch * batch, "early_stopping_patience": 10}
    whole = room.trainer(arm, room.few, **short)
    whole.run()
    first = room.trainer(arm, room.few, **short)
    stop_after(first, per_epoch + per_epoch // 2)
    if (code := first.run()) != STOPPED[signal.SIGTERM]:
        raise RunError(f"a training that was asked to stop has ended with code {code}")
    resumed = room.trainer(arm, room.few, folder=first.folder, **short)
    resumed.run()
    weights = [load_checkpoint(trainer.last_checkpoint).model for trainer in (whole, resumed)]
    change = max(_change(tensor, weights[1][name]) for name, tensor in weights[0].items())
    note = "bit for bit" if change == 0 else "largest relative difference of a tensor"
    return Found({"change": change}, {f"{arm}: resumed training": Finding(change, _MOST_CHANGE, note)})


def stop_after(trainer: Trainer, steps: int) -> None:
    """Let a training be asked to stop after so many steps."""
    step: Callable[..., None] = trainer.train_step

    def stopped(number: int, *rest: Any, **named: Any) -> None:
        step(number, *rest, **named)
        if number + 1 == steps:
            signal.raise_signal(signal.SIGTERM)

    vars(trainer)["train_step"] = stopped


def _change(one: Tensor, other: Tensor) -> float:
    # Limits that are not calibrated are infinite in both.
    one, other = (part.double().nan_to_num(posinf=0.0) for part in (one, other))
    return float((one - other).norm() / one.norm().clamp(min=1e-12))


def prediction(room: Room, arm: str) -> Found:
    """Predict mixtures of the full size with the trained model on device and CPU."""
    mixtures, model = room.mixtures(room.whole), room.full(arm).model
    table = mixtures.methylation[:], mixtures.depth[:]
    on_device = predict(model, *table).proportions
    on_cpu = predict(_on_cpu(model), *table).proportions
    flipped = (on_device == 0) != (on_cpu == 0)
    # A tissue that is gated out changes the others of its mixture.
    alike = ~flipped.any(axis=1)
    largest = float(np.abs(on_device - on_cpu)[alike].max(initial=0))
    zeros = f"{int(flipped.sum())} of {flipped.size:,} estimates are 0 on one side only"
    return Found(
        {"mixtures": len(mixtures), "largest_difference": largest, "flipped": int(flipped.sum())},
        {
            f"{arm}: prediction": Finding(largest, _MOST_DIFFERENCE, "largest difference of a proportion"),
            f"{arm}: zeros of the prediction": Finding(float(flipped.mean()), _MOST_FLIPPED, zeros),
        },
    )


def _on_cpu(model: Any) -> Any:
    copied: nn.Module = copy.deepcopy(model)
    return copied.to(_CPU)
