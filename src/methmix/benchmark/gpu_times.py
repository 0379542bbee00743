"""Times of the GPU at the full size: what it could do, steps, mixing, batch sizes and whole trainings."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.flop_counter import FlopCounterMode

from methmix import seeds
from methmix.benchmark.apart import apart
from methmix.benchmark.costs import PHASE, in_turn
from methmix.benchmark.gpu_parts import Finding, Found, NotMeasuredError, release
from methmix.benchmark.gpu_room import Marks, Room, synchronise, trained
from methmix.files.reference import read_reference
from methmix.mixtures.sampler import MixtureSampler
from methmix.models.deconvolver import n_parameters
from methmix.models.losses import TOTAL
from methmix.training.monitor import Validation

MOST_MEMORY_GB = 8.0
_ROUNDS = 5
# Times that each parameter is read or written in a step: forward, gradient, and by AdamW (parameter, gradient and two
# moments read, all but the gradient written).
_PARAMETER_PASSES = 9
# Times that the methylation or the depth of a batch is: both written, methylation read, standardised and read again.
_BATCH_PASSES = 4
_NAIVE_MIXTURES = 5
_LEAST_STEPS, _MOST_STEPS = 4, 100


def speed(room: Room) -> Found:
    """Measure what the device can do: bytes per second of a copy, FLOP per second of products by precision."""
    n, device = room.sizes.matrix, room.device
    source = torch.zeros(room.sizes.copied // 4, device=device)
    target = torch.empty_like(source)
    square = torch.randn(n, n, device=device)
    half = square.bfloat16()
    calls: dict[str, Callable[[], object]] = {
        "copy": lambda: target.copy_(source),
        "float32": lambda: square @ square,
        "tf32": lambda: _at_precision("high", square),
        "bfloat16": lambda: half @ half,
    }
    best = in_turn(calls, _ROUNDS).min()
    rates = {name: 2 * n**3 / best[name] for name in calls if name != "copy"}
    # Read and written.
    return Found({"bytes_per_second": 2 * room.sizes.copied / best["copy"], "flop_per_second": rates})


def _at_precision(precision: str, matrix: torch.Tensor) -> torch.Tensor:
    former = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        return matrix @ matrix
    finally:
        torch.set_float32_matmul_precision(former)


def steps(room: Room, arm: str) -> Found:
    """Time steps at the full size, drawing apart, and a validation; record the peak memory."""
    room.let_go()
    if room.on_gpu:
        torch.cuda.reset_peak_memory_stats(room.device)
    trainer = trained(room.full(arm), room.sizes.warm_up)
    first, n = room.sizes.warm_up, room.sizes.timed_steps[arm]
    marks = Marks(room.device)
    synchronise(room.device)
    begun = time.perf_counter()
    for step in range(first, first + n):
        marks.mark()
        batch = trainer.batches.batch(step)
        marks.mark()
        trainer.train_step(step, batch)
    marks.mark()
    between = marks.seconds()
    wall = (time.perf_counter() - begun) / n
    validate = Validation(trainer.model, room.mixtures(room.whole)).values
    # The first one reads the mixtures, which then stay on a GPU.
    validation = [_seconds(room, validate) for _ in range(2)][-1]
    settings = trainer.arm.training
    room.pace[arm] = wall, validation
    epoch = settings.steps_per_epoch * wall + validation
    figures = {
        "steps": n,
        "batch_size": settings.batch_size,
        "step_seconds": wall,
        "drawing_seconds": float(np.median(between[0::2])),
        "training_seconds": float(np.median(between[1::2])),
        "drawing_share": float(np.median(between[0::2] / (between[0::2] + between[1::2]))),
        "mixtures_per_second": settings.batch_size / wall,
        "validation_seconds": validation,
        "validation_share": validation / epoch,
    }
    return Found(figures | _memory(room), {f"{arm}: memory": _kept_memory(room)})


def _seconds(room: Room, call: Callable[[], object]) -> float:
    synchronise(room.device)
    begun = time.perf_counter()
    call()
    synchronise(room.device)
    return time.perf_counter() - begun


def _memory(room: Room) -> dict[str, float | None]:
    """Record the peak of tensors, and of what torch has taken for them, in GB (10^9 bytes)."""
    if not room.on_gpu:
        return {"allocated_gb": None, "reserved_gb": None}
    allocated, reserved = torch.cuda.max_memory_allocated(room.device), torch.cuda.max_memory_reserved(room.device)
    return {"allocated_gb": allocated / 1e9, "reserved_gb": reserved / 1e9}


def _kept_memory(room: Room) -> Finding:
    note = "GB that torch has reserved" if room.on_gpu else "it needs a GPU"
    return Finding(_memory(room)["reserved_gb"], MOST_MEMORY_GB, note)


def work(room: Room, arm: str) -> Found:
    """Count what a step must do at least: products, and bytes of parameters and of the batch's reads."""
    trainer = room.trainer(arm, room.whole)
    batch = trainer.batches.batch(0)
    trainer.model.train()
    with FlopCounterMode(display=False) as counter:
        loss = trainer.model.loss(batch.methylation, batch.proportions, batch.depth, batch.profiles)[TOTAL]
        torch.autograd.backward(loss)
    parameters = n_parameters(trainer.model)
    read = 4 * (_PARAMETER_PASSES * parameters + _BATCH_PASSES * batch.depth.numel())
    mlp = trainer.arm.model.backbone == "mlp"
    figures = {"flop": counter.get_total_flops(), "bytes": read, "parameters": parameters}
    return Found(figures | {"precision": "bfloat16" if mlp and room.on_gpu else "float32"})


def mixing(room: Room) -> Found:
    """Draw the same kind of mixtures on the device, by the loops on all cores, and with NumPy on one core."""
    reference, settings = room.reference(room.whole), room.experiment.mixtures
    n = room.arm(room.names[0], room.whole).training.batch_size
    recipe, rates = settings.recipes[PHASE], {}
    for name, device in {"device": room.device, "cpu": torch.device("cpu")}.items():
        sampler = MixtureSampler(reference, "train", recipe, settings.mean_depths, device)
        rng = seeds.generator(room.experiment.seed, "benchmark")
        sampler.sample(n, rng)
        synchronise(room.device)
        rates[name] = n / min(_seconds(room, lambda s=sampler, r=rng: s.sample(n, r)) for _ in range(_ROUNDS))  # type: ignore[misc]
    naive = apart(naive_mixing, room.inputs[room.whole], settings.mean_depths, _NAIVE_MIXTURES)
    return Found({"mixtures_per_second": {**rates, "numpy": naive["mixtures_per_second"]}, "mixtures": n})


def naive_mixing(inputs: Path, mean_depths: list[float], n: int) -> dict[str, Any]:
    """Mix four donors and draw their reads with NumPy, one mixture after the other."""
    reference, rng = read_reference(inputs / "reference.h5"), np.random.default_rng(1)
    train = [row for row, split in enumerate(reference.split) if split == "train"]
    fractions = reference.fractions[train]
    coverage = reference.depth[train].mean(axis=0)
    coverage = coverage / coverage.mean()
    seconds = []
    for _ in range(1 + n):
        begun = time.perf_counter()
        _naive_mixture(fractions, coverage, float(rng.choice(mean_depths)), rng)
        seconds.append(time.perf_counter() - begun)
    # The first one touches memory for the first time.
    return {"mixtures_per_second": 1 / float(np.median(seconds[1:])), "mixtures": n}


def _naive_mixture(
    fractions: npt.NDArray[np.float32], coverage: npt.NDArray[np.float64], mean_depth: float, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    weights = rng.dirichlet(np.full(4, 2.0))
    own = fractions[rng.choice(len(fractions), 4, replace=False)]
    known = weights @ ~np.isnan(own)
    mixed = np.divide(weights @ np.nan_to_num(own), known, out=np.zeros_like(known), where=known >= 0.5)
    depth = rng.poisson(mean_depth * coverage * (known >= 0.5))
    methylated = rng.binomial(depth, np.minimum(mixed, 1))
    observed: npt.NDArray[np.float64] = np.divide(methylated, depth, out=np.full(len(depth), np.nan), where=depth > 0)
    return observed


def rates(room: Room, arm: str) -> Found:
    """Time steps of larger batches; of one for which the memory is too small, that."""
    room.let_go()
    measured = []
    for size in room.sizes.batch_sizes:
        release()
        try:
            measured.append({"batch_size": size, **_rate(room, arm, size), "failure": ""})
        except torch.OutOfMemoryError:
            nothing = {"steps": 0, "mixtures_per_second": None, **_memory(room)}
            measured.append({"batch_size": size, **nothing, "failure": "out of memory"})
    return Found({"sizes": measured})


def _rate(room: Room, arm: str, size: int) -> dict[str, Any]:
    if room.on_gpu:
        torch.cuda.reset_peak_memory_stats(room.device)
    trainer = room.trainer(arm, room.whole, batch_size=size, mixtures_per_epoch=100 * size)
    step = room.sizes.warm_up
    trained(trainer, step)
    synchronise(room.device)
    begun, done = time.perf_counter(), 0
    while done < _LEAST_STEPS or (done < _MOST_STEPS and time.perf_counter() - begun < room.sizes.rate_seconds):
        trained(trainer, 1, step + done)
        done += 1
    synchronise(room.device)
    seconds = time.perf_counter() - begun
    return {"steps": done, "mixtures_per_second": done * size / seconds, **_memory(room)}


def whole(room: Room, arm: str) -> Found:
    """Train an arm to its end at the full size, if the time suffices."""
    room.let_go()
    settings = room.arm(arm, room.whole).training
    if arm not in room.pace:
        raise NotMeasuredError("its steps were not timed, so that its length is not known")
    step, validation = room.pace[arm]
    expected = settings.total_steps * step + settings.epochs * validation
    if expected > room.deadline.left:
        raise NotMeasuredError(f"it takes about {expected:.0f} s, {room.deadline.left:.0f} s were left")
    trainer = room.trainer(arm, room.whole)
    seconds = _seconds(room, trainer.run)
    state = trainer.state
    return Found(
        {
            "seconds": seconds,
            "train_seconds": state.record["train_seconds"],
            "steps": state.step,
            "epochs": len(state.history),
            "mae": state.best["val/mae"],
            "gpu_utilisation": state.record["gpu_utilisation"],
        }
    )
