"""Checks of the GPU that need processes of their own: several that train together, and errors that end a command."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from methmix.benchmark.apart import at_once
from methmix.benchmark.costs import opened
from methmix.benchmark.gpu_checks import without_bfloat16
from methmix.benchmark.gpu_parts import Finding, Found
from methmix.benchmark.gpu_room import Room, trained
from methmix.config.arm import ArmSettings
from methmix.config.experiment import Experiment
from methmix.models.losses import TOTAL
from methmix.models.ranks import shard
from methmix.training.loop import Trainer
from methmix.training.monitor import Validation
from methmix.training.parallel import Ranks, data_parallel, parallel_loss

_RANKS = 2
# Few steps in float32 differ by rounding; the test of ranks on a CPU has the same limit.
_STEPS, _MOST_DIFFERENCE = 4, 2e-3
_SECONDS, _MESSAGE_SECONDS = 90.0, 60.0
# A batch whose reads alone are larger than the memory that the process may use.
_ABSURD_BATCH, _ABSURD_MEMORY = 5000, 160 * 2**20
_LIMITED = """
import sys
import torch
torch.cuda.set_per_process_memory_fraction({limit} / torch.cuda.mem_get_info()[1])
from methmix.training.__main__ import main
sys.exit(main())
"""


def ranks(room: Room, arm: str) -> Found:
    """Train some steps in two processes that share the device, and in one that NCCL connects with itself."""
    # As long as it lasts, so that the learning rate is at its peak.
    short = {"epochs": 1, "mixtures_per_epoch": _STEPS * room.arm(arm, room.few).training.batch_size}
    settings, inputs = room.trainer(arm, room.few, **short).arm, room.inputs[room.few]
    begin = partial(_trainer, settings, room.experiment, inputs, room.folder / f"ranks_{arm}", str(room.device))
    calls: list[Callable[[], Any]] = [
        partial(_of_two, begin, inputs, rank, room.folder / f"store_{arm}") for rank in range(_RANKS)
    ]
    calls += [partial(_by_nccl, begin, room.folder / f"nccl_{arm}")] if room.on_gpu else []
    with without_bfloat16():
        alone = Validation(trained(begin(Ranks()), _STEPS).model, room.mixtures(room.few)).values()["val/total_loss"]
    answers = at_once(calls, min(_SECONDS, room.deadline.left))
    two = answers[0]
    figures: dict[str, Any] = {"steps": _STEPS, "alone": alone, "two_ranks": two}
    note = f"validation loss {two:.6f}, of one process {alone:.6f}"
    findings = {f"{arm}: two ranks": Finding(abs(two / alone - 1), _MOST_DIFFERENCE, note)}
    if room.on_gpu:
        figures["nccl"] = by_nccl, without = answers[_RANKS]
        note = f"training loss {by_nccl:.6f}, without NCCL {without:.6f}"
        findings[f"{arm}: NCCL"] = Finding(abs(by_nccl / without - 1), _MOST_DIFFERENCE, note)
    else:
        findings[f"{arm}: NCCL"] = Finding(None, note="it needs a GPU")
    return Found(figures, findings)


def _trainer(
    arm: ArmSettings, experiment: Experiment, inputs: Path, folder: Path, device: str, ranks: Ranks
) -> Trainer:
    return Trainer(arm, experiment, *opened(inputs), folder / str(ranks.rank), torch.device(device), ranks)


def _connect(backend: str, store: Path, rank: int, n_ranks: int) -> None:
    torch.set_num_threads(1)
    # All are on this machine, which may have no other network and no name.
    os.environ.update(GLOO_SOCKET_IFNAME="lo", NCCL_SOCKET_IFNAME="lo")
    distributed.init_process_group(backend, init_method=f"file://{store}", rank=rank, world_size=n_ranks)


def _of_two(begin: Callable[[Ranks], Trainer], inputs: Path, rank: int, store: Path) -> float:
    """Train as one of two ranks, by gloo, as NCCL refuses two on one GPU; gives the validation loss."""
    _connect("gloo", store, rank, _RANKS)
    with without_bfloat16():
        trainer = begin(Ranks(rank, _RANKS))
        rows = shard(trainer.arm.training.batch_size, rank, _RANKS).rows
        for step in range(_STEPS):
            trainer.train_step(step, trainer.batches.batch(step, rows))
    return Validation(trainer.model, opened(inputs)[1]).values()["val/total_loss"]


def _by_nccl(begin: Callable[[Ranks], Trainer], store: Path) -> tuple[float, float]:
    """Train alone with the wrapper of several ranks, connected by NCCL, and without; gives both losses."""
    _connect("cpu:gloo,cuda:nccl", store, 0, 1)
    with without_bfloat16():
        losses = [_last_loss(begin(Ranks()), wrapped) for wrapped in (True, False)]
    return losses[0], losses[1]


def _last_loss(trainer: Trainer, wrapped: bool) -> float:
    alone = parallel_loss(trainer.model, Ranks())
    loss = data_parallel(alone) if wrapped else alone
    trainer.model.train()
    for step in range(_STEPS):
        batch = trainer.batches.batch(step)
        torch.manual_seed(step)
        given = trainer.model.given(batch.methylation, batch.depth, batch.profiles)
        parts = loss(batch.proportions, *given)
        trainer.optimiser.zero_grad(set_to_none=True)
        parts[TOTAL].backward()
        trainer.optimiser.step()
    return float(parts[TOTAL].detach())


def messages(room: Room) -> Found:
    """Start trainings that must fail: where no GPU is visible, and with a batch for which its memory is too small."""
    name = room.names[0]
    inputs = room.inputs[room.few]
    options = [
        f"--config={room.files[name]}",
        f"--experiment={room.config}",
        f"--reference={inputs / 'reference.h5'}",
        f"--validation={inputs / 'mixtures.h5'}",
        "--device=cuda",
    ]
    hidden = {"CUDA_VISIBLE_DEVICES": "", "METHMIX_ALLOW_CPU": "0"}
    commands = {
        "no GPU": ([sys.executable, "-m", "methmix.training", *options, f"--output={room.folder / 'none'}"], hidden)
    }
    if room.on_gpu:
        batch = [f"--set=training.{key}={_ABSURD_BATCH}" for key in ("batch_size", "mixtures_per_epoch")]
        program = _LIMITED.format(limit=_ABSURD_MEMORY)
        output = f"--output={room.folder / 'absurd'}"
        commands["out of memory"] = ([sys.executable, "-c", program, *options, *batch, output], {})
    ended = _ended(commands, min(_MESSAGE_SECONDS, room.deadline.left))
    findings = {"message: no GPU": _clear(*ended["no GPU"], (1, 2), "no GPU is visible")}
    findings["message: out of memory"] = (
        _clear(*ended["out of memory"], (1,), "batch_size") if room.on_gpu else Finding(None, note="it needs a GPU")
    )
    return Found({what: {"code": code, "stderr": text[-2000:]} for what, (code, text) in ended.items()}, findings)


def _ended(commands: dict[str, tuple[list[str], dict[str, str]]], seconds: float) -> dict[str, tuple[int, str]]:
    """Run commands at the same time; gives exit code and standard error of each."""
    started = {
        what: subprocess.Popen(command, env={**os.environ, **changes}, stderr=subprocess.PIPE, text=True)
        for what, (command, changes) in commands.items()
    }
    try:
        texts = {what: process.communicate(timeout=seconds)[1] for what, process in started.items()}
        return {what: (started[what].returncode, text) for what, text in texts.items()}
    finally:
        for process in started.values():
            process.kill()
            process.wait()


def _clear(code: int, text: str, codes: tuple[int, ...], word: str) -> Finding:
    """Judge how a command has ended: with one of the codes, and with one error that says the word, and no traceback."""
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    clear = code in codes and "Traceback" not in text and len(errors) == 1 and word in text
    return Finding(float(not clear), 0.0, f"exit code {code}; {errors[-1] if errors else text[-200:].strip()}")
