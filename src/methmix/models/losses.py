"""The terms of the loss, by name: a new one is a function and a line of `TERMS`, and a weight (`registry`).

Where a batch is divided over several processes (see `methmix.models.ranks`), each computes its part of a term: what its
own rows add, over a normaliser of the whole batch. The sum over the ranks is the term of the batch.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from methmix.models.intervals import interval_loss
from methmix.models.ranks import part_of_mean, total


class Scored(NamedTuple):
    """What the loss of a batch is computed from, [batch, n_tissues] if not said otherwise.

    Parameters
    ----------
    true, proportions
        True proportions and estimates.
    presence_logits
        None for a model without a presence probability.
    label_threshold
        True proportion from which a tissue is labelled present; below it, if not 0, it is a trace.
    interval_ends
        [batch, n_tissues, 3]; None for a model without intervals.
    """

    true: Tensor
    proportions: Tensor
    presence_logits: Tensor | None = None
    label_threshold: float = 0.0
    interval_ends: Tensor | None = None


def squared_error(scored: Scored) -> Tensor:
    """Mean squared error over mixtures and tissues."""
    return part_of_mean(functional.mse_loss(scored.proportions, scored.true))


def absolute_error(scored: Scored) -> Tensor:
    """Mean absolute error over mixtures and tissues."""
    return part_of_mean(functional.l1_loss(scored.proportions, scored.true))


def presence_cross_entropy(scored: Scored) -> Tensor:
    """Mean binary cross-entropy of presence over entries that are absent or present.

    An entry is absent where its true proportion is 0 and present from the label threshold on; a trace, between, says
    nothing about presence and carries no loss.
    """
    assert scored.presence_logits is not None  # for the type checker: only such models have this term
    labelled = (scored.true == 0) | (scored.true >= scored.label_threshold)
    target = (scored.true >= scored.label_threshold).to(scored.presence_logits.dtype)
    losses = functional.binary_cross_entropy_with_logits(scored.presence_logits, target, reduction="none")
    return torch.where(labelled, losses, 0).sum() / total(labelled.sum())


def expected_presence(scored: Scored) -> Tensor:
    """Mean presence probability, 0-1: unlike the L1 norm of proportions, which is 1 whatever they are, it can fall."""
    assert scored.presence_logits is not None  # for the type checker: only such models have this term
    return part_of_mean(torch.sigmoid(scored.presence_logits).mean())


def interval_ends(scored: Scored) -> Tensor:
    """Pinball losses of the ends of the intervals."""
    assert scored.interval_ends is not None  # for the type checker: only such models have this term
    return interval_loss(scored.interval_ends, scored.true)


class Term(NamedTuple):
    """A term of the loss.

    Parameters
    ----------
    of
        Computes it, without its weight, for what is logged.
    relative
        Whether it is weighed in units of the term of a uniform guess, so that 1 means no better than a guess. A squared
        proportion is some hundred times smaller than a cross-entropy; in this unit a weight of 1 for each makes both
        count.
    """

    of: Callable[[Scored], Tensor]
    relative: bool = False


TERMS = {
    "mse": Term(squared_error, relative=True),
    "mae": Term(absolute_error, relative=True),
    "presence": Term(presence_cross_entropy),
    "sparsity": Term(expected_presence),
    "interval": Term(interval_ends),
}
TOTAL = "total_loss"
# Of all models; a training logs 0 for what its own has not.
LOSSES = (TOTAL, *(f"{name}_loss" for name in TERMS))


def weighted(scored: Scored, weights: Mapping[str, float]) -> dict[str, Tensor]:
    """Compute a loss with its terms.

    Parameters
    ----------
    scored
        A batch.
    weights
        Of each of the `TERMS` that are computed.

    Returns
    -------
    dict
        Scalars, named as in `LOSSES`: the weighted total, and the terms without their weights.
    """
    parts = {name: TERMS[name].of(scored) for name in weights}
    summed = sum(weight * (parts[name] / _unit(TERMS[name], scored)) for name, weight in weights.items())
    return {TOTAL: torch.as_tensor(summed), **{f"{name}_loss": part for name, part in parts.items()}}


def _unit(term: Term, scored: Scored) -> Tensor | float:
    """Give the term of a uniform guess of the whole batch, or 1."""
    if not term.relative:
        return 1.0
    guess = torch.full_like(scored.true, 1 / scored.true.shape[1])
    return total(term.of(scored._replace(proportions=guess)))
