"""The last layer of both stages, fitted anew to mixtures of donors that the model has never seen.

What a network has learnt to see holds for other donors, how it weighs that less so: the loss of sparsity makes presence
too low where it is uncertain, and drawn donors are not just like others. Its last layer alone, fitted to a few mixtures
of these as well, has so few weights that it cannot learn them by heart (last-layer retraining, Kirichenko et al. 2023,
ICLR).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from methmix.models.backbone import Features
from methmix.models.gate import share_mass
from methmix.models.heads import TwoStageHead
from methmix.models.reference_backbone import TissueReadout

# Penalty on the squared change of the weights of the proportions, beside their mean absolute error in per cent.
_RIDGE = 1e-3
_STEPS = 400
# Square of a proportion below which an absolute error counts as a squared one.
_SMOOTH = 1e-8


# Of batches: true proportions, [batch, n_tissues], and what the model sees of the mixtures.
Batches = Sequence[tuple[Tensor, Features]]


def refit(head: TwoStageHead, readout: TissueReadout, *parts: Batches) -> None:
    """Fit the ``readout`` of a head to several sets of mixtures, which weigh alike however many they are.

    Presence by a logistic regression on the entries that training has labels for; then the proportions, given which
    tissues are called, by their mean absolute error. Nothing changes if all tissues are present, or none.
    """
    joined = [_joined(part) for part in parts if part]
    if (presence := _presence(joined, head.label_threshold)) is None:
        return
    readout.fit("presence", presence)
    with torch.no_grad():
        gates = [torch.cat([head(features).gate for _, features in part]).cpu() for part in parts if part]
    readout.fit("proportion", _proportion(joined, gates, readout.learnt("proportion").cpu().double()))


class _Part(NamedTuple):
    """Mixtures of a part, float64: true and least-squares proportions, and features with a 1 for the bias."""

    true: Tensor
    proportions: Tensor
    hidden: Tensor


def _joined(part: Batches) -> _Part:
    tensors = zip(*((true, features.proportions, features.hidden) for true, features in part), strict=True)
    true, proportions, hidden = (torch.cat(each).cpu().double() for each in tensors)
    return _Part(true, proportions, torch.cat([hidden, torch.ones_like(hidden[..., :1])], dim=2))


def _presence(parts: Sequence[_Part], label_threshold: float) -> Tensor | None:
    """Fit weights and bias of the logits of presence; None without tissues of both kinds."""
    labelled = [(part.true == 0) | (part.true >= label_threshold) for part in parts]
    present = [part.true[own] > 0 for part, own in zip(parts, labelled, strict=True)]
    label = torch.cat(present).numpy()
    if label.all() or not label.any():
        return None
    hidden = torch.cat([part.hidden[own] for part, own in zip(parts, labelled, strict=True)])[:, :-1].numpy()
    weight = np.concatenate([np.full(len(own), len(label) / len(parts) / max(1, len(own))) for own in present])
    fit = LogisticRegression(C=1.0, solver="newton-cholesky").fit(hidden, label, weight)
    return torch.from_numpy(np.append(fit.coef_[0], fit.intercept_[0]))


def _proportion(parts: Sequence[_Part], gates: Sequence[Tensor], learnt: Tensor) -> Tensor:
    """Fit weights and bias of the corrections of the proportions, from those that were learnt on."""
    weights = learnt.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([weights], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        total = _RIDGE * (weights - learnt).square().sum()
        for part, gate in zip(parts, gates, strict=True):
            error = share_mass(part.proportions.log() + part.hidden @ weights, gate) - part.true
            total = total + 100 / len(parts) * (error.square() + _SMOOTH).sqrt().mean()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    with torch.enable_grad():
        optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach()
