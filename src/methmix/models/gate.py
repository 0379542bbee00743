"""The gate between the two stages: which tissues get mass, and how it is divided among them."""

import torch
from torch import Tensor, nn


def open_gate(presence_logits: Tensor, threshold: float) -> Tensor:
    """Open the gate for the tissues whose presence probability reaches the threshold, or for the most probable one.

    Boolean [batch, n_tissues], at least one true in each row.
    """
    probability = torch.sigmoid(presence_logits)
    most_probable = nn.functional.one_hot(probability.argmax(dim=1), probability.shape[1]).bool()
    passes = probability >= threshold
    return passes | (most_probable & ~passes.any(dim=1, keepdim=True))


def share_mass(logits: Tensor, gate: Tensor) -> Tensor:
    """Divide the mass among the tissues behind the gate, [batch, n_tissues]: a softmax over those, 0 elsewhere."""
    return torch.softmax(logits.masked_fill(~gate, float("-inf")), dim=1)


def proportion_if_admitted(logits: Tensor, gate: Tensor) -> Tensor:
    """Compute the proportion of each tissue, or the one it would have if the gate admitted it beside the others."""
    inside = torch.logsumexp(logits.masked_fill(~gate, float("-inf")), dim=1, keepdim=True)
    return torch.where(gate, torch.exp(logits - inside), torch.sigmoid(logits - inside))
