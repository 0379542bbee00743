"""Several processes that train one model (data parallel): who they are and how they agree."""

import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from methmix.errors import InputError
from methmix.models.deconvolver import Deconvolver

# A rank that waits longer than this for another one gives up; validation, done by one rank, is far shorter.
_PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True)
class Ranks:
    """Which process this is among those that train together; by default there is no other.

    Rank 0 alone validates, logs and writes files. ``local_rank``, the number of this process on its node, decides which
    of the node's GPUs is its own.
    """

    rank: int = 0
    n_ranks: int = 1
    local_rank: int = 0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Ranks":
        """Read what torchrun or srun has passed to this process; InputError if the address of rank 0 is missing."""
        if "RANK" in environment and "WORLD_SIZE" in environment:
            names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        elif int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
            names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")
        else:
            return cls()
        ranks = cls(*(int(environment[name]) for name in names))
        if ranks.n_ranks > 1 and not {"MASTER_ADDR", "MASTER_PORT"} <= set(environment):
            raise InputError(
                f"{ranks.n_ranks} processes are to train together, but MASTER_ADDR and MASTER_PORT are not set",
                "start them with torchrun or slurm/train_sparse.sh, or set both to the host of rank 0 and a free port",
            )
        return ranks

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Connect the ranks while the block runs: tensors on the CPU by gloo, those on GPUs by NCCL."""
        if self.n_ranks == 1:
            yield
            return
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=_PATIENCE, rank=self.rank, world_size=self.n_ranks)
        try:
            yield
        finally:
            dist.destroy_process_group()

    def of_first(self, value: Any) -> Any:
        """Return rank 0's value on every rank."""
        box = [value]
        if self.n_ranks > 1:
            dist.broadcast_object_list(box, src=0)
        return box[0]

    def largest(self, number: int) -> int:
        """Return the largest of the ranks' numbers on every rank."""
        if self.n_ranks == 1:
            return number
        tensor = torch.tensor(number)
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
        return int(tensor)

    def summed(self, numbers: dict[str, float]) -> dict[str, float]:
        """Return the sums of the ranks' numbers, by name, on every rank; all have the same names."""
        tensor = torch.tensor(list(numbers.values()), dtype=torch.float64)
        if self.n_ranks > 1 and numbers:
            dist.all_reduce(tensor)
        return dict(zip(numbers, tensor.tolist(), strict=True))


def parallel_loss(model: Deconvolver, ranks: Ranks) -> nn.Module:
    """Make `Deconvolver.loss_of` a module whose gradients are averaged over the ranks.

    It is called with the true proportions of a batch and what `Deconvolver.given` gives of its mixtures.
    """
    return _Loss(model) if ranks.n_ranks == 1 else data_parallel(_Loss(model))


def data_parallel(loss: nn.Module) -> nn.Module:
    """Let the gradients of a module be averaged over the ranks, which are connected."""
    # Running statistics are the same on every rank by construction, so they need not be sent around. Before torch 2.13
    # that was an option of another name.
    known = inspect.signature(DistributedDataParallel).parameters
    option = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    options: dict[str, Any] = {option: False}
    return DistributedDataParallel(loss, **options)


class _Loss(nn.Module):
    """The loss as a forward pass, which is what data-parallel training wraps."""

    def __init__(self, model: Deconvolver) -> None:
        super().__init__()
        self.model = model

    def forward(self, true: Tensor, *given: Tensor) -> dict[str, Tensor]:
        return self.model.loss_of(self.model.features(*given), true)


def torchrun(processes: int, module: str, arguments: list[str]) -> NoReturn:
    """Become torchrun, which starts so many ``python -m module arguments`` on this node."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    os.execv(sys.executable, [*command, "-m", module, *arguments])
