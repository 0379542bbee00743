"""Profiles of tissues, estimated from their donors: mean, inter-individual variability, sampling error of the mean."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from methmix.devices import DeviceRows, sent
from methmix.files.reference import Reference
from methmix.least_squares import regress
from methmix.reference.variation import DonorVariation
from methmix.tissue_profiles import Profiles, marker_weights

Array = npt.NDArray[np.float64]

# Bins of the mean methylation in which the variance between donors is pooled.
_BINS = 24
# Fewest reads of a region in every donor, and fewest degrees of freedom of a bin, that a variance is estimated from.
_READS, _FREEDOM = 5, 200
_RANGE = (0.004, 0.996)
# Smaller proportions of another tissue in a donor cannot be distinguished from 0; larger ones are not believed.
_SMALLEST_ADMIXTURE, _LARGEST_ADMIXTURE = 0.03, 0.4
_ROUNDS = 2
# Median number of donors of a tissue from which they can be purified: a profile without one of two donors is the other
# one, whose own admixture would be taken for the first one's.
_DONORS = 3
_CPU = torch.device("cpu")

Depths = npt.NDArray[np.integer]
# Rows of the donors of each tissue.
Groups = Sequence[Sequence[int]]


class DonorRows(Protocol):
    """Methylation of donors, of which rows are taken: float32 [n_rows, n_regions], NaN where not observed."""

    def __getitem__(self, rows: Any) -> npt.NDArray[np.float32]: ...


class SpreadFunction:
    """Variance between donors of one tissue as a function of the mean methylation m, pooled over tissues and regions.

    ``(m (1 - m))^2 exp(b0 + b1 (m - 1/2) + b2 (m - 1/2)^2)``: a normal deviation on the logit scale to first order,
    whose size depends on m. The coefficients are a weighted fit to variances within tissues, less those of the reads.
    Where these do not suffice, as where no tissue has two donors, the curve is ``borrowed``: that of the shipped
    `DonorVariation` of healthy replicates. A spread of 0 would make the profiles of single donors exact.
    ``fractions`` and ``depth`` are of every donor, [n_donors, n_regions]; NaN and 0 where not observed.
    """

    def __init__(self, fractions: DonorRows, depth: Depths, groups: Groups) -> None:
        excess, freedom = np.zeros(_BINS), np.zeros(_BINS)
        for rows in groups:
            if len(rows) < 2:
                continue
            counted = (depth[rows] >= _READS).all(axis=0)
            values, reads = fractions[rows][:, counted].astype(np.float64), depth[rows][:, counted]
            mean = values.mean(axis=0)
            of_reads = mean * (1 - mean) * (1 / reads).mean(axis=0)
            bins = np.minimum((mean * _BINS).astype(int), _BINS - 1)
            np.add.at(excess, bins, ((values - mean) ** 2).sum(axis=0) - (len(rows) - 1) * of_reads)
            np.add.at(freedom, bins, len(rows) - 1)
        centres = (np.arange(_BINS) + 0.5) / _BINS
        used = (freedom > _FREEDOM) & (excess > 0)
        self.borrowed = not used.any()
        if self.borrowed:
            used, freedom = np.ones(_BINS, dtype=bool), np.ones(_BINS)
            excess = DonorVariation.shipped("healthy").variance(centres)
        # Few bins do not determine a curve, and none does beyond itself.
        degree = min(2, int(used.sum()) // 4)
        self._range = (centres[used].min(), centres[used].max())
        ratio = np.log(excess[used] / freedom[used] / (centres[used] * (1 - centres[used])) ** 2)
        fit = np.polynomial.polynomial.polyfit(centres[used] - 0.5, ratio, deg=degree, w=freedom[used] ** 0.25)
        self.coefficients: Array = np.asarray(fit, dtype=np.float64)

    def __call__(self, mean: Tensor) -> Tensor:
        """Evaluate at mean methylations."""
        m = mean.clamp(*_RANGE)
        exponent = torch.zeros_like(m)
        for coefficient in reversed(self.coefficients.tolist()):
            exponent = exponent * (m.clamp(*self._range) - 0.5) + coefficient
        return (m * (1 - m)).square() * exponent.exp()


class DonorSums:
    """Sums over the donors of each tissue, from which profiles are made on a device, also of all donors but one.

    Parameters are as for `SpreadFunction`, which estimates the variance between donors, or borrows it; ``admixture`` is
    the mean over donors of the proportion of their largest other tissue, if they were purified.
    """

    def __init__(
        self,
        fractions: DonorRows,
        depth: Depths,
        groups: Groups,
        device: torch.device = _CPU,
        admixture: float = 0.0,
    ) -> None:
        self._device, self.admixture = device, admixture
        rows = [row for group in groups for row in group]
        self._fractions, self._depth = (DeviceRows(table, rows, device) for table in (fractions, depth))
        self._spread = SpreadFunction(fractions, depth, groups)
        self.borrowed_spread = self._spread.borrowed
        of_tissues = [[part.sum(dim=0) for part in self._parts(rows)] for rows in groups]
        self._sums = [torch.stack(part) for part in zip(*of_tissues, strict=True)]
        self.all = self._profiles(self._sums)

    def without(self, tissues: list[int], donors: list[int]) -> Profiles:
        """Make the profiles, [n, n_regions], of some tissues, each without one donor (its row).

        Where no other donor of the tissue was observed, they are those of all.
        """
        own, of_tissues = self.all.of(tissues), sent(tissues, self._device)
        left = [whole[of_tissues] - part for whole, part in zip(self._sums, self._parts(donors), strict=True)]
        return self._profiles(left, own)

    def _parts(self, donors: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Compute what each donor adds to the sums: methylation, whether it was observed, and 1 / depth."""
        fractions, depth = self._fractions[donors], self._depth[donors]
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
        # To ask a GPU takes longer than to choose.
        if known.device.type == "cpu" and known.all():
            return found
        pairs = ((found.mean, unknown.mean), (found.spread, unknown.spread), (found.noise, unknown.noise))
        return Profiles(*(torch.where(known, ours, theirs) for ours, theirs in pairs))


class Purified:
    """Donors without their admixture of other tissues, computed for those that are indexed, as `DonorRows`.

    ``admixture`` is the proportion of each other tissue in each donor, float32 [n_donors, n_tissues].
    """

    def __init__(self, original: DonorRows, admixture: npt.NDArray[np.float32], means: npt.NDArray[np.float32]) -> None:
        self._original, self._admixture, self._means = original, admixture, means

    def __getitem__(self, rows: Any) -> npt.NDArray[np.float32]:
        admixture = self._admixture[rows]
        own = 1 - admixture.sum(axis=-1, keepdims=True)
        # torch's product uses all threads, and none but its own.
        foreign = (torch.from_numpy(admixture) @ torch.from_numpy(self._means)).numpy()
        pure: npt.NDArray[np.float32] = ((self._original[rows] - foreign) / own).clip(0, 1)
        return pure


def purified(reference: Reference, groups: Groups) -> tuple[DonorRows, float]:
    """Remove from each donor its admixture of other tissues, estimated with its own tissue's profile without itself.

    Sorted cells and biopsies are not pure; in a profile, their admixture makes the tissue look like the others.

    Returns
    -------
    donors, admixture
        Every donor, unchanged if it is the only one of its tissue; and the mean over donors of the proportion of their
        largest other tissue, 0-1.
    """
    current: DonorRows = reference.fractions
    for _ in range(_ROUNDS):
        tissues = DonorSums(current, reference.depth, groups)
        admixture, largest = _admixture(reference, groups, tissues)
        current = Purified(reference.fractions, admixture, tissues.all.mean.numpy())
    return current, largest


def _admixture(reference: Reference, groups: Groups, tissues: DonorSums) -> tuple[npt.NDArray[np.float32], float]:
    """Estimate the proportion of each other tissue in each donor, [n_donors, n_tissues], and the mean largest one."""
    found = np.zeros((len(reference.donors), len(groups)), dtype=np.float32)
    largest: list[float] = []
    for own, rows in enumerate(groups):
        for row in rows if len(rows) > 1 else ():
            profiles = tissues.all.replaced([own], tissues.without([own], [row]))
            methylation = torch.from_numpy(reference.fractions[[row]])
            depth = torch.from_numpy(reference.depth[[row]].astype(np.float32))
            others = regress(profiles, methylation, depth).solve()[0].numpy()
            others[own] = 0
            # Their sum would count the errors of all of them; the largest one has little of them.
            largest.append(float(others.max()))
            others[others < _SMALLEST_ADMIXTURE] = 0
            found[row] = others * min(1.0, _LARGEST_ADMIXTURE / max(others.sum(), 1e-12))
    return found, float(np.mean(largest)) if largest else 0.0


def training_donors(reference: Reference, purify: bool, device: torch.device = _CPU) -> DonorSums:
    """Sum up the donors of the train split, with ``purify`` without their admixture.

    Nothing is removed (and the admixture 0) where the median tissue has fewer than three donors.
    """
    return _donor_sums(reference, list(reference.pool("train").values()), purify, device)


def all_donors(reference: Reference) -> DonorSums:
    """Sum up the donors of all splits, purified as by `training_donors`: for measurements, never for a model."""
    tissues = np.array(reference.tissues)
    groups = [np.flatnonzero(tissues == tissue).tolist() for tissue in reference.tissue_names]
    return _donor_sums(reference, groups, True, _CPU)


def _donor_sums(reference: Reference, groups: Groups, purify: bool, device: torch.device) -> DonorSums:
    clean, admixture = cast(DonorRows, reference.fractions), 0.0
    if purify and np.median([len(rows) for rows in groups]) >= _DONORS:
        clean, admixture = purified(reference, groups)
    return DonorSums(clean, reference.depth, groups, device, admixture)


def training_profiles(reference: Reference, purify: bool, device: torch.device = _CPU) -> Profiles:
    """Make the profiles of the tissues from the donors of the train split; arguments as for `training_donors`."""
    return training_donors(reference, purify, device).all


def select_markers(reference: Reference, per_tissue: int) -> Reference:
    """Keep the most informative marker regions of each tissue in the donors of the train split; they may overlap."""
    kept = (marker_weights(training_profiles(reference, purify=False), per_tissue) > 0).numpy()
    return replace(
        reference,
        methylated=reference.methylated[:, kept],
        depth=reference.depth[:, kept],
        regions=reference.regions[kept].reset_index(drop=True),
    )
