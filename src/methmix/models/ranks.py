"""A batch divided over processes: each holds some of its rows, and all compute as one process would on the whole.

The processes are the ranks of `torch.distributed`. What depends on the whole batch (batch normalisation, dropout masks,
normalisers of losses) asks this module; outside of `sharing`, or with one rank, there is nothing to ask.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed

from methmix.errors import InputError


@dataclass(frozen=True)
class Shard:
    """The rows ``first`` to ``last - 1``, of a batch of ``whole`` rows, that are in this process."""

    first: int
    last: int
    whole: int

    @property
    def rows(self) -> slice:
        """Index of the rows in the whole batch."""
        return slice(self.first, self.last)

    @property
    def fraction(self) -> float:
        """Fraction of the batch in this process."""
        return (self.last - self.first) / self.whole


# A forward pass reaches its layers through torch's containers, which hand on no argument of ours.
_shard: ContextVar[Shard | None] = ContextVar("shard", default=None)
# The shard of this process, or None where the batch is not divided.
current_shard = _shard.get


def shard(whole: int, rank: int, n_ranks: int) -> Shard:
    """Divide a batch into contiguous shards, whose sizes differ by at most one; InputError if one would be empty."""
    if whole < n_ranks:
        raise InputError(
            f"a batch of {whole} mixtures cannot be divided over {n_ranks} processes: each needs at least one",
            f"raise training.batch_size, or start at most {whole} processes",
        )
    return Shard(whole * rank // n_ranks, whole * (rank + 1) // n_ranks, whole)


@contextmanager
def sharing(shard: Shard) -> Iterator[None]:
    """Let what is computed inside be that of the whole batch, of which this process has a shard.

    Every rank must enter with its own shard of the same batch, do the same inside, and have seeded torch identically.
    """
    # A shard that is all of the batch is not divided.
    token = _shard.set(shard if shard.fraction < 1 else None)
    try:
        yield
    finally:
        _shard.reset(token)


def total(values: Tensor) -> Tensor:
    """Sum over the ranks, the same on all of them; ``values`` itself where the batch is not divided.

    All ranks use the sum, so the gradient of ``values`` is the sum over the ranks of their gradients of the sum.
    """
    if current_shard() is None:
        return values
    summed: Tensor = _Total.apply(values)  # type: ignore[no-untyped-call]
    return summed


def part_of_mean(mean: Tensor) -> Tensor:
    """Scale a mean over the rows of this process so that its sum over the ranks is the mean over the whole batch."""
    shard = current_shard()
    return mean if shard is None else mean * shard.fraction


class _Total(torch.autograd.Function):
    """An all-reduce with a gradient: that of torch.distributed.nn is deprecated, and its successor is private."""

    @staticmethod
    def forward(_ctx: Any, values: Tensor) -> Tensor:
        summed = values.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(summed)
        return summed

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:
        # Not `total`: autograd may come here in a thread of its own, where no shard is set.
        summed: Tensor = _Total.apply(gradient)  # type: ignore[no-untyped-call]
        return summed
