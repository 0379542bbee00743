"""Whether samples are what they are taken for: the correlation of their methylation with a profile of the reference.

Coordinates of another genome build, swapped columns and values that are no methylation overlap the regions as well as
right ones do, but do not correlate with the mean profile: real plasma and tissues have 0.73 to 0.96, these -0.9 to 0.1.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
# A correlation below this is not that of a sample, once it is so with certainty.
LEAST_CORRELATION = 0.3
# Of a pure tissue, at least this proportion of the correlation of its profile with the mean profile is expected.
_OF_PROFILES = 0.5
# Standard errors that the correlation must be below: one-sided, 1 %.
_CERTAIN = 2.33
_LEAST_RELIABILITY = 0.05
# Effective number of regions below which nothing is certain.
_FEWEST_REGIONS = 20


class Likeness(NamedTuple):
    """Correlation of each sample with a profile, [n_samples], as it is and the upper end of what it may be.

    The latter accounts for the noise of few reads, which lowers a correlation, and for few regions.
    """

    correlation: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]


def likeness(methylation: Array, depth: Array, profile: Array, n_fitted: int = 0) -> Likeness:
    """Correlate samples with a profile over regions, weighted by depth.

    Parameters
    ----------
    methylation, depth
        [n_samples, n_regions]: methylation 0-1, NaN where depth is 0.
    profile
        [n_regions], or of each sample [n_samples, n_regions]; 0-1, NaN where it is not known.
    n_fitted
        Number of components that the profile was fitted to the sample with, which makes the correlation too large.
    """
    with np.errstate(invalid="ignore"):
        profile = np.broadcast_to(np.asarray(profile, dtype=np.float64), methylation.shape)
        weight = np.where(np.isfinite(methylation) & np.isfinite(profile), depth, 0).astype(np.float64)
        total = np.maximum(weight.sum(axis=1), 1e-9)
        x, p = np.nan_to_num(methylation.astype(np.float64)), np.nan_to_num(profile)
        dx = x - ((weight * x).sum(axis=1) / total)[:, None]
        dp = p - ((weight * p).sum(axis=1) / total)[:, None]
        var_x, var_p, cov = ((weight * part).sum(axis=1) / total for part in (dx**2, dp**2, dx * dp))
        r = np.divide(cov, np.sqrt(var_x * var_p), out=np.zeros(len(x)), where=var_x * var_p > 0)
        # Binomial noise of the reads, with the proportions shrunk so that a single read is not certain.
        shrunk = (x * weight + 1) / (weight + 2)
        noise = (shrunk * (1 - shrunk) * (weight > 0)).sum(axis=1) / total
        reliability = np.clip(1 - noise / np.maximum(var_x, 1e-12), _LEAST_RELIABILITY, 1)
        n = total**2 / np.maximum((weight**2).sum(axis=1), 1e-12)
        if n_fitted:
            left = (1 - r**2) * (n - 1) / np.maximum(n - n_fitted - 1, 1)
            r = np.where(n > n_fitted + 1, np.sign(r) * np.sqrt(np.clip(1 - left, 0, 1)), r)
        error = np.sqrt(np.maximum(1 - r**2, 0) / np.maximum(n - 2, 1e-9))
    upper = (r + _CERTAIN * error) / np.sqrt(reliability)
    return Likeness(r, np.where(n >= _FEWEST_REGIONS, upper, np.inf))


def least_correlation(profiles: Array) -> float:
    """Give the correlation with the mean profile below which a sample is none of these tissues, or a mixture of them.

    ``profiles``, [n_tissues, n_regions], are 0-1. Where each region is the marker of one tissue, the profile of a
    tissue resembles the mean profile little; then less is expected.
    """
    of_tissues = likeness(profiles, np.where(np.isfinite(profiles), 1.0, 0.0), np.nanmean(profiles, axis=0))
    return min(LEAST_CORRELATION, _OF_PROFILES * float(of_tissues.correlation.min()))
