"""The last layer of both stages, fitted anew to mixtures of donors that the model has never seen.

What a network has learnt to see holds for other donors; how it weighs it holds less. The loss of sparsity makes
presence too low where it is uncertain, and drawn donors are not just like others. So the weights of the last layer are
fitted to mixtures of other donors as well (last-layer retraining, Kirichenko et al. 2023, ICLR): some fifty for each
stage, the same for all tissues, which can say little about a single donor.
"""

import logging
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from methmix.models.backbone import Features
from methmix.models.gate import open_gate, share_mass
from methmix.models.heads import TwoStageHead
from methmix.models.reference_backbone import TissueReadout

logger = logging.getLogger("methmix")

# Number of donors that weigh as much as the drawn ones: what was fitted to so many, of 22 tissues, holds
# for further donors. Fitted alike to one donor of each of 6 tissues it does not.
_LIKE_DRAWN = 25
# Mixtures of each set that are used at most.
_MOST = 10_000
# Penalty on the squared change of the weights of the proportions, beside their mean absolute error in per cent.
_RIDGE = 5e-3
# Square of a proportion below which an absolute error counts as a squared one.
_SMOOTH = 1e-6
# It goes on until nothing changes any more: where it stops before, it does not do so at the same place with two threads
# as with one.
_STEPS, _CHANGE, _GRADIENT = 1000, 1e-12, 1e-9
_NOT_CONVERGED = "last layer fitted anew: %s did not converge in %d iterations"

# For each batch: true proportions, [batch, n_tissues], and its features.
Batches = Sequence[tuple[Tensor, Features]]


def refit(head: TwoStageHead, readout: TissueReadout, drawn: Batches, others: Batches, n_donors: int) -> None:
    """Fit the ``readout`` of a head to mixtures of drawn donors and of ``n_donors`` others.

    The fewer the others, the less do they weigh; `_LIKE_DRAWN` weigh as much as the drawn ones.

    Presence by a logistic regression on the entries that training has labels for; then the proportions, given which
    tissues the model now calls, by their mean absolute error. Nothing changes without mixtures of both kinds, or if all
    tissues are present, or none.
    """
    if not drawn or not others:
        return
    weight = n_donors / (n_donors + _LIKE_DRAWN)
    parts = [_joined(drawn, 1 - weight, head.label_threshold), _joined(others, weight, head.label_threshold)]
    if (presence := _presence(parts)) is None:
        return
    gates = [open_gate(part.hidden @ presence, head.threshold) for part in parts]
    proportion = _proportion(parts, gates, readout.learnt("proportion").cpu().double())
    readout.fit("presence", presence)
    readout.fit("proportion", proportion)


class _Part(NamedTuple):
    """Mixtures of a set, float64: true and least-squares proportions, and features with a 1 for the bias.

    ``labelled`` marks the tissues that are absent or present, but for traces. The weights of the sets add up to 1.
    """

    weight: float
    true: Tensor
    labelled: Tensor
    proportions: Tensor
    hidden: Tensor


def _joined(batches: Batches, weight: float, label_threshold: float) -> _Part:
    tensors = zip(*((true, features.proportions, features.hidden) for true, features in batches), strict=True)
    true, proportions, hidden = (torch.cat(each)[:_MOST].cpu() for each in tensors)
    labelled = (true == 0) | (true >= label_threshold)
    features = torch.cat([hidden, torch.ones_like(hidden[..., :1])], dim=2)
    return _Part(weight, true.double(), labelled, proportions.double(), features.double())


def _presence(parts: Sequence[_Part]) -> Tensor | None:
    """Fit weights and bias of the logits of presence; None without tissues of both kinds."""
    present = [part.true[part.labelled] > 0 for part in parts]
    label = torch.cat(present).numpy()
    if label.all() or not label.any():
        return None
    hidden = torch.cat([part.hidden[part.labelled] for part in parts])[:, :-1].numpy()
    weights = [len(label) * part.weight / max(1, len(own)) for part, own in zip(parts, present, strict=True)]
    weight = np.concatenate([np.full(len(own), each) for each, own in zip(weights, present, strict=True)])
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        fit = LogisticRegression(solver="newton-cholesky").fit(hidden, label, weight)
    if fit.n_iter_[0] >= fit.max_iter:
        logger.warning(_NOT_CONVERGED, "presence", fit.max_iter)
    return torch.from_numpy(np.append(fit.coef_[0], fit.intercept_[0]))


def _proportion(parts: Sequence[_Part], gates: Sequence[Tensor], learnt: Tensor) -> Tensor:
    """Fit weights and bias of the corrections of the proportions, from those that were learnt on."""
    weights = learnt.clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [weights],
        max_iter=_STEPS,
        max_eval=2 * _STEPS,
        tolerance_change=_CHANGE,
        tolerance_grad=_GRADIENT,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        total = _RIDGE * (weights - learnt).square().sum()
        for part, gate in zip(parts, gates, strict=True):
            error = share_mass(part.proportions.log() + part.hidden @ weights, gate) - part.true
            total = total + 100 * part.weight * (error.square() + _SMOOTH).sqrt().mean()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    if optimiser.state[weights]["n_iter"] >= _STEPS:
        logger.warning(_NOT_CONVERGED, "proportions", _STEPS)
    return weights.detach()
