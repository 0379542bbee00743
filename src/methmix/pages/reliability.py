"""Reliability of presence probabilities: how often a tissue is present that has one."""

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from methmix import metrics
from methmix.pages.style import TRUTH
from methmix.scores import CALIBRATION_BINS, calibration_bins

Array = npt.NDArray[np.float64]

# Bins with fewer entries would show noise.
_FEWEST = 10


def reliability(axes: Axes, true: Array, probability: Array, **look: Any) -> tuple[metrics.Mask, Array]:
    """Plot the proportion of present entries against the mean presence probability, in the bins of the ECE.

    Parameters
    ----------
    true, probability
        True proportions and presence probabilities, 0-1, of the same shape.
    look
        How the line looks, for `Axes.plot`.

    Returns
    -------
    present, probability
        Which entries are present, and their probabilities, [n_labelled] each; traces are left out.
    """
    labelled = metrics.absent(true) | metrics.present(true)
    present, probability = metrics.present(true)[labelled], probability[labelled]
    bins = calibration_bins(probability)
    number = np.bincount(bins, minlength=CALIBRATION_BINS)
    enough = number >= _FEWEST
    mean, found = (np.bincount(bins, of, CALIBRATION_BINS)[enough] / number[enough] for of in (probability, present))
    axes.plot(mean, found, "o-", markersize=4, **look)
    return present, probability


def diagonal(axes: Axes, title: str) -> None:
    """Draw where probabilities are right, and label the axes."""
    axes.axline((0, 0), slope=1, color=TRUTH, linewidth=0.7)
    axes.set(xlabel="presence probability", ylabel="proportion that is present", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes.set_title(title)
    axes.legend()
