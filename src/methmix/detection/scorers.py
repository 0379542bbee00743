"""What each arm says of a tissue: its evidence that it is present, whether it calls it, the limit that it states."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from methmix import arms
from methmix.config.experiment import Experiment
from methmix.config.phases import Phase
from methmix.cuts import choose_cut
from methmix.evaluation.controls import CONTROLS, Context
from methmix.evaluation.estimates import load_for, predict_mixtures
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.metrics import PRESENT
from methmix.models.prediction import Array, Prediction

# Two single-precision probabilities differ by more than this in their logits.
_TIE = 1e-8
_LEAST, _MOST = np.finfo(np.float32).smallest_subnormal, 1 - np.finfo(np.float32).epsneg


class Evidence(NamedTuple):
    """Of mixtures and tissues, [n_mixtures, n_tissues] each.

    The higher a score, the stronger the evidence (`presence_score`); ``called``: at the threshold that is shipped;
    ``limit``: of detection as the arm states it, NaN where it does not know, None if it states none.
    """

    scores: Array
    called: npt.NDArray[np.bool_]
    limit: Array | None


@dataclass(frozen=True)
class Scorer:
    """An arm as it is used: a tissue is called if it has mass behind the gate, or at least a proportion ``cut``."""

    estimate: Callable[[Mixtures], Prediction]
    cut: float = PRESENT

    def __call__(self, mixtures: Mixtures) -> Evidence:
        """Predict mixtures and see what is called."""
        predicted = self.estimate(mixtures)
        gated = predicted.presence_probability is not None
        called = predicted.proportions > 0 if gated else predicted.proportions >= self.cut
        limit = predicted.limit
        if limit is not None:
            limit = np.where(np.isfinite(limit), limit, np.nan)
        return Evidence(presence_score(predicted), called, limit)


def make_scorers(
    reference: Reference, experiment: Experiment, checkpoints: list[Path], validation: Mixtures
) -> dict[str, Scorer]:
    """Make the scorer of each trained arm and of the controls whose limit of detection is measured.

    The cut of an arm that has one is chosen on validation mixtures, as in a comparison; an arm with neither gate nor
    cut calls what the metrics count as called.
    """
    scorers: dict[str, Scorer] = {}
    phase: Phase = next(iter(experiment.mixtures.recipes))
    for path in checkpoints:
        model, checkpoint = load_for(path, reference)
        phase = checkpoint.arm["phase"]
        scorers[checkpoint.arm["arm"]] = Scorer(partial(predict_mixtures, model))
    context = Context(reference, experiment, phase)
    true = validation.proportions[:].astype(np.float64)
    for name in arms.names("control", detection=True):
        estimate, cut = partial(CONTROLS[name], context), PRESENT
        if arms.ARMS[name].cut:
            cut = choose_cut(estimate(validation).proportions, true, experiment.evaluation.cuts)
        scorers[name] = Scorer(estimate, cut)
    return scorers


def presence_score(predicted: Prediction) -> Array:
    """Order entries by presence probability, and those of equal probability by proportion.

    The score is the logit of the probability, plus so small a part of the proportion that it only breaks ties. An arm
    without a presence probability has its proportion before any cut as the score.
    """
    if predicted.presence_probability is None:
        return predicted.proportions
    probability = predicted.presence_probability.clip(_LEAST, _MOST)
    score: Array = np.log(probability) - np.log1p(-probability) + _TIE * predicted.proportions
    return score
