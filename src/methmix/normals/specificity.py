"""Thresholds at a stated specificity, from the scores of controls, each left out of its own panel."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

SPECIFICITIES = (0.95, 0.99)

Array = npt.NDArray[np.float64]


class Specificity(NamedTuple):
    """A stated specificity, and what a threshold by so many controls has: its mean and 95 % interval, 0-1.

    The threshold is the score of the control of this ``rank`` (1: the lowest). A control that it does not rest on is
    below it with a probability of beta distribution (rank, n + 1 - rank), whatever the scores' distribution (order
    statistics; Wilks 1941, Ann. Math. Stat. 12:91).
    """

    stated: float
    rank: int
    n_controls: int
    mean: float
    low: float
    high: float

    @property
    def reached(self) -> bool:
        """Whether there are enough controls for it."""
        return self.mean >= self.stated - 1e-9

    @property
    def words(self) -> str:
        """State it for a reader."""
        interval = f"{100 * self.mean:.1f} % (95 % interval {100 * self.low:.1f} to {100 * self.high:.1f} %)"
        if self.reached:
            return f"{100 * self.stated:g} % specificity: expected {interval} from {self.n_controls} controls"
        needed = round(self.stated / (1 - self.stated))
        return (
            f"{100 * self.stated:g} % specificity cannot be stated with {self.n_controls} controls (at least {needed} "
            f"are needed): the threshold is the highest of their scores, of which {interval} is expected"
        )


def specificity_of(stated: float, n_controls: int) -> Specificity:
    """Find the lowest rank whose expected specificity, rank / (n + 1), is the stated one; else the highest rank."""
    rank = min(n_controls, int(np.ceil(stated * (n_controls + 1) - 1e-9)))
    low, high = beta.ppf([0.025, 0.975], rank, n_controls + 1 - rank)
    return Specificity(stated, rank, n_controls, rank / (n_controls + 1), float(low), float(high))


def thresholds(scores: Array, specificities: Sequence[float] = SPECIFICITIES) -> Array:
    """Find the thresholds of each column of scores, [n_controls, n]; [n_specificities, n]. Called is what is above."""
    ordered = np.sort(scores, axis=0)
    return np.stack([ordered[specificity_of(stated, len(scores)).rank - 1] for stated in specificities])
