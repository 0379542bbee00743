"""The score that each arm gives a tissue: the higher, the stronger its evidence that the tissue is present."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from methmix import arms
from methmix.config.experiment import Experiment
from methmix.config.phases import Phase
from methmix.evaluation.controls import CONTROLS, Context
from methmix.evaluation.estimates import load_for
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.models.deconvolver import Deconvolver
from methmix.models.prediction import Prediction, predict

Array = npt.NDArray[np.float64]
Scorer = Callable[[Mixtures], Array]

# Two single-precision probabilities differ by more than this in their logits.
_TIE = 1e-8
_LEAST, _MOST = np.finfo(np.float32).smallest_subnormal, 1 - np.finfo(np.float32).epsneg


def make_scorers(reference: Reference, experiment: Experiment, checkpoints: list[Path]) -> dict[str, Scorer]:
    """Make the scorer of each trained arm and of the controls whose limit of detection is measured.

    The score of a tissue is its proportion, without a cut, which would only take sensitivity away; for an arm with a
    presence probability see `presence_score`. A scorer maps mixtures to scores [n_mixtures, n_tissues].

    Parameters
    ----------
    reference, experiment
        What the controls may use; the phase is that of the trained arms.
    checkpoints
        ``checkpoint_best.pt`` of the trained arms.

    Raises
    ------
    InputError
        A checkpoint cannot be read, or is for other tissues or regions.
    """
    scorers: dict[str, Scorer] = {}
    phase: Phase = next(iter(experiment.mixtures.recipes))
    for path in checkpoints:
        model, checkpoint = load_for(path, reference)
        phase = checkpoint.arm["phase"]
        scorers[checkpoint.arm["arm"]] = partial(_of_model, model)
    context = Context(reference, experiment, phase)
    for name in arms.names("control", detection=True):
        scorers[name] = partial(_of_control, name, context)
    return scorers


def _of_model(model: Deconvolver, mixtures: Mixtures) -> Array:
    return presence_score(predict(model, mixtures.methylation, mixtures.depth))


def _of_control(name: str, context: Context, mixtures: Mixtures) -> Array:
    return presence_score(CONTROLS[name](context, mixtures))


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
