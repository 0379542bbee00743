"""One optimiser step: eager, or captured once in a CUDA graph that every further step replays.

A step of a small model is hundreds of operations of some microseconds, which take a GPU less time than Python takes to
ask for them. Captured, they are one. What a graph replays is fixed: the operations, their shapes and their addresses.
What changes from step to step is copied to where they read it: the batch, the learning rate and the seed of dropout.
"""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.profiler import record_function

from methmix.config.arm import ArmSettings
from methmix.errors import RunError
from methmix.models.deconvolver import Deconvolver
from methmix.models.losses import TOTAL
from methmix.models.ranks import Shard, sharing
from methmix.training.batches import Batch
from methmix.training.parallel import Ranks, parallel_loss

# Name, for a profiler, of both parts of the forward pass.
FORWARD = "forward"
# Steps before the capture, in which libraries set themselves up and the optimiser makes its state.
_EAGER = 3
_GRAPHS = "METHMIX_CUDA_GRAPHS"


def learning_rate(step: int, total_steps: int, peak: float, warmup_fraction: float) -> float:
    """Compute the learning rate of one optimiser step: a linear rise to the peak, then a cosine to 0.

    ``warmup_fraction`` is the fraction of all steps that the rise takes.
    """
    warmup = max(1, round(warmup_fraction * total_steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total_steps - warmup)))


class TrainingStep:
    """Does optimiser steps on one rank's ``shard`` of every batch; adds the losses up on the device of the model.

    It is made when the ranks are joined and have the weights and the state of the optimiser to start with.

    Parameters
    ----------
    begun
        Sums of the losses to go on from, by name; what is missing is 0.
    done
        Number of steps before these.
    """

    def __init__(
        self,
        arm: ArmSettings,
        model: Deconvolver,
        optimiser: AdamW,
        shard: Shard,
        ranks: Ranks,
        device: torch.device,
        begun: Mapping[str, float],
        done: int,
    ) -> None:
        self._arm, self._model, self._optimiser, self._device = arm, model, optimiser, device
        self._shard, self._n_ranks = shard, ranks.n_ranks
        self._loss: nn.Module = parallel_loss(model, ranks)
        self._names = (TOTAL, *(f"{name}_loss" for name in model.weights))
        sums = [begun.get(name, 0.0) for name in self._names]
        self._sums = torch.tensor(sums, dtype=torch.float64, device=device)
        running = (b for name, b in model.named_buffers() if name.endswith(("running_mean", "running_var")))
        self._state: list[Tensor] = [*model.parameters(), *running]
        # Number of the step, from 1 on, and of the first one that went wrong, 0 for none.
        self._number, self._first_wrong = (torch.tensor(number, device=device) for number in (done, 0))

    def __call__(self, batch: Batch, rate: float, seed: int) -> None:
        """Do one step at a learning rate; dropout draws from the stream of the seed."""
        self._model.train()
        with record_function(FORWARD):
            given = self._model.given(batch.methylation, batch.depth, batch.profiles)
        torch.manual_seed(seed)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._number += 1
        self._do(batch.proportions, given)

    @property
    def first_wrong(self) -> int:
        """Number of the first step, from 1 on, after which something was not finite, 0 for none; waits for a GPU.

        It is the same on all ranks, as their weights are. Looked at are the weights and the running statistics after
        the step and, of a single process, its loss. A gradient that is infinite or NaN, as after an overflow in a
        product of mixed precision, makes weights NaN at once.
        """
        return int(self._first_wrong)

    def take_sums(self) -> dict[str, float]:
        """Return the sum of this rank's part of each loss over the steps so far, by name, and begin anew."""
        sums = dict(zip(self._names, self._sums.tolist(), strict=True))
        self._sums.zero_()
        return sums

    def _do(self, true: Tensor, given: Sequence[Tensor]) -> None:
        """Do what follows from what is given; see `Deconvolver.given`."""
        with sharing(self._shard):
            with record_function(FORWARD), _mixed_precision(self._arm, self._device):
                parts = self._loss(true, *given)
            self._optimiser.zero_grad(set_to_none=True)
            # Each rank has its part of the loss, and the ranks' gradients are averaged.
            (parts[TOTAL] * self._n_ranks).backward()
        self._optimiser.step()
        # Not read before the epoch ends: a GPU would have to be waited for in each step.
        self._sums += torch.stack([parts[name].detach().double() for name in self._names])
        self._look(parts[TOTAL].detach())

    def _look(self, loss: Tensor) -> None:
        """Note whether this is the first step that went wrong."""
        # A sum is finite only if all of its terms are, and takes a fraction of the time of looking at each.
        fine = torch.stack([part.sum() for part in self._state]).sum().isfinite()
        if self._n_ranks == 1:
            fine = fine & loss.isfinite()
        self._first_wrong.copy_(torch.where(fine | (self._first_wrong > 0), self._first_wrong, self._number))


class CapturedStep(TrainingStep):
    """The same on a GPU that no other rank shares the batches with; all of them have the same size."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._rate = torch.zeros((), device=self._device)
        # Gradients are added up in the stream of their first use, which must be that of the capture.
        self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        self._inputs: list[Tensor] = []
        self._graph: torch.cuda.CUDAGraph | None = None
        self._done = 0

    def _do(self, true: Tensor, given: Sequence[Tensor]) -> None:
        rates = [group["lr"] for group in self._optimiser.param_groups]
        self._rate.fill_(rates[0])
        if not self._inputs:
            self._inputs = [torch.empty_like(part) for part in (true, *given)]
        for own, part in zip(self._inputs, (true, *given), strict=True):
            own.copy_(part)
        if self._done >= _EAGER and self._graph is None:
            self._graph = self._captured()
        if self._graph is not None:
            self._graph.replay()
        else:
            self._eager()
        self._done += 1

    def _eager(self) -> None:
        outer = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(outer)
        with torch.cuda.stream(self._stream):
            self._on_inputs()
        outer.wait_stream(self._stream)

    def _captured(self) -> torch.cuda.CUDAGraph:
        """Capture a step, which does not do it."""
        graph = torch.cuda.CUDAGraph()
        # The gradients are then the graph's own memory, which it writes anew in every step.
        self._optimiser.zero_grad(set_to_none=True)
        # What other threads do, as that which looks at the utilisation, is no part of it.
        try:
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                self._on_inputs()
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise RunError(
                f"a step cannot be captured in a CUDA graph: {reason}", f"{_GRAPHS}=0 does without"
            ) from error
        return graph

    def _on_inputs(self) -> None:
        """Do a step with the learning rate in a tensor, as it is then the same number, eager or captured."""
        groups = self._optimiser.param_groups
        before = [(group["lr"], group["capturable"]) for group in groups]
        for group in groups:
            group["lr"], group["capturable"] = self._rate, True
        super()._do(self._inputs[0], self._inputs[1:])
        # A checkpoint has numbers there, whatever device it was made on.
        for group, (rate, capturable) in zip(groups, before, strict=True):
            group["lr"], group["capturable"] = rate, capturable


def training_step(
    arm: ArmSettings,
    model: Deconvolver,
    optimiser: AdamW,
    shard: Shard,
    ranks: Ranks,
    device: torch.device,
    begun: Mapping[str, float],
    done: int,
) -> TrainingStep:
    """Make the form of a step that suits a device; ``METHMIX_CUDA_GRAPHS=0`` in the environment keeps it eager.

    Several ranks reduce their gradients in between, which would have to be captured too.
    """
    wanted = os.environ.get(_GRAPHS) != "0"
    form = CapturedStep if device.type == "cuda" and ranks.n_ranks == 1 and wanted else TrainingStep
    return form(arm, model, optimiser, shard, ranks, device, begun, done)


def _mixed_precision(arm: ArmSettings, device: torch.device) -> torch.autocast:
    """Compute the products of an MLP in bfloat16 on a GPU that has it.

    A CPU spends as much on drawing the reads as on the products, and least squares need their precision. No weight is
    used twice in a step, so none is cached: a graph would not see that it has changed.
    """
    usable = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    enabled = usable and arm.model.backbone == "mlp"
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled, cache_enabled=False)
