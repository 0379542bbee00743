"""Least squares that accounts for its errors: reads, inter-individual variability, and estimated profiles.

A mixture's methylation is ``y_r = sum_t x_t P_tr + error`` with proportions ``x >= 0`` that sum to 1. Three errors
matter. Reads: variance ``p (1 - p) / depth``. Donors: the donor in the mixture differs from the mean of its tissue,
variance ``sum_t x_t^2 V_tr``. Profiles: P is the mean of a few donors and their reads, variance N_tr. All weigh
regions. The third also makes ``P W P'`` too large by ``W N`` on its diagonal, which takes mass from present tissues
and gives it to others, so that is subtracted (errors in variables; Fuller 1987, Measurement Error Models, ch. 2).
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from methmix import nnls
from methmix.devices import inverted
from methmix.rows import blocks
from methmix.tissue_profiles import Profiles, marker_weights

# Variance of a mixture's methylation that remains at any depth in marker regions, where no single one can be trusted
# because a donor may be shifted across the whole genome.
_FLOOR_OF_MARKERS = 1e-2
_PROBABILITY_RANGE = (0.002, 0.998)
_REWEIGHTINGS = 2
# Weights depend so little on the proportions that this many regions suffice for them.
_ENOUGH_REGIONS = 8192
# Regions that a CPU computes together: their intermediates for a batch stay in the cache. A GPU takes all at once: to
# ask it for a block would take longer than to compute it.
_BLOCK = 16384
# Weight of "sums to 1", relative to the mean of the Gram matrix's diagonal.
_SUM_TO_ONE = 1000.0
# Added to the eigenvalues, on the same scale: the products are rounded to single precision, by which eigenvalues of 0,
# with fewer observed regions than tissues, become negative.
_ROUNDING = 1e-6
# Smallest eigenvalue that is believed, on the same scale: profiles equal to within their errors.
_SMALLEST = 1e-4


class Solution(NamedTuple):
    """Estimated proportions and their uncertainty, float64, [n, n_tissues] if not said otherwise.

    Parameters
    ----------
    proportions
        >= 0, sum 1.
    unconstrained
        The same without ``>= 0``; they sum to 1 even where the sum of ``proportions`` was not constrained.
    standard_error
        Of ``unconstrained``.
    active_set_error
        Standard error on the active set: of the nonzero ``proportions``, the others being fixed at 0; 1 for the others.
    kkt_multiplier
        Scaled multiplier (Karush, Kuhn and Tucker) of ``>= 0``: by how many of its standard errors a proportion that is
        0 is pushed below.
    misfit
        Weighted mean square of the residuals, [n]; 1 if the errors are as assumed.
    """

    proportions: Tensor
    unconstrained: Tensor
    standard_error: Tensor
    active_set_error: Tensor
    kkt_multiplier: Tensor
    misfit: Tensor


def regress(
    profiles: Profiles,
    methylation: Tensor,
    depth: Tensor,
    markers_per_tissue: int = 0,
    sum_to_one: bool = True,
    residual_variance: float = 1e-3,
) -> "Regression":
    """Weigh the regions of mixtures, by repeated solutions, for the last of them.

    Parameters
    ----------
    methylation, depth
        [n, n_regions]; methylation is NaN where depth is 0.
    markers_per_tissue
        Use only this many regions of each tissue (`marker_weights`); 0 uses all.
    sum_to_one
        Constrain the solution to sum to 1; otherwise it is normalised afterwards, and the sum absorbs a shift in the
        methylation of all regions.
    residual_variance
        Variance of a mixture's methylation that remains at any depth, if all regions are used.
    """
    data = _Data(profiles, methylation, depth, torch.ones_like(profiles.mean[0]), residual_variance, sum_to_one)
    used: Tensor | slice = slice(None)
    if markers_per_tissue:
        weights = marker_weights(profiles, markers_per_tissue)
        # Once, as indices: by a mask, a GPU would be waited for at each of the tensors.
        used = torch.nonzero(weights)[:, 0]
        data = replace(data.at(used), importance=weights[used], floor=_FLOOR_OF_MARKERS)
    step = max(1, len(data.importance) // _ENOUGH_REGIONS)
    regression = Regression(data.at(slice(None, None, step)))
    regression.weigh(None)
    for _ in range(_REWEIGHTINGS):
        regression.weigh(regression.solve())
    if step > 1:
        proportions = regression.solve()
        regression = Regression(data)
        regression.weigh(proportions)
    regression.used = used
    return regression


@dataclass(frozen=True)
class _Data:
    """What some mixtures are regressed on.

    ``importance``, [n_regions], multiplies the weights of regions; ``floor`` is added to the variance of each value.
    """

    profiles: Profiles
    methylation: Tensor
    depth: Tensor
    importance: Tensor
    floor: float
    sum_to_one: bool

    def at(self, regions: Tensor | slice) -> "_Data":
        values = (self.methylation[:, regions], self.depth[:, regions], self.importance[regions])
        return _Data(self.profiles.at(regions), *values, self.floor, self.sum_to_one)


class Regression:
    """Iteratively reweighted least squares.

    What has a region axis is in single precision: it holds reads, which are far less precise. The normal equations
    are in double precision, since tissues are similar.
    """

    # Gram matrix and right side, divided by a scale, and that scale.
    equations: tuple[Tensor, Tensor, Tensor]
    # Which regions of the profiles it has.
    used: Tensor | slice = slice(None)

    def __init__(self, data: _Data) -> None:
        self._n_tissues = len(data.profiles.mean)
        self.penalty = _SUM_TO_ONE if data.sum_to_one else 0.0
        n_regions = len(data.importance)
        size = _BLOCK if data.importance.device.type == "cpu" else n_regions
        self.blocks = [Block(data.at(part)) for part in blocks(n_regions, size)]

    def weigh(self, proportions: Tensor | None) -> None:
        """Weigh each value by the inverse of its variance at these proportions, or else by its reads."""
        for block in self.blocks:
            block.weigh(proportions)

    def solve(self) -> Tensor:
        """Set up the equations with the present weights and solve them; returns proportions, float64 [n, n_tissues]."""
        parts = [block.equations() for block in self.blocks]
        entries, noise, right_side = (torch.stack(part).sum(dim=0) for part in zip(*parts, strict=True))
        gram = nnls.square(entries, self._n_tissues) - torch.diag_embed(noise)
        scale = gram.diagonal(dim1=1, dim2=2).mean(dim=1).clamp(min=1e-12)
        gram, right_side = gram / scale[:, None, None], right_side / scale[:, None]
        gram.diagonal(dim1=1, dim2=2).add_(_ROUNDING)
        self.equations = gram, right_side, scale
        proportions = nnls.solve(gram + self.penalty, right_side + self.penalty)
        total = proportions.sum(dim=1, keepdim=True)
        # Where nothing is known, all tissues get the same.
        return torch.where(total > 0, proportions / total.clamp(min=1e-12), 1 / self._n_tissues)

    def solution(self) -> Solution:
        """Solve with the present weights, and estimate how certain that is."""
        proportions, (gram, right_side, scale) = self.solve(), self.equations
        unconstrained, standard_error = _unconstrained(gram, right_side, scale)
        gradient = (gram @ proportions[:, :, None])[:, :, 0] - right_side
        # The multiplier of "sums to 1" is the gradient of the tissues that are present.
        gradient = gradient - (gradient * proportions).sum(dim=1, keepdim=True)
        multiplier = gradient.clamp(min=0) * scale[:, None] * standard_error
        active_set_error = _active_set_error(gram, scale, proportions > 0)
        misfit = self.misfit(proportions)
        return Solution(proportions, unconstrained, standard_error, active_set_error, multiplier, misfit)

    def misfit(self, proportions: Tensor) -> Tensor:
        """Compute the weighted mean square of the residuals, float64 [n]."""
        parts = [block.residuals(proportions) for block in self.blocks]
        squares, observed = (torch.stack(part).sum(dim=0) for part in zip(*parts, strict=True))
        return squares / observed.clamp(min=1)


class Block:
    """The regions of a regression that are computed together."""

    def __init__(self, data: _Data) -> None:
        profiles = data.profiles
        self.depth, self.importance, self.noise = data.depth, data.importance, profiles.noise
        self.centre = profiles.mean.mean(dim=0) * data.sum_to_one
        self.contrasts = profiles.mean - self.centre
        self._products = nnls.pairs(self.contrasts)
        self._donors = profiles.spread + profiles.noise
        self._floor = torch.full_like(self.centre, data.floor)
        self.values = (data.methylation - self.centre).nan_to_num_(nan=0.0)

    def weigh(self, proportions: Tensor | None) -> None:
        """Weigh as `Regression.weigh`."""
        if proportions is None:
            self.weight = self.depth * self.importance
            return
        proportions = proportions.float()
        p = torch.addmm(self.centre, proportions, self.contrasts).clamp_(*_PROBABILITY_RANGE)
        # Without reads this is infinite, and the weight 0.
        of_reads = p.addcmul_(p, p, value=-1).div_(self.depth)
        variance = torch.addmm(self._floor, proportions.square(), self._donors).add_(of_reads)
        self.weight = torch.div(self.importance, variance, out=variance)

    def equations(self) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the entries of the Gram matrix (`nnls.pairs`), the noise in its diagonal, and the right side."""
        weight = self.weight
        right_side = (weight * self.values) @ self.contrasts.T
        return (weight @ self._products.T).double(), (weight @ self.noise.T).double(), right_side.double()

    def residuals(self, proportions: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the sum of the weighted squared residuals and the number of observed regions, [n] each."""
        squares = (self.values - proportions.float() @ self.contrasts).square_().mul_(self.weight).sum(dim=1)
        # A sum of truth values would first be copied to integers.
        return squares.double(), self.depth.sign().sum(dim=1)


def _active_set_error(gram: Tensor, scale: Tensor, support: Tensor) -> Tensor:
    inside = support[:, :, None] & support[:, None, :]
    identity = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    # Without a read, or with two equal profiles, there is no inverse otherwise.
    active = torch.where(inside, gram + _SUM_TO_ONE, identity) + _SMALLEST * identity
    variance = inverted(active).diagonal(dim1=1, dim2=2)
    return torch.where(support, (variance / scale[:, None]).clamp(min=1e-10).sqrt(), 1)


def _unconstrained(gram: Tensor, right_side: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Solve with ``sum x = 1`` alone; return the estimates and their standard errors."""
    values, vectors = torch.linalg.eigh(gram)
    inverse = (vectors / values.clamp(min=_SMALLEST)[:, None, :]) @ vectors.transpose(1, 2)
    ones = inverse.sum(dim=2)
    total = ones.sum(dim=1, keepdim=True)
    estimate = (inverse @ right_side[:, :, None])[:, :, 0]
    estimate = estimate + ones * (1 - estimate.sum(dim=1, keepdim=True)) / total
    variance = (inverse.diagonal(dim1=1, dim2=2) - ones.square() / total) / scale[:, None]
    return estimate, variance.clamp(min=1e-10).sqrt()
