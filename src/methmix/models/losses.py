"""Losses, returned with their parts named.

Where a batch is shared by several processes (see `methmix.models.ranks`), each computes its share of a loss: what its
own rows add, over a normaliser of the whole batch. The sum over the ranks is the loss of the batch.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from methmix.models.ranks import part_of_mean, total


class LossParts(NamedTuple):
    """A loss and what it consists of; scalars, the parts without their weights.

    ``mse`` is the plain mean squared error, which enters the total as `relative_mse`. A part that a model does not
    have is 0. Where the batch is shared, each is the share of this process.
    """

    total: Tensor
    mse: Tensor
    presence: Tensor
    sparsity: Tensor
    interval: Tensor


def mse_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean squared error over mixtures and tissues, or the share in it; both [batch, n_tissues]."""
    return part_of_mean(functional.mse_loss(predicted, true))


def relative_mse(mse: Tensor, true: Tensor) -> Tensor:
    """Divide a mean squared error, or a share in it, by that of the uniform guess; ``true`` is [batch, n_tissues].

    1 means no better than a guess. A squared proportion is some hundred times smaller than a cross-entropy; in this
    unit a weight of 1.0 for each means that both are heard. The guess is for the whole batch, shared or not.
    """
    return mse / total(mse_loss(torch.full_like(true, 1 / true.shape[1]), true))


def relative_absolute_error(predicted: Tensor, true: Tensor) -> Tensor:
    """Divide the mean absolute error, or the share in it, by that of the uniform guess; both [batch, n_tissues]."""
    guess = part_of_mean(functional.l1_loss(torch.full_like(true, 1 / true.shape[1]), true))
    return part_of_mean(functional.l1_loss(predicted, true)) / total(guess)


def presence_loss(logits: Tensor, true: Tensor, label_threshold: float) -> Tensor:
    """Mean binary cross-entropy of presence over entries that are absent or present, or the share in it.

    Parameters
    ----------
    logits
        Presence logits, [batch, n_tissues].
    true
        True proportions, [batch, n_tissues]. An entry is absent where it is 0 and present from
        ``label_threshold`` on; a trace, between, says nothing about presence and carries no loss.
    label_threshold
        Proportion, 0-1.
    """
    labelled = (true == 0) | (true >= label_threshold)
    target = (true >= label_threshold).to(logits.dtype)
    losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return torch.where(labelled, losses, 0).sum() / total(labelled.sum())


def sparsity_loss(logits: Tensor) -> Tensor:
    """Compute the expected share of tissues present, by the presence probabilities; [batch, n_tissues] -> 0-1.

    Unlike the L1 norm of proportions, which is 1 whatever they are, this can fall. Of a shared batch, it is what the
    rows of this process add.
    """
    return part_of_mean(torch.sigmoid(logits).mean())


def pinball_loss(predicted: Tensor, true: Tensor, quantile: float) -> Tensor:
    """Mean pinball loss over the entries that are there (true > 0), or the share in it; 1 is a true share's mean.

    It is lowest where ``predicted`` is the quantile of the true share (Koenker and Bassett 1978, Econometrica 46:33).

    Parameters
    ----------
    predicted, true
        [batch, n_tissues].
    quantile
        0-1.
    """
    there = true > 0
    error = true - predicted
    losses = torch.maximum(quantile * error, (quantile - 1) * error)
    return torch.where(there, losses, 0).sum() / total(torch.where(there, true, 0).sum())
