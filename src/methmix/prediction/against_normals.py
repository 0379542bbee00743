"""Prediction of samples beside a panel of normals: what they have above the controls of their laboratory.

Tissues of interest have the amount that exceeds the controls if it is called at 95 % specificity, else exactly 0; the
others share the rest in the proportions that the model gives them.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from methmix.models.deconvolver import Deconvolver
from methmix.models.prediction import Array, Prediction
from methmix.normals.panel import Panel


@dataclass(frozen=True)
class AboveNormals:
    """One sample beside a panel; arrays over the tissues of interest.

    ``amounts`` are proportions above those of the controls, called or not, ``scores`` the same in standard errors, and
    ``total_score`` that of all together; ``called`` and ``total_called`` say at which of the panel's specificities they
    are above the threshold. ``crossfitted``: the sample is a control of the panel, and compared with all the others.
    """

    amounts: Array
    scores: Array
    total_score: float
    called: npt.NDArray[np.bool_]
    total_called: npt.NDArray[np.bool_]
    crossfitted: bool

    @property
    def total(self) -> float:
        """Sum of the amounts, at most 1: profiles are approximate, and a pure tumour may have more than that."""
        return min(1.0, float(self.amounts.sum()))


def beside_panel(
    panel: Panel, model: Deconvolver, found: Prediction, methylation: npt.NDArray[np.float32],
    depth: npt.NDArray[np.float32], threshold: float | None = None,
) -> tuple[Prediction, list[AboveNormals]]:  # fmt: skip
    """Replace what a model says of samples by what they have above the controls.

    Parameters
    ----------
    found
        Prediction of the samples by the model.
    methylation, depth
        Of the samples, [n, n_regions]; methylation is NaN where depth is 0.
    threshold
        Presence probability from which on a tissue of interest has a proportion; None: as called at 95 % specificity.
    """
    assert model.profiles is not None  # a panel is of a model with profiles
    of_interest = panel.columns
    profiles = model.profiles.of(of_interest).mean
    excess, crossfitted = panel.estimate(profiles, torch.from_numpy(methylation), torch.from_numpy(depth))
    amounts, error, scores = (part.numpy() for part in (excess.amounts, excess.error, excess.scores))
    own, of_total = panel.thresholds[:, :-1], panel.thresholds[:, -1]
    called = scores[:, None] > own
    probability = panel.calibration.probability(scores, error, own[0])
    admitted = called[:, 0] if threshold is None else probability >= threshold
    low, high = panel.calibration.intervals(amounts, error)
    proportions = _combined(panel, found.proportions, np.where(admitted, amounts, 0))
    found = replace(
        found,
        proportions=proportions,
        presence_probability=_replaced(found.presence_probability, of_interest, probability, proportions, 0.0),
        low=np.minimum(_replaced(found.low, of_interest, low, proportions, 0.0), proportions),
        high=np.maximum(_replaced(found.high, of_interest, high, proportions, 1.0), proportions),
        error=_replaced(found.error, of_interest, error, proportions, 1.0),
        misfit=excess.misfit.numpy(),
        misfit_limit=np.full(len(amounts), panel.misfit_limit),
        effect=excess.misfit.numpy() / panel.usual_misfit,
    )
    if threshold is None:
        # It is that of a call at 95 % specificity.
        odd = excess.misfit.numpy()[:, None] > panel.misfit_limit
        limits = np.where(odd, np.inf, panel.calibration.limits(error, own[0]))
        found = replace(found, limit=_replaced(found.limit, of_interest, limits, proportions, np.inf))
    totals = excess.total_score.numpy()
    columns = zip(
        amounts, scores, totals.tolist(), called, totals[:, None] > of_total, crossfitted.tolist(), strict=True
    )
    return found, [AboveNormals(*row) for row in columns]


def _combined(panel: Panel, proportions: Array, amounts: Array) -> Array:
    """Put amounts, [n, n_of_interest], into proportions, [n, n_tissues], and share the rest among the other tissues."""
    # Profiles are approximate: of a pure tumour there may be more than everything.
    amounts = amounts / np.maximum(amounts.sum(axis=1, keepdims=True), 1)
    others = proportions.copy()
    others[:, panel.columns] = 0
    total = others.sum(axis=1, keepdims=True)
    usual = np.zeros(proportions.shape[1])
    usual[np.setdiff1d(np.arange(len(usual)), panel.columns)] = panel.attributes["background_composition"]
    relative = np.where(total > 0, others / np.where(total > 0, total, 1), usual)
    combined: Array = relative * (1 - amounts.sum(axis=1, keepdims=True))
    combined[:, panel.columns] = amounts
    return combined


def _replaced(values: Array | None, columns: list[int], own: Array, like: Array, unknown: float) -> Array:
    """Replace some columns of an estimate; the others of one that the model does not estimate are ``unknown``."""
    found = np.full(like.shape, unknown) if values is None else values.copy()
    found[:, columns] = own
    return found
