"""Losses, returned with their parts named."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class LossParts(NamedTuple):
    """A loss and what it consists of; scalars, the parts without their weights.

    ``mse`` is the plain mean squared error, which enters the total as `relative_mse`. A part that a model does not
    have is 0.
    """

    total: Tensor
    mse: Tensor
    presence: Tensor
    sparsity: Tensor


def mse_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean squared error over mixtures and tissues; both [batch, n_tissues]."""
    return functional.mse_loss(predicted, true)


def relative_mse(mse: Tensor, true: Tensor) -> Tensor:
    """Divide a mean squared error by that of the uniform guess on the same truth, [batch, n_tissues].

    1 means no better than a guess. A squared proportion is some hundred times smaller than a cross-entropy; in this
    unit a weight of 1.0 for each means that both are heard.
    """
    return mse / mse_loss(torch.full_like(true, 1 / true.shape[1]), true)


def presence_loss(logits: Tensor, true: Tensor, label_threshold: float) -> Tensor:
    """Binary cross-entropy of presence, over entries that are absent or present.

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
    return torch.where(labelled, losses, 0).sum() / labelled.sum()


def sparsity_loss(logits: Tensor) -> Tensor:
    """Compute the expected share of tissues present, by the presence probabilities; [batch, n_tissues] -> 0-1.

    Unlike the L1 norm of proportions, which is 1 whatever they are, this can fall.
    """
    return torch.sigmoid(logits).mean()
