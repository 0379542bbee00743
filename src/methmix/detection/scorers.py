"""The score that each arm gives a tissue: the higher, the surer it is that the tissue is there."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from methmix.evaluation import controls
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.models.deconvolver import Deconvolver
from methmix.models.prediction import Prediction, predict
from methmix.training.checkpoint import check_same_data, load_model

Array = npt.NDArray[np.float64]
Scorer = Callable[[Mixtures], Array]

# Two single-precision probabilities differ by more than this in their logits.
_TIE = 1e-8
_LEAST, _MOST = np.finfo(np.float32).smallest_subnormal, 1 - np.finfo(np.float32).epsneg


def make_scorers(reference: Reference, checkpoints: list[Path]) -> dict[str, Scorer]:
    """Make the scorer of each trained arm and of the controls ``nnls`` and ``em``.

    The score of a tissue is its proportion, without a cut, which would only take sensitivity away; for an arm with a
    presence probability see `presence_score`. A scorer maps mixtures to scores [n_mixtures, n_tissues].

    Parameters
    ----------
    reference
        Its training donors are what the controls know.
    checkpoints
        ``checkpoint_best.pt`` of the trained arms.

    Raises
    ------
    InputError
        A checkpoint cannot be read, or is for other tissues or regions.
    """
    scorers: dict[str, Scorer] = {}
    for path in checkpoints:
        model, checkpoint = load_model(path)
        check_same_data(path, checkpoint, reference.tissue_names, reference.digest, "the reference")
        scorers[checkpoint.arm["arm"]] = _of_model(model.to("cuda" if torch.cuda.is_available() else "cpu"))
    scorers["nnls"] = lambda mixtures: controls.nnls(reference, mixtures)
    scorers["em"] = lambda mixtures: controls.em(reference, mixtures)
    return scorers


def _of_model(model: Deconvolver) -> Scorer:
    return lambda mixtures: presence_score(predict(model, mixtures.methylation, mixtures.depth))


def presence_score(predicted: Prediction) -> Array:
    """Order entries by presence probability, and those of equal probability by proportion.

    The score is the logit of the probability, plus so small a part of the proportion that it only breaks ties. A model
    without a presence probability has its proportion as the score.
    """
    if predicted.presence_probability is None:
        return predicted.proportions
    probability = predicted.presence_probability.clip(_LEAST, _MOST)
    score: Array = np.log(probability) - np.log1p(-probability) + _TIE * predicted.proportions
    return score
