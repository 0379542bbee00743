"""Least squares that knows its errors: reads, donors that differ, and profiles that are estimates.

A mixture's methylation is ``y_r = sum_t x_t P_tr + error`` with shares ``x >= 0`` that sum to 1. Three errors matter.
Reads: variance ``p (1 - p) / depth``. Donors: the donor in the mixture differs from the mean of its tissue, variance
``sum_t x_t^2 V_tr``. Profiles: P is the mean of a few donors and their reads, variance N_tr. All weigh regions. The
third also makes ``P W P'`` too large by ``W N`` on its diagonal, which takes mass from tissues that are there and
gives it to others, so that is subtracted (errors in variables; Fuller 1987, Measurement Error Models, ch. 2).
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from methmix import nnls

# Of a mixture's methylation: what remains uncertain with any number of reads, as a variance; and where the whole
# genome of a donor is shifted, so that nothing can be held against one region.
_FLOOR, _FLOOR_OF_MARKERS = 1e-3, 1e-2
# How a marker is chosen: the distance from the nearest other tissue, and some of that from their median, in units of
# what donors differ by, which is at least this variance.
_FROM_MEDIAN, _LEAST_SPREAD = 0.25, 0.003
_CHANCES = (0.002, 0.998)
_REWEIGHTINGS = 2
# Weight of "sums to 1", relative to the mean of the Gram matrix's diagonal.
_SUM_TO_ONE = 1000.0
# Smallest eigenvalue that is believed, on the same scale: profiles alike to within their errors.
_SMALLEST = 1e-4


@dataclass(frozen=True)
class Profiles:
    """What a reference knows of its tissues; float64 tensors, [n_tissues, n_regions] each, without NaN.

    Parameters
    ----------
    mean
        Methylation, 0-1.
    spread
        Variance between donors of a tissue.
    noise
        Variance of ``mean`` as an estimate; 0 where it is not one (nobody has observed the region).
    """

    mean: Tensor
    spread: Tensor
    noise: Tensor

    def to(self, device: torch.device) -> "Profiles":
        """Give the same on a device."""
        return Profiles(self.mean.to(device), self.spread.to(device), self.noise.to(device))


class Solution(NamedTuple):
    """Shares and what is known of them, float64.

    Parameters
    ----------
    shares
        [n, n_tissues], >= 0, sum 1.
    free
        The same without ``>= 0``; with the sum held at 1, also where that of ``shares`` was free. So are the errors.
    error
        Standard error of ``free``.
    held
        Standard error of those of ``shares`` that are not 0 if the others are held at 0; 1 for the others.
    dual
        How much each share that is 0 would have to be worth to enter, in its standard errors.
    misfit
        Weighted mean square of the residuals, [n]; 1 if the errors are as assumed.
    """

    shares: Tensor
    free: Tensor
    error: Tensor
    held: Tensor
    dual: Tensor
    misfit: Tensor


def marker_weights(profiles: Profiles, per_tissue: int) -> Tensor:
    """Count of how many tissues each region is among the best markers, [n_regions]; 0 for most regions.

    A marker of a tissue is a region whose methylation is far from that of all others, as donors differ.
    """
    n = min(per_tissue, profiles.mean.shape[1])
    scale = (_LEAST_SPREAD + profiles.spread.mean(dim=0)).sqrt()
    weights = torch.zeros_like(scale)
    for tissue, mean in enumerate(profiles.mean):
        others = torch.cat([profiles.mean[:tissue], profiles.mean[tissue + 1 :]])
        gap = torch.maximum(mean - others.amax(dim=0), others.amin(dim=0) - mean)
        score = (gap + _FROM_MEDIAN * (mean - others.median(dim=0).values).abs()) / scale
        weights[score.topk(n).indices] += 1
    return weights


def deconvolve(
    profiles: Profiles, methylation: Tensor, depth: Tensor, markers_per_tissue: int = 0, sum_to_one: bool = True
) -> Solution:
    """Deconvolve mixtures.

    Parameters
    ----------
    profiles
        Of the tissues.
    methylation, depth
        [n, n_regions]; methylation is NaN where depth is 0.
    markers_per_tissue
        Use only so many regions of each tissue (`marker_weights`); 0 uses all.
    sum_to_one
        Whether the shares are made to sum to 1 in the solution, or only afterwards: left free, their sum takes up
        what shifts the methylation of all regions alike.
    """
    importance: Tensor | float = 1.0
    floor = _FLOOR
    if markers_per_tissue:
        weights = marker_weights(profiles, markers_per_tissue)
        used = weights > 0
        importance, floor = weights[used], _FLOOR_OF_MARKERS
        profiles = Profiles(profiles.mean[:, used], profiles.spread[:, used], profiles.noise[:, used])
        methylation, depth = methylation[:, used], depth[:, used]
    penalty = _SUM_TO_ONE if sum_to_one else 0.0
    centre = profiles.mean.mean(dim=0) * sum_to_one
    contrasts = profiles.mean - centre
    # For one mixture the products of all pairs of tissues would cost more than they save.
    products = nnls.pairs(contrasts) if len(methylation) > 1 else None
    donors = profiles.spread + profiles.noise
    depth = depth.double()
    observed = depth > 0
    values = torch.where(observed, methylation.double(), centre)
    weight = depth * importance
    for last in [False] * _REWEIGHTINGS + [True]:
        if products is None:
            gram = ((contrasts * weight) @ contrasts.T)[None]
        else:
            gram = nnls.square(weight @ products.T, len(contrasts))
        gram = gram - torch.diag_embed(weight @ profiles.noise.T)
        right_side = (weight * (values - centre)) @ contrasts.T
        scale = gram.diagonal(dim1=1, dim2=2).mean(dim=1).clamp(min=1e-12)
        gram, right_side = gram / scale[:, None, None], right_side / scale[:, None]
        shares = nnls.solve(gram + penalty, right_side + penalty)
        total = shares.sum(dim=1, keepdim=True)
        # Where nothing is known, all tissues are alike.
        shares = torch.where(total > 0, shares / total.clamp(min=1e-12), 1 / len(contrasts))
        if not last:
            chance = (shares @ profiles.mean).clamp(*_CHANCES)
            variance = chance * (1 - chance) / depth.clamp(min=1) + shares.square() @ donors + floor
            weight = torch.where(observed, importance / variance, 0)
    free, error = _unconstrained(gram, right_side, scale)
    gradient = (gram @ shares[:, :, None])[:, :, 0] - right_side
    # The multiplier of "sums to 1" is the gradient of the tissues that are there.
    gradient = gradient - (gradient * shares).sum(dim=1, keepdim=True)
    residuals = weight * (values - shares @ profiles.mean).square()
    misfit = residuals.sum(dim=1) / observed.sum(dim=1).clamp(min=1)
    dual = gradient.clamp(min=0) * scale[:, None] * error
    return Solution(shares, free, error, _held(gram, scale, shares > 0), dual, misfit)


def _held(gram: Tensor, scale: Tensor, support: Tensor) -> Tensor:
    """Give the standard errors of the shares in a support, the others being held at 0."""
    inside = support[:, :, None] & support[:, None, :]
    identity = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    # Without a read, or with two tissues alike, there is no inverse otherwise.
    held = torch.where(inside, gram + _SUM_TO_ONE, identity) + _SMALLEST * identity
    variance = torch.linalg.inv(held).diagonal(dim1=1, dim2=2)
    return torch.where(support, (variance / scale[:, None]).clamp(min=1e-10).sqrt(), 1)


def _unconstrained(gram: Tensor, right_side: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Solve with ``sum x = 1`` alone; give also the standard errors."""
    values, vectors = torch.linalg.eigh(gram)
    inverse = (vectors / values.clamp(min=_SMALLEST)[:, None, :]) @ vectors.transpose(1, 2)
    ones = inverse.sum(dim=2)
    total = ones.sum(dim=1, keepdim=True)
    free = (inverse @ right_side[:, :, None])[:, :, 0]
    free = free + ones * (1 - free.sum(dim=1, keepdim=True)) / total
    variance = (inverse.diagonal(dim1=1, dim2=2) - ones.square() / total) / scale[:, None]
    return free, variance.clamp(min=1e-10).sqrt()
