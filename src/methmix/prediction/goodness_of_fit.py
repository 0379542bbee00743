"""How well samples fit the reference: a verdict on each, given the others that are predicted together.

A misfit can be that of one sample (another tissue, a tumour, contamination) or of all samples of a laboratory (another
protocol, a tissue that all of them contain). One sample does not show which; many samples do.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from methmix.models.prediction import Prediction

FITS, SHIFTED, ODD = "fits", "shifted", "odd"
# From this multiple of its limit on, a misfit is no matter of degree.
_MOST = 9.0
# Fewest samples that show what is common to them.
FEWEST = 8
# Effect that 90 % of samples exceed, from which on they fit worse in common, be they within their limits or not.
_COMMON_EFFECT = 1.5
# Robust standard deviations around the median within which the effect of a sample is like that of the others.
_WITHIN = 3.5
# Robust standard deviation of the logarithm of the effect, at least: like samples of one laboratory are never equal.
_LEAST_SPREAD = 0.05
# Of a normal distribution: standard deviation / median absolute deviation.
_MAD = 1.4826


@dataclass(frozen=True)
class Fit:
    """Goodness of fit of one sample, as in `Prediction`; None for what is not known.

    ``variation`` is the standard deviation of its methylation between regions, which ``rmse`` is compared with.
    """

    misfit: float | None = None
    misfit_limit: float | None = None
    effect: float | None = None
    rmse: float | None = None
    variation: float | None = None

    @property
    def beyond(self) -> bool:
        """Whether the misfit exceeds its limit."""
        return self.misfit is not None and self.misfit_limit is not None and self.misfit > self.misfit_limit

    @property
    def resembles_nothing(self) -> bool:
        """Whether no mixture of the reference tissues comes near: proportions would be meaningless.

        That is so where the misfit is many times its limit. With few reads even a sample of nothing does not reach
        that; but the mean of its methylation then describes it no worse than the best mixture does.
        """
        if self.misfit is None or (self.misfit_limit is not None and not self.beyond):
            return False
        if self.misfit_limit is not None and self.misfit > _MOST * self.misfit_limit:
            return True
        return self.rmse is not None and self.variation is not None and self.rmse >= self.variation


def fits_of(found: Prediction, methylation: npt.NDArray[Any]) -> list[Fit]:
    """Collect the goodness of fit of each sample; ``methylation`` is [n_samples, n_regions], NaN where missing."""
    columns = [found.misfit, found.misfit_limit, found.effect, found.rmse]
    observed = np.isfinite(methylation)
    mean = np.where(observed, methylation, 0).sum(axis=1) / np.maximum(observed.sum(axis=1), 1)
    squares = np.where(observed, methylation - mean[:, None], 0) ** 2
    variation = np.sqrt(squares.sum(axis=1, dtype=np.float64) / np.maximum(observed.sum(axis=1), 1))
    rows = zip(*([None] * len(methylation) if values is None else values for values in columns), variation, strict=True)
    return [_fit(*(number(value) for value in row)) for row in rows]


def number(value: Any) -> float | None:
    """Convert to a number; None where it is not known."""
    return float(value) if value is not None and math.isfinite(value) else None


def _fit(
    misfit: float | None, limit: float | None, effect: float | None, rmse: float | None, variation: float | None
) -> Fit:
    # Far below the depths of the calibration its lines cross: there, they say nothing.
    if misfit is None or limit is None or effect is None or effect <= 0 or limit < misfit / effect:
        return Fit(misfit, None, None, rmse, variation)
    return Fit(misfit, limit, effect, rmse, variation)


def verdicts(fits: Sequence[Fit], shifts: bool = True) -> list[str | None]:
    """Judge samples that are predicted together: `FITS`, `SHIFTED` or `ODD`; None where no limit is known.

    A sample within its limit fits. One beyond it is shifted if at least `FEWEST` samples that resemble the reference
    fit worse in common (most are beyond their limits, or 90 % have 1.5 times the usual misfit), and its effect is like
    theirs: on the logarithmic scale, within 3.5 robust standard deviations (median absolute deviation) of the median.
    Without ``shifts``, where limits are those of controls of the same laboratory, none is shifted. Every other one, and
    each of few samples, is odd.
    """
    low, high = _common(fits) if shifts else (math.inf, -math.inf)
    found: list[str | None] = []
    for fit in fits:
        if fit.misfit_limit is None:
            found.append(None)
        elif not fit.beyond:
            found.append(FITS)
        else:
            like_others = fit.effect is not None and low <= math.log(fit.effect) <= high
            found.append(SHIFTED if like_others and not fit.resembles_nothing else ODD)
    return found


def _common(fits: Sequence[Fit]) -> tuple[float, float]:
    """Find within which logarithms of the effect samples are shifted in common; an empty range if they are not."""
    own = [(fit.effect, fit.beyond) for fit in fits if fit.effect is not None and not fit.resembles_nothing]
    if len(own) < FEWEST:
        return math.inf, -math.inf
    effects, beyond = np.log([effect for effect, _ in own]), [of_fit for _, of_fit in own]
    if np.mean(beyond) <= 0.5 and np.quantile(effects, 0.1) <= math.log(_COMMON_EFFECT):
        return math.inf, -math.inf
    middle = float(np.median(effects))
    spread = max(_LEAST_SPREAD, _MAD * float(np.median(np.abs(effects - middle))))
    return middle - _WITHIN * spread, middle + _WITHIN * spread


def words_of_shift(fits: Sequence[Fit], found: Sequence[str | None]) -> str:
    """State how many samples are shifted, by how much, and what that means."""
    effects = [fit.effect for fit, own in zip(fits, found, strict=True) if own == SHIFTED and fit.effect is not None]
    return (
        f"{len(effects)} of {len(fits)} samples are shifted: they fit the reference poorly in a like degree (median "
        f"misfit {np.median(effects):.2g} times that of mixtures of the reference tissues). Laboratories that measure "
        "differently and a tissue that all samples have and the reference lacks look the same; either is attributed to "
        "the reference tissues, so compare these samples with each other only"
    )
