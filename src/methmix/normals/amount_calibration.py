"""What an estimated amount means, by known amounts spiked into controls: interval, limit of detection, probability.

The distribution of the estimate is known at each amount that was spiked. An interval is the range of all amounts at
which an estimate such as this one is within the middle 90 % (Neyman 1937, Phil. Trans. R. Soc. A 236:333); the limit of
detection is the least amount at which 95 % are called.
"""

import logging
import math
import warnings
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from methmix.metrics import INTERVAL_LEVEL, SENSITIVITY

Array = npt.NDArray[np.float64]

logger = logging.getLogger("methmix")

_MOST_ITERATIONS = 100
# Amounts that are spiked; 0 is the controls themselves.
AMOUNTS = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.4)
# The estimate of a large amount is off by a part of it, whatever the depth: profiles differ from the donor's.
_RELATIVE = 0.1
_TAIL = (1 - INTERVAL_LEVEL) / 2
_ROUNDING = 1e-6
# Amounts at which it is asked whether they are refuted.
_GRID = np.linspace(0, 1, 401) ** 2


class AmountCalibration(NamedTuple):
    """Quantiles of estimate minus amount in units of their scale, at each of `AMOUNTS`; arrays [n_tissues, n_amounts].

    ``lower`` and ``upper`` leave out 5 % each, ``found`` leaves out 1 minus the sensitivity of a limit of detection
    below. ``presence``, [3], are intercept and slopes of the logit of presence.
    """

    lower: Array
    upper: Array
    found: Array
    presence: Array

    def intervals(self, amounts: Array, error: Array) -> tuple[Array, Array]:
        """Compute the ends of the intervals of estimates, [n, n_tissues] each."""
        low, high = np.zeros_like(amounts), np.ones_like(amounts)
        for tissue in range(amounts.shape[1]):
            estimate, own = amounts[:, tissue, None], error[:, tissue, None]
            lowest, highest = (_estimates(ends[tissue], own) for ends in (self.lower, self.upper))
            possible = (lowest <= estimate + _ROUNDING) & (estimate <= highest + _ROUNDING)
            distance = np.abs(estimate - _GRID)
            possible |= distance == distance.min(axis=1, keepdims=True)
            low[:, tissue] = np.where(possible, _GRID, np.inf).min(axis=1)
            high[:, tissue] = np.where(possible, _GRID, -np.inf).max(axis=1)
        return np.minimum(low, amounts), np.maximum(high, np.minimum(amounts, 1))

    def limits(self, error: Array, thresholds: Array) -> Array:
        """Compute the limits of detection, [n, n_tissues], of scores called above thresholds [n_tissues]; inf: none."""
        limits = np.full(error.shape, np.inf)
        for tissue, threshold in enumerate(thresholds):
            own = error[:, tissue, None]
            # Beyond what was spiked nothing is known.
            enough = (_estimates(self.found[tissue], own) > threshold * own) & (AMOUNTS[-1] >= _GRID)
            limits[:, tissue] = np.where(enough.any(axis=1), _GRID[enough.argmax(axis=1)], np.inf)
        return limits

    def probability(self, scores: Array, error: Array, thresholds: Array) -> Array:
        """Compute the probability that each tissue is present, [n, n_tissues]."""
        logit = self.presence[0] + _evidence(scores, error, thresholds) @ self.presence[1:]
        return np.asarray(1 / (1 + np.exp(-logit)))


def calibrate(
    tissue: npt.NDArray[np.int64], amount: npt.NDArray[np.int64], estimates: Array, error: Array, thresholds: Array,
    prior: float,
) -> AmountCalibration:  # fmt: skip
    """Calibrate by spiked controls.

    Parameters
    ----------
    tissue, amount
        Column of the tissue and place of the amount in `AMOUNTS` of each spiked control, [n]; where the amount is 0 all
        tissues are absent.
    estimates, error
        Estimated amounts and their standard errors, [n, n_tissues].
    thresholds
        Of the scores, [n_tissues].
    prior
        Probability that a tissue is present before anything is known of a sample, 0-1.
    """
    n_tissues = estimates.shape[1]
    lower, upper, found = (np.empty((n_tissues, len(AMOUNTS))) for _ in range(3))
    for column in range(n_tissues):
        for place, true in enumerate(AMOUNTS):
            own = (amount == place) & ((tissue == column) | (place == 0))
            off = (estimates[own, column] - true) / _scale(np.array(true), error[own, column])
            lower[column, place], upper[column, place] = -_quantile(-off, _TAIL), _quantile(off, _TAIL)
            found[column, place] = -_quantile(-off, 1 - SENSITIVITY)
    blank = amount == 0
    absent = estimates[blank] / error[blank], error[blank]
    rows, columns = np.nonzero(~blank)[0], tissue[~blank]
    present = estimates[rows, columns] / error[rows, columns], error[rows, columns]
    evidence = np.concatenate([
        _evidence(*absent, thresholds).reshape(-1, 2),
        _evidence(*present, thresholds[columns]),
    ])  # fmt: skip
    label = np.arange(len(evidence)) >= absent[0].size
    weight = np.where(label, prior / label.sum(), (1 - prior) / (~label).sum()) * len(label)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        fitted = LogisticRegression(max_iter=_MOST_ITERATIONS).fit(evidence, label, sample_weight=weight)
    if fitted.n_iter_[0] >= _MOST_ITERATIONS:
        message = "probability of presence beside the panel: its regression did not converge in %d iterations"
        logger.warning(message, _MOST_ITERATIONS)
    return AmountCalibration(lower, upper, found, np.concatenate([fitted.intercept_, fitted.coef_[0]]))


def _estimates(ends: Array, error: Array) -> Array:
    """Compute the estimates at quantiles ``ends``, [n_amounts], at every amount of the grid, for errors [n, 1]."""
    amounts, ends = np.append(AMOUNTS, 1.0), np.append(ends, ends[-1])
    known = np.maximum(amounts + ends * _scale(amounts, error), 0)
    # More of a tissue does not make less of it likely.
    known = np.maximum.accumulate(known, axis=1)
    place = np.clip(np.searchsorted(amounts, _GRID, side="right"), 1, len(amounts) - 1)
    part = (_GRID - amounts[place - 1]) / (amounts[place] - amounts[place - 1])
    between: Array = known[:, place - 1] * (1 - part) + known[:, place] * part
    return between


def _scale(amount: Array, error: Array) -> Array:
    return np.sqrt(error**2 + (_RELATIVE * amount) ** 2)


def _evidence(scores: Array, error: Array, thresholds: Array) -> Array:
    """Collect what presence is judged by: the score relative to its threshold, and the precision of the amount."""
    relative = scores / np.maximum(thresholds, 1e-6)
    # A score that a hundredth of the controls reaches is no more certain for being ten times that.
    return np.stack([np.minimum(relative, 10), np.minimum(relative, 1) * -np.log(error)], axis=-1)


def _quantile(values: Array, tail: float) -> float:
    """Find what a further value exceeds with a probability of at most ``tail``; ValueError with too few values."""
    rank = math.ceil((1 - tail) * (len(values) + 1))
    if rank > len(values):
        raise ValueError(f"{len(values)} values have no quantile that leaves out {tail:g}")
    return float(np.sort(values)[rank - 1])
