"""The score that each arm gives a tissue: the higher, the stronger its evidence that the tissue is present."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from methmix import arms
from methmix.config.experiment import Experiment
from methmix.config.phases import Phase
from methmix.evaluation.controls import CONTROLS, Context
from methmix.evaluation.estimates import load_for, predict_mixtures
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.models.prediction import Array, Prediction

Scorer = Callable[[Mixtures], Array]

# Two single-precision probabilities differ by more than this in their logits.
_TIE = 1e-8
_LEAST, _MOST = np.finfo(np.float32).smallest_subnormal, 1 - np.finfo(np.float32).epsneg


def make_scorers(reference: Reference, experiment: Experiment, checkpoints: list[Path]) -> dict[str, Scorer]:
    """Make the scorer of each trained arm and of the controls whose limit of detection is measured.

    A scorer maps mixtures to scores, [n_mixtures, n_tissues]: see `presence_score`. Controls are not cut, which would
    only cost sensitivity.
    """
    scorers: dict[str, Scorer] = {}
    phase: Phase = next(iter(experiment.mixtures.recipes))
    for path in checkpoints:
        model, checkpoint = load_for(path, reference)
        phase = checkpoint.arm["phase"]
        scorers[checkpoint.arm["arm"]] = _scorer(partial(predict_mixtures, model))
    context = Context(reference, experiment, phase)
    return scorers | {name: _scorer(partial(CONTROLS[name], context)) for name in arms.names("control", detection=True)}


def _scorer(estimate: Callable[[Mixtures], Prediction]) -> Scorer:
    return lambda mixtures: presence_score(estimate(mixtures))


def presence_score(predicted: Prediction) -> Array:
    """Order entries by presence probability, and those of equal probability by proportion.

    The score is the logit of the probability, plus so small a part of the proportion that it only breaks ties. An arm
    without a presence probability has its proportion as the score.
    """
    if predicted.presence_probability is None:
        return predicted.proportions
    probability = predicted.presence_probability.clip(_LEAST, _MOST)
    score: Array = np.log(probability) - np.log1p(-probability) + _TIE * predicted.proportions
    return score
