"""What a sample has above the controls: tissues that explain its deviation from their mean.

With the controls' mean m and covariance C (`methmix.normals.background`), the methylation y of a sample that contains
a proportion x_t of tissue t, with profile P_t, is ``y = m + sum_t x_t (P_t - m) + error``, ``x >= 0``. The x are
estimated by generalised least squares in the metric of C and of the sample's own reads. Tissues that the controls
consist of are no terms: their variation is part of C.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from methmix import nnls
from methmix.normals.background import Background

# Least doubt: how well a sample with few regions happens to fit says little.
_LEAST_DOUBT = 0.7


class Excess(NamedTuple):
    """Estimates of samples, float64; [n, n_tissues] over the tissues of interest, ``total_score`` and ``misfit`` [n].

    Parameters
    ----------
    amounts
        Proportions above those of the controls, >= 0.
    error
        Standard error of the amount of a tissue, if it were the only one.
    total_score
        Square root of the decrease in the weighted sum of squares by all tissues together: by how many standard
        deviations the sample deviates from the controls in the direction of the tissues.
    misfit
        Weighted mean square of the residuals; about 1 for a further control.
    """

    amounts: Tensor
    error: Tensor
    total_score: Tensor
    misfit: Tensor

    @property
    def scores(self) -> Tensor:
        """Amounts in units of their standard errors, by which tissues are called."""
        return self.amounts / self.error

    def doubted(self, usual_misfit: float) -> "Excess":
        """Change how certain what is said of samples is, by how much worse or better they fit than is usual.

        What makes a sample fit poorly does not average out over regions, so that errors grow by the misfit itself and
        not by its root, as those of independent regions would: of known amounts in real controls, that finds more.
        """
        doubt = (self.misfit / usual_misfit).clamp(min=_LEAST_DOUBT)
        return self._replace(error=self.error * doubt[:, None], total_score=self.total_score / doubt)

    def row(self, number: int) -> "Excess":
        """Select one sample, keeping the axis."""
        return Excess(*(values[number : number + 1] for values in self))


def estimate_excess(background: Background, profiles: Tensor, methylation: Tensor, depth: Tensor) -> Excess:
    """Estimate what samples have above the controls.

    Parameters
    ----------
    profiles
        Methylation of the tissues of interest, float64 [n_tissues, n_regions], 0-1, no NaN.
    methylation, depth
        Of the samples, float64 [n, n_regions]; methylation is ignored (may be NaN) where depth is 0.
    """
    directions = profiles - background.mean
    found = [_products(background, directions, *sample) for sample in zip(methylation, depth, strict=True)]
    products = torch.stack(found) if found else directions.new_zeros(0, len(directions) + 1, len(directions) + 1)
    gram, right_side = products[:, 1:, 1:], products[:, 0, 1:]
    amounts = nnls.solve(gram, right_side)
    # At the minimum, x'Gx = x'b, so that the sum of squares decreases by x'b.
    decrease = (amounts * right_side).sum(dim=1).clamp(min=0)
    n_observed = ((depth > 0) & torch.isfinite(background.variance)).sum(dim=1).clamp(min=1)
    misfit = (products[:, 0, 0] - decrease) / n_observed
    error = gram.diagonal(dim1=1, dim2=2).clamp(min=1e-12).rsqrt()
    return Excess(amounts, error, decrease.sqrt(), misfit)


def together(parts: list[Excess]) -> Excess:
    """Join the estimates of samples."""
    return Excess(*(torch.cat(values) for values in zip(*parts, strict=True)))


def _products(background: Background, directions: Tensor, methylation: Tensor, depth: Tensor) -> Tensor:
    """Compute the products of a sample's deviation and the directions of the tissues, [1 + n_tissues] * 2."""
    deviation = torch.where(depth > 0, methylation - background.mean, 0)
    return background.whitened(depth, torch.cat([deviation[None], directions]))[0]
