"""What the donors of a reference tell of its tissues: mean, spread between donors, and how sure the mean is."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from methmix.files.reference import Reference
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


class Donors(Protocol):
    """Methylation of donors, of which rows are taken: float32 [n_rows, n_regions], NaN where not observed."""

    def __getitem__(self, rows: Any) -> npt.NDArray[np.float32]: ...


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

    def __init__(
        self,
        fractions: Donors,
        depth: npt.NDArray[np.integer],
        groups: Sequence[Sequence[int]],
    ) -> None:
        excess, freedom = np.zeros(_BINS), np.zeros(_BINS)
        for rows in groups:
            if len(rows) < 2:
                continue
            told = (depth[rows] >= _READS).all(axis=0)
            values, reads = fractions[rows][:, told].astype(np.float64), depth[rows][:, told]
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

    def __call__(self, mean: Tensor) -> Tensor:
        """Give the variance at a mean methylation; 0 everywhere where no tissue has two donors."""
        if not len(self.coefficients):
            return torch.zeros_like(mean)
        m = mean.clamp(*_RANGE)
        exponent = torch.zeros_like(m)
        for coefficient in reversed(self.coefficients.tolist()):
            exponent = exponent * (m.clamp(*self._told) - 0.5) + coefficient
        return (m * (1 - m)).square() * exponent.exp()


class DonorSums:
    """Sums over the donors of each tissue, from which profiles are made, also of all donors but one.

    Parameters
    ----------
    fractions
        Methylation of every donor, [n_donors, n_regions], NaN where not observed.
    depth, groups
        As for `SpreadFunction`.
    spread
        Variance between donors.
    device
        Where to make profiles.
    """

    def __init__(
        self,
        fractions: Donors,
        depth: npt.NDArray[np.integer],
        groups: Sequence[Sequence[int]],
        spread: SpreadFunction,
        device: torch.device = torch.device("cpu"),  # noqa: B008 - constant
    ) -> None:
        self._fractions = fractions
        self._depth = depth
        self._spread = spread
        self._device = device
        of_tissues = [[part.sum(dim=0) for part in self._parts(rows)] for rows in groups]
        self._sums = [torch.stack(part) for part in zip(*of_tissues, strict=True)]
        self.all = self._profiles(self._sums)

    def without(self, tissues: list[int], donors: list[int]) -> Profiles:
        """Make the profiles of some tissues, each without one of its donors.

        Parameters
        ----------
        tissues
            Numbers of the tissues.
        donors
            Row of the donor to leave out, one a tissue.

        Returns
        -------
        Profiles
            Of those tissues, [n, n_regions]. Where no other donor was observed, they are those of all.
        """
        own = Profiles(self.all.mean[tissues], self.all.spread[tissues], self.all.noise[tissues])
        left = [whole[tissues] - part for whole, part in zip(self._sums, self._parts(donors), strict=True)]
        return self._profiles(left, own)

    def _parts(self, donors: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Give what each donor adds to the sums: methylation, whether it was observed, and 1 / depth."""
        fractions = torch.from_numpy(self._fractions[donors]).to(self._device)
        depth = torch.from_numpy(self._depth[donors].astype(np.float32)).to(self._device)
        return torch.nan_to_num(fractions), (~torch.isnan(fractions)).float(), torch.where(depth > 0, 1 / depth, 0)

    def _profiles(self, sums: list[Tensor], unknown: Profiles | None = None) -> Profiles:
        total, number, inverse = sums
        known = number > 0.5
        count = number.clamp(min=1)
        mean = total / count
        if unknown is None:
            of_others = torch.where(known, mean, 0).sum(dim=0) / known.sum(dim=0).clamp(min=1)
            others = torch.where(known.any(dim=0), of_others, 0.5).expand_as(mean)
            unknown = Profiles(others, self._spread(others), torch.zeros_like(mean))
        mean.clamp_(0, 1)
        spread = self._spread(mean)
        # The variance between donors over their number, and that of the reads over its square.
        noise = (mean * (1 - mean)).mul_(inverse.clamp(min=0)).div_(count).add_(spread).div_(count)
        found = Profiles(mean, spread, noise)
        if known.all():
            return found
        pairs = ((found.mean, unknown.mean), (found.spread, unknown.spread), (found.noise, unknown.noise))
        return Profiles(*(torch.where(known, ours, theirs) for ours, theirs in pairs))


class Purified:
    """What is left of donors without what they have of other tissues, computed of those that are asked for.

    Parameters
    ----------
    original
        Methylation of every donor.
    shares
        Share of each other tissue in each donor, float32 [n_donors, n_tissues].
    means
        Methylation of the tissues, [n_tissues, n_regions].
    """

    def __init__(self, original: Donors, shares: npt.NDArray[np.float32], means: npt.NDArray[np.float32]) -> None:
        self._original = original
        self._shares = shares
        self._means = means

    def __getitem__(self, rows: Any) -> npt.NDArray[np.float32]:
        """Give those of some donors, as `Donors`."""
        shares = self._shares[rows]
        own = 1 - shares.sum(axis=-1, keepdims=True)
        # torch's product uses all threads, and none but its own.
        foreign = (torch.from_numpy(shares) @ torch.from_numpy(self._means)).numpy()
        pure: npt.NDArray[np.float32] = ((self._original[rows] - foreign) / own).clip(0, 1)
        return pure


def purified(reference: Reference, groups: Sequence[Sequence[int]]) -> tuple[Donors, float]:
    """Take from each donor what it has of other tissues, as seen with the profile of its own without itself.

    Sorted cells and biopsies are not pure; in a profile, the other tissues' share makes the tissue look like them.

    Returns
    -------
    donors, admixture
        Every donor, those without another one of their tissue as they were; and the mean share of a donor's largest
        other tissue, 0-1.
    """
    current: Donors = reference.fractions
    largest: list[float] = []
    for _ in range(_ROUNDS):
        spread = SpreadFunction(current, reference.depth, groups)
        tissues = DonorSums(current, reference.depth, groups, spread)
        shares = np.zeros((len(reference.donors), len(groups)), dtype=np.float32)
        largest = []
        for own, rows in enumerate(groups):
            for row in rows if len(rows) > 1 else ():
                profiles = tissues.all.replaced([own], tissues.without([own], [row]))
                methylation = torch.from_numpy(reference.fractions[[row]])
                depth = torch.from_numpy(reference.depth[[row]].astype(np.float32))
                admixed = deconvolve(profiles, methylation, depth).shares[0].numpy()
                admixed[own] = 0
                # The others' sum would count the errors of all of them; the largest one's share has little of them.
                largest.append(float(admixed.max()))
                admixed[admixed < _SMALLEST_ADMIXTURE] = 0
                shares[row] = admixed * min(1.0, _LARGEST_ADMIXTURE / max(admixed.sum(), 1e-12))
        current = Purified(reference.fractions, shares, tissues.all.mean.numpy())
    return current, float(np.mean(largest)) if largest else 0.0
