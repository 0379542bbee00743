"""Cuts: proportions below one are set to 0, and the best one is chosen on mixtures whose truth is known."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from methmix.nnls import normalise
from methmix.scores import Scores

Array = npt.NDArray[np.float64]
# What sets the proportions below a threshold to 0.
Cutter = Callable[[Array, float], Array]


def cut(proportions: Array, threshold: float) -> Array:
    """Set proportions below a threshold to 0 and renormalise; the largest is always kept."""
    kept = (proportions >= threshold) | (proportions == proportions.max(axis=1, keepdims=True))
    return normalise(np.where(kept, proportions, 0))


def choose_cut(proportions: Array, true: Array, candidates: Sequence[float], cutter: Cutter = cut) -> float:
    """Choose the cut with the lowest mean absolute error, on mixtures whose truth is known."""
    return min(candidates, key=lambda threshold: mae(cutter(proportions, threshold), true))


def mae(proportions: Array, true: Array) -> float:
    """Compute the mean absolute error."""
    return Scores(true, proportions).value("mae")
