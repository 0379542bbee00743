"""The distribution of methylation in controls: its mean, and a covariance that few controls can support.

A control's methylation in region r is ``m_r + b_r + e_r``: a mean, a deviation of the individual and of the laboratory,
and the error of its reads. The deviations of regions are correlated (composition of the blood, age, library); their
covariance is estimated as ``(1 - s) F'F + s diag(v)`` with the controls' own deviations as rows of F, freed of the
variance of their reads, and the variance v of each region (Schafer and Strimmer 2005, Stat. Appl. Genet. Mol. Biol.
4:32, target D). The shrinkage s is the one under which controls that were left out are most probable.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from methmix import cli
from methmix.rows import blocks

SHRINKAGES = (0.05, 0.1, 0.2, 0.4, 0.7)
# Depth at which a value has half of the weight that it can have in the mean: individuals differ at any depth.
_HALF_WEIGHT = 30.0
# The variance of a region counts as much as that of the typical region in so many controls.
_TYPICAL = 4.0
_LEAST_VARIANCE = 1e-6
_PROBABILITY_RANGE = (0.005, 0.995)
# Fewest controls with reads in a region for which its variance can be estimated.
_FEWEST_OBSERVED = 3
# Regions that are computed together; products of so few are precise enough in single precision.
_BLOCK = 4096


@dataclass(frozen=True)
class Background:
    """Mean and covariance ``factors' factors + diag(variance)`` of the methylation of controls.

    Float64 tensors: ``mean`` and ``variance`` [n_regions], the latter infinite where too few controls have reads;
    ``factors`` [n_factors, n_regions], rotated, so that no row is one control.
    """

    mean: Tensor
    factors: Tensor
    variance: Tensor

    @cached_property
    def _stored(self) -> Tensor:
        """The factors as they are multiplied: with many regions in single precision, in which single values are."""
        return self.factors if len(self.mean) <= _BLOCK else self.factors.float()

    def to(self, device: torch.device) -> "Background":
        """Move to a device."""
        return Background(self.mean.to(device), self.factors.to(device), self.variance.to(device))

    def read_variance(self, depth: Tensor) -> Tensor:
        """Compute the variance of methylation by ``depth`` reads, same shape; infinite without reads."""
        p = self.mean.clamp(*_PROBABILITY_RANGE)
        return p * (1 - p) / depth

    def whitened(self, depth: Tensor, rows: Tensor) -> tuple[Tensor, float]:
        """Compute the products of rows in the metric of the inverse covariance of a sample of depth [n_regions].

        ``rows`` are differences of methylation, [n, n_regions], finite. Returns [n, n] and the logarithm of the
        determinant of the covariance over the observed regions. By Woodbury's identity, as there are fewer factors than
        regions.
        """
        precision = 1 / (self.variance + self.read_variance(depth))
        n_factors = len(self.factors)
        whole = rows.new_zeros(n_factors + len(rows), n_factors + len(rows))
        root = precision.sqrt().to(self._stored.dtype)
        for part in blocks(len(precision), _BLOCK):
            stacked = torch.cat([self._stored[:, part], rows[:, part].to(root)]).mul_(root[part])
            whole += (stacked @ stacked.T).double()
        of_factors, of_rows = whole.tensor_split([n_factors])
        inner, across, outer = of_factors[:, :n_factors], of_factors[:, n_factors:], of_rows[:, n_factors:]
        root_of_inner = torch.linalg.cholesky(inner + torch.eye(n_factors, dtype=inner.dtype, device=inner.device))
        half = torch.linalg.solve_triangular(root_of_inner, across, upper=False)
        observed = precision > 0
        determinant = 2 * root_of_inner.diagonal().log().sum() - precision[observed].log().sum()
        return outer - half.T @ half, float(determinant)


def fit_background(methylation: Tensor, depth: Tensor, shrinkage: float) -> Background:
    """Fit the distribution of controls.

    Parameters
    ----------
    methylation, depth
        Of at least three controls, float64 [n_controls, n_regions]; methylation is ignored (may be NaN) where depth is
        0.
    shrinkage
        Part of the variance of each region that is taken to be its own, 0-1.
    """
    observed = depth > 0
    values = torch.where(observed, methylation, 0)
    weight = depth / (depth + _HALF_WEIGHT)
    mean = (weight * values).sum(dim=0) / weight.sum(dim=0).clamp(min=1e-12)
    background = Background(mean, values[:0], torch.zeros_like(mean))
    residuals = torch.where(observed, values - mean, 0)
    number = observed.sum(dim=0)
    total = residuals.square().sum(dim=0) / (number - 1).clamp(min=1)
    of_reads = torch.where(observed, background.read_variance(depth), 0).sum(dim=0) / number.clamp(min=1)
    known = number >= _FEWEST_OBSERVED
    own = (total - of_reads).clamp(min=0)
    typical = own[known].median() if bool(known.any()) else own.new_zeros(())
    shrunk = (number * own + _TYPICAL * typical) / (number + _TYPICAL)
    # Reads make the deviations of controls larger than they are.
    reliability = (own / total.clamp(min=1e-12)).clamp(max=1).sqrt()
    factors = residuals * reliability * math.sqrt((1 - shrinkage) / max(len(depth) - 1, 1))
    variance = torch.where(known, shrinkage * shrunk + _LEAST_VARIANCE, torch.inf)
    return Background(mean, _rotated(torch.where(known, factors, 0)), variance)


def _rotated(factors: Tensor) -> Tensor:
    """Rotate factors to principal components, which have the same ``factors' factors``; drop those that are 0."""
    values, vectors = torch.linalg.eigh(factors @ factors.T)
    rotated: Tensor = vectors.T[values > 1e-12 * values.max().clamp(min=1e-300)] @ factors
    return rotated


def without(methylation: Tensor, depth: Tensor, rows: Sequence[int], shrinkage: float) -> Background:
    """Fit the distribution of all controls but some."""
    others = torch.ones(len(depth), dtype=torch.bool, device=depth.device)
    others[list(rows)] = False
    return fit_background(methylation[others], depth[others], shrinkage)


def choose_shrinkage(
    methylation: Tensor, depth: Tensor, of_person: Sequence[Sequence[int]], candidates: Sequence[float] = SHRINKAGES
) -> float:
    """Choose the shrinkage under which the controls, each left out in turn, are most probable (normal distribution).

    ``of_person`` are the controls, [n_controls], that are left out with each.
    """
    total = dict.fromkeys(candidates, 0.0)
    for row in cli.progress(range(len(depth)), "shrinkage of the covariance, controls", len(depth)):
        values = torch.where(depth[row] > 0, methylation[row], 0)
        for candidate in candidates:
            background = without(methylation, depth, of_person[row], candidate)
            deviation = torch.where(depth[row] > 0, values - background.mean, 0)
            square, determinant = background.whitened(depth[row], deviation[None])
            total[candidate] -= (float(square) + determinant) / 2
    return max(candidates, key=lambda candidate: total[candidate])
