"""What the metrics are about: absent, present and called tissues, intervals, limits of detection.

Everywhere, ``true`` and ``predicted`` are proportions of shape [n_mixtures, n_tissues]. A true proportion is **absent**
if exactly 0, **present** from `PRESENT` on, and a **trace** between; traces count in no presence metric. A tissue is
**called** where its predicted proportion is at least `PRESENT`. The metrics themselves are in `methmix.scores`.
"""

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import isotonic_regression

# From this proportion on a tissue is present, and a prediction calls it so.
PRESENT = 0.01
# Nominal coverage of the intervals of proportions.
INTERVAL_LEVEL = 0.9
# Proportion of the mixtures in which a tissue at its limit of detection is found.
SENSITIVITY = 0.95
# Largest proportion of false positives among absent tissues with which there is a limit of detection: what is called
# anyway is not detected.
FALSE_CALLS = 0.1
# Tolerance for the background proportion of a mixture (phase 3).
BACKGROUND_MARGIN = 0.03
# Of a proportion in single precision.
ROUNDING = 1e-6

Array = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]


def absent(true: Array) -> Mask:
    """Mark the absent entries."""
    return np.equal(true, 0)


def present(true: Array) -> Mask:
    """Mark the present entries."""
    return np.greater_equal(true, PRESENT)


def called(predicted: Array) -> Mask:
    """Mark the entries that are called."""
    return np.greater_equal(predicted, PRESENT)


def spurious(true: Array, predicted: Array) -> Mask:
    """Mark absent tissues that are called: false positives."""
    return absent(true) & called(predicted)


def missed(true: Array, predicted: Array) -> Mask:
    """Mark present tissues that are not called: false negatives."""
    return present(true) & ~called(predicted)


def covered(true: Array, low: Array, high: Array) -> Mask:
    """Mark the entries whose truth lies in its interval, up to rounding: a single tissue need not have exactly 1."""
    return (true >= low - ROUNDING) & (true <= high + ROUNDING)


def limit_of_detection(amounts: Array, sensitivity: Array) -> float:
    """Find the amount from which on the sensitivity is at least `SENSITIVITY`.

    True sensitivity cannot fall with the amount, so the measured one is made monotone first (isotonic regression);
    between amounts it is interpolated on a logarithmic scale.

    Parameters
    ----------
    amounts
        Ascending, > 0, [n].
    sensitivity
        Detected fraction at each amount, [n]; 0 or 1 where there is a single mixture.

    Returns
    -------
    float
        Infinity if it is not reached; the smallest amount if it is reached there, where the limit may be lower.
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
