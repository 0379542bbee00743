"""The terms of the loss, by name: a new one is a function and a line of `TERMS`, and a weight (`registry`).

Where a batch is divided over several processes (see `methmix.models.ranks`), each computes its part of a term: what its
own rows add, over a normaliser of the whole batch. The sum over the ranks is the term of the batch.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from methmix.models.intervals import interval_loss
from methmix.models.ranks import part_of_mean, total


class Scored(NamedTuple):
    """What the loss of a batch is computed from; what a model does not estimate is None and has no term.

    [batch, n_tissues], ``interval_ends`` [batch, n_tissues, 3]. From ``label_threshold`` on a true proportion is
    labelled present; below it, if not 0, it is a trace.
    """

    true: Tensor
    proportions: Tensor
    presence_logits: Any = None
    label_threshold: float = 0.0
    interval_ends: Any = None


def presence_cross_entropy(scored: Scored) -> Tensor:
    """Mean binary cross-entropy of presence over the entries that are absent or present, but for traces."""
    present = scored.true >= scored.label_threshold
    labelled, target = (scored.true == 0) | present, present.to(scored.presence_logits.dtype)
    losses = functional.binary_cross_entropy_with_logits(scored.presence_logits, target, reduction="none")
    return torch.where(labelled, losses, 0).sum() / total(labelled.sum())


def expected_tissues(scored: Scored) -> Tensor:
    """Mean over mixtures of the expected number of tissues that are present, the sum of their probabilities.

    Unlike the L1 norm of proportions, which is always 1, it can fall.
    """
    return part_of_mean(torch.sigmoid(scored.presence_logits).sum(dim=1).mean())


class Term(NamedTuple):
    """A term of the loss: its function, without its weight, and whether it is in units of that of a uniform guess.

    A squared proportion is some hundred times smaller than a cross-entropy; in this unit a weight of 1 for each makes
    both count.
    """

    of: Callable[[Scored], Tensor]
    relative: bool = False


TERMS = {
    "mse": Term(lambda scored: part_of_mean(functional.mse_loss(scored.proportions, scored.true)), relative=True),
    "mae": Term(lambda scored: part_of_mean(functional.l1_loss(scored.proportions, scored.true)), relative=True),
    "presence": Term(presence_cross_entropy),
    "sparsity": Term(expected_tissues),
    "interval": Term(lambda scored: interval_loss(scored.interval_ends, scored.true)),
}
TOTAL = "total_loss"
# Of all models; a training logs 0 for the terms that its own does not have.
LOSSES = (TOTAL, *(f"{name}_loss" for name in TERMS))


def weighted(scored: Scored, weights: Mapping[str, float]) -> dict[str, Tensor]:
    """Compute the weighted total of some `TERMS`, and these without their weights; scalars, named as `LOSSES`."""
    parts = {name: TERMS[name].of(scored) for name in weights}
    summed = sum(weight * (parts[name] / _unit(TERMS[name], scored)) for name, weight in weights.items())
    return {TOTAL: torch.as_tensor(summed), **{f"{name}_loss": part for name, part in parts.items()}}


def _unit(term: Term, scored: Scored) -> Tensor | float:
    """Compute the term of a uniform guess of the whole batch, or 1."""
    if not term.relative:
        return 1.0
    guess = torch.full_like(scored.true, 1 / scored.true.shape[1])
    return total(term.of(scored._replace(proportions=guess)))
