"""Metrics of proportions and of presence, as pure functions.

Everywhere, ``true`` and ``predicted`` are proportions of shape [n_mixtures, n_tissues]. Of the truth, an entry is
**absent** where it is exactly 0, **present** from `PRESENT` on, and **trace** between; trace entries count in no
presence metric. A tissue is **called** where its predicted proportion is at least `PRESENT`. Confusion counts are
taken over the calls, so that an arm is judged by the proportions it gives, whatever its presence probability.
"""

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import isotonic_regression

# From this proportion on a tissue is present, and a prediction calls it so.
PRESENT = 0.01
# Nominal coverage of the intervals of proportions.
INTERVAL_LEVEL = 0.9
# Share of the mixtures in which a tissue at its limit of detection is found.
SENSITIVITY = 0.95
# How far off the background of a mixture may be.
BACKGROUND_MARGIN = 0.03
# Of a proportion in single precision.
_ROUNDING = 1e-6

Array = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]


def absent(true: Array) -> Mask:
    """Mark the absent entries."""
    return np.equal(true, 0)


def present(true: Array) -> Mask:
    """Mark the present entries."""
    return np.greater_equal(true, PRESENT)


def spurious(true: Array, predicted: Array) -> Mask:
    """Mark absent tissues that are called."""
    return absent(true) & (predicted >= PRESENT)


def missed(true: Array, predicted: Array) -> Mask:
    """Mark present tissues that are not called."""
    return present(true) & (predicted < PRESENT)


def abundance(true: Array) -> dict[str, Mask]:
    """Mark the entries of each class: major > 20 %, minor 5 to 20 %, low from `PRESENT` to 5 %, trace below it."""
    major, five = true > 0.2 + _ROUNDING, true >= 0.05 - _ROUNDING
    low = present(true)
    return {"major": major, "minor": five & ~major, "low": low & ~five, "trace": (true > 0) & ~low}


def background_error(true: Array, predicted: Array, tissues: list[int]) -> Array:
    """Give what each predicted background, the sum of some tissues, has above the true one; [n_mixtures]."""
    error: Array = (predicted - true)[:, tissues].sum(axis=1)
    return error


def background_held(error: Array) -> Mask:
    """Mark the mixtures whose background is within `BACKGROUND_MARGIN` of the truth."""
    return np.abs(error) <= BACKGROUND_MARGIN + _ROUNDING


def mae(true: Array, predicted: Array) -> float:
    """Mean absolute error over all entries."""
    return float(np.abs(predicted - true).mean())


def spurious_per_mixture(true: Array, predicted: Array) -> float:
    """Mean number of spurious tissues in a mixture."""
    return float(spurious(true, predicted).sum(axis=1).mean())


def missed_per_mixture(true: Array, predicted: Array) -> float:
    """Mean number of missed tissues in a mixture."""
    return float(missed(true, predicted).sum(axis=1).mean())


def predicted_tissues(predicted: Array) -> float:
    """Mean number of called tissues in a mixture."""
    return float((predicted >= PRESENT).sum(axis=1).mean())


def presence_accuracy(true: Array, predicted: Array) -> float:
    """Share of present and absent entries that are called rightly."""
    counted = absent(true) | present(true)
    return float(((predicted >= PRESENT) == present(true))[counted].mean())


def covered(true: Array, low: Array, high: Array) -> Mask:
    """Mark the entries whose truth lies in its interval.

    Both ends may be off by rounding: a proportion that is all of a mixture need not be exactly 1.
    """
    return (true >= low - _ROUNDING) & (true <= high + _ROUNDING)


def limit_of_detection(amounts: Array, sensitivity: Array) -> float:
    """Find the amount from which on the sensitivity is at least `SENSITIVITY`.

    The true sensitivity cannot fall with the amount, so the measured one is made monotone first (isotonic regression);
    between amounts it is interpolated on a logarithmic scale.

    Parameters
    ----------
    amounts
        Ascending, > 0, [n].
    sensitivity
        Share found of each amount, [n]; 0 or 1 where it is of a single mixture.

    Returns
    -------
    float
        Infinity if it is not reached; the smallest amount if it is reached there already, where the limit may be lower.
    """
    rising = isotonic_regression(sensitivity)
    reached = np.flatnonzero(rising >= SENSITIVITY)
    if not len(reached):
        return float("inf")
    first = reached[0]
    if first == 0:
        return float(amounts[0])
    around = slice(first - 1, first + 1)
    return float(np.exp(np.interp(SENSITIVITY, rising[around], np.log(amounts[around]))))
