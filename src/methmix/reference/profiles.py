"""What the donors of a reference tell of its tissues: mean, spread between donors, and how sure the mean is."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from methmix.files import Reference
from methmix.files.reference import mean_of_observed
from methmix.least_squares import Profiles, deconvolve

Array = npt.NDArray[np.float64]

# Bins of the mean methylation in which the variance between donors is pooled.
_BINS = 24
# Fewest reads of a region in every donor, and fewest degrees of freedom of a bin, from which a variance is told.
_READS, _FREEDOM = 5, 200
_RANGE = (0.004, 0.996)
# A share of another tissue in a donor that is less than this is not told from nothing; more than this is not believed.
_SMALLEST_ADMIXTURE, _LARGEST_ADMIXTURE = 0.03, 0.4
_ROUNDS = 2


class SpreadFunction:
    """Variance between donors of one tissue as a function of the mean methylation m, pooled over tissues and regions.

    ``(m (1 - m))^2 exp(b0 + b1 (m - 1/2) + b2 (m - 1/2)^2)``: a normal deviation on the logit scale to first order,
    whose size depends on m. The coefficients are a weighted fit to variances within tissues, less those of the reads.

    Parameters
    ----------
    fractions, depth
        Of every donor, [n_donors, n_regions]; NaN and 0 where not observed.
    groups
        Rows of the donors of each tissue.
    """

    def __init__(self, fractions: Array, depth: npt.NDArray[np.integer], groups: Sequence[Sequence[int]]) -> None:
        excess, freedom = np.zeros(_BINS), np.zeros(_BINS)
        for rows in groups:
            if len(rows) < 2:
                continue
            told = (depth[rows] >= _READS).all(axis=0)
            values, reads = fractions[rows][:, told], depth[rows][:, told]
            mean = values.mean(axis=0)
            of_reads = mean * (1 - mean) * (1 / reads).mean(axis=0)
            bins = np.minimum((mean * _BINS).astype(int), _BINS - 1)
            np.add.at(excess, bins, ((values - mean) ** 2).sum(axis=0) - (len(rows) - 1) * of_reads)
            np.add.at(freedom, bins, len(rows) - 1)
        centres = (np.arange(_BINS) + 0.5) / _BINS
        used = (freedom > _FREEDOM) & (excess > 0)
        self.coefficients: Array = np.zeros(0)
        if used.any():
            # Few bins do not tell a curve, and none tells it beyond itself.
            degree = min(2, int(used.sum()) // 4)
            self._told = (centres[used].min(), centres[used].max())
            ratio = np.log(excess[used] / freedom[used] / (centres[used] * (1 - centres[used])) ** 2)
            fit = np.polynomial.polynomial.polyfit(centres[used] - 0.5, ratio, deg=degree, w=freedom[used] ** 0.25)
            self.coefficients = np.asarray(fit, dtype=np.float64)

    def __call__(self, mean: Array) -> Array:
        """Give the variance at a mean methylation; 0 everywhere where no tissue has two donors."""
        if not len(self.coefficients):
            return np.zeros_like(mean)
        m = mean.clip(*_RANGE)
        size = np.exp(np.polynomial.polynomial.polyval(m.clip(*self._told) - 0.5, self.coefficients))
        variance: Array = (m * (1 - m)) ** 2 * size
        return variance


def profiles_of(
    fractions: Array, depth: npt.NDArray[np.integer], groups: Sequence[Sequence[int]], spread: SpreadFunction
) -> Profiles:
    """Make the profiles of tissues from their donors.

    Parameters
    ----------
    fractions, depth, groups
        As for `SpreadFunction`.
    spread
        Variance between donors.
    """
    observed = np.stack([(~np.isnan(fractions[rows])).sum(axis=0) for rows in groups])
    mean = np.stack([mean_of_observed(fractions[rows]) for rows in groups])
    others = np.nan_to_num(mean_of_observed(mean), nan=0.5)
    mean = np.where(observed > 0, mean, others)
    variance = spread(mean)
    inverse = np.stack([np.where(depth[rows] > 0, 1 / np.maximum(depth[rows], 1), 0).sum(axis=0) for rows in groups])
    number = np.maximum(observed, 1)
    noise = np.where(observed > 0, variance / number + mean * (1 - mean) * inverse / number**2, 0)
    return Profiles(*(torch.from_numpy(values) for values in (mean, variance, noise)))


class Purified(NamedTuple):
    """What is left of the donors, and what was found in them.

    Parameters
    ----------
    methylation
        Of every donor, [n_donors, n_regions]; donors without another one of their tissue are as they were.
    admixture
        Mean share of a donor's largest other tissue, 0-1.
    """

    methylation: Array
    admixture: float


def purified(reference: Reference, groups: Sequence[Sequence[int]]) -> Purified:
    """Take from each donor what it has of other tissues, as seen with the profile of its own without itself.

    Sorted cells and biopsies are not pure; in a profile, the other tissues' share makes the tissue look like them.
    """
    original = reference.fractions.astype(np.float64)
    current = original.copy()
    for _ in range(_ROUNDS):
        spread = SpreadFunction(current, reference.depth, groups)
        tissues = profiles_of(current, reference.depth, groups, spread)
        pure = current.copy()
        largest = []
        for own, rows in enumerate(groups):
            for row in rows if len(rows) > 1 else ():
                rest = [other for other in rows if other != row]
                without = profiles_of(current, reference.depth, [rest], spread)
                # Where no other donor of the tissue was observed, this one has to do.
                known = torch.from_numpy(~np.isnan(current[rest]).all(axis=0))
                profiles = Profiles(*(whole.clone() for whole in (tissues.mean, tissues.spread, tissues.noise)))
                for whole, part in zip(
                    (profiles.mean, profiles.spread, profiles.noise),
                    (without.mean, without.spread, without.noise),
                    strict=True,
                ):
                    whole[own] = torch.where(known, part[0], whole[own])
                solution = deconvolve(
                    profiles, torch.from_numpy(original[[row]]), torch.from_numpy(reference.depth[[row]])
                )
                admixed = solution.shares[0].numpy().copy()
                admixed[own] = 0
                # The others' sum would count the errors of all of them; the largest one's share has little of them.
                largest.append(admixed.max())
                admixed[admixed < _SMALLEST_ADMIXTURE] = 0
                admixed *= min(1.0, _LARGEST_ADMIXTURE / max(admixed.sum(), 1e-12))
                foreign = admixed @ tissues.mean.numpy()
                pure[row] = ((original[row] - foreign) / (1 - admixed.sum())).clip(0, 1)
        current = pure
    return Purified(current, float(np.mean(largest)) if largest else 0.0)
