"""Prediction at another presence threshold than the one that a model is shipped with."""

from dataclasses import replace

import numpy as np

from methmix.errors import InputError
from methmix.models.deconvolver import Deconvolver
from methmix.models.prediction import Prediction, predict
from methmix.rows import Rows


def own_threshold(model: Deconvolver) -> float | None:
    """Give the presence probability from which on tissues of a model get a proportion; None without a gate."""
    return model.head.threshold


def other_threshold(model: Deconvolver, asked: float | None, panel: bool = False) -> float | None:
    """Check the presence threshold that was asked for; None if it is the model's own, which a panel does not use."""
    if asked is None:
        return None
    own = own_threshold(model)
    if own is None:
        raise InputError("--presence-threshold: this model has no gate", "leave it out, or use a sparse model")
    if not 0 <= asked <= 1:
        raise InputError(f"--presence-threshold: expected a probability, 0 to 1, found {asked:g}")
    return None if asked == own and not panel else asked


def predict_at(model: Deconvolver, methylation: Rows, depth: Rows, threshold: float | None = None) -> Prediction:
    """Predict mixtures, as `methmix.models.prediction.predict`, but at another threshold than the model's own.

    The gate opens by the presence probabilities as they are stated, which a poor fit moves towards their prior.
    Intervals are as they were, but contain the proportions. There is no limit of detection: it is calibrated at the
    model's own threshold only.
    """
    found = predict(model, methylation, depth)
    if threshold is None:
        return found
    proportions = found.at_threshold(threshold)
    proportions /= proportions.sum(axis=1, keepdims=True)
    low = None if found.low is None else np.minimum(found.low, proportions)
    high = None if found.high is None else np.maximum(found.high, proportions)
    return replace(found, proportions=proportions, low=low, high=high, limit=None)
