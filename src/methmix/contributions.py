"""What each region contributes to a least-squares estimate.

With tissues S in the solution, weights w, profiles A (rows; deviations from the centre of all tissues) and values v,
the estimates are ``x = H (A w v + c)`` with ``H = (A w A' - diag(w N') + c)^-1``: N is the sampling variance of the
profiles, c the constraint "sums to 1". For a tissue t and any mixture z of the others, with sum 1, it follows that

``x_t = sum_r [ a_r (v_r - sum_s z_s A_sr) + w_r sum_s H_ts N_sr z_s ]``, ``a_r = w_r sum_u H_tu A_ur``.

So with the best mixture without t as z, the estimate is a sum over regions of an influence times the deviation from
what is expected without t (partial regression; Frisch and Waugh 1933, Econometrica 1:387), with a small correction for
the sampling error of the profiles.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from methmix import nnls
from methmix.least_squares import Regression

Array = npt.NDArray[np.float64]

_RIDGE = 1e-10


class Contributions(NamedTuple):
    """One tissue in one mixture; [n_regions] each, if not said otherwise, 0 or NaN in regions that are not used.

    Parameters
    ----------
    estimate
        Proportion by least squares on the tissues that the mixture has beside it (if none: that the best mixture of the
        others has), a number: the sum of ``regions``. At most 0 if the least squares have none of it.
    regions
        Contribution of each region to it.
    information
        Contribution of each region if the mixture were of this tissue and the others as profiled, relative: what the
        tissue is recognised by; sum 1.
    without, with_tissue
        Methylation expected of the best mixture without the tissue, and with it.
    """

    estimate: float
    regions: Array
    information: Array
    without: Array
    with_tissue: Array


class Decomposition:
    """The least squares of some mixtures, taken apart by region; arguments as for `methmix.least_squares.regress`."""

    def __init__(self, regression: Regression, n_regions: int) -> None:
        self._proportions = regression.solve()
        self._gram, self._right_side, self._scale = regression.equations
        self._penalty, self._used, self._n_regions = regression.penalty, regression.used, n_regions
        self._blocks = regression.blocks

    def residuals(self) -> tuple[Array, Array]:
        """Compute observed minus modelled methylation in standard deviations, and the modelled methylation.

        Both are [n, n_regions], NaN where there are no reads or the region is not used. The mean square of the first
        over the observed regions, each as often as it is a marker, is the misfit.
        """
        proportions = self._proportions.float()
        standardised, modelled = [], []
        for block in self._blocks:
            unobserved = block.depth == 0
            expected = proportions @ block.contrasts
            difference = (block.values - expected) * (block.weight / block.importance).sqrt()
            standardised.append(difference.masked_fill(unobserved, torch.nan))
            modelled.append((expected + block.centre).masked_fill(unobserved, torch.nan))
        return self._spread(torch.cat(standardised, dim=1)), self._spread(torch.cat(modelled, dim=1))

    def of(self, row: int, tissue: int) -> Contributions:
        """Take the estimate of a tissue in a mixture apart."""
        others = [t for t in torch.nonzero(self._proportions[row])[:, 0].tolist() if t != tissue]
        if not others:
            # It is the only tissue: then it is compared with the best mixture of all others.
            every = [t for t in range(self._proportions.shape[1]) if t != tissue]
            z = self._mixture(row, every)
            others, z = [t for t, x in zip(every, z.tolist(), strict=True) if x > 0], z[z > 0]
        else:
            z = self._mixture(row, others)
        inside = [tissue, *others]
        # The ridge keeps it defined where two tissues have the same profile.
        gram = self._gram[row][inside][:, inside] + self._penalty + _RIDGE * torch.eye(len(inside)).to(self._gram)
        inverse = torch.linalg.inv(gram)
        fitted = inverse @ (self._right_side[row, inside] + self._penalty)
        total = fitted.sum()
        weight, values, centre = (self._joined(name, row) for name in ("weight", "values", "centre"))
        profiles, noise = (self._joined(name, inside) for name in ("contrasts", "noise"))
        weight = weight / self._scale[row]
        influence = weight * (inverse[0] @ profiles)
        without = z @ profiles[1:]
        correction = weight * ((inverse[0, 1:] * z) @ noise[1:])
        regions = (influence * (values - without) + correction) / total
        information = (influence * (profiles[0] - without)).clamp(min=0)
        unobserved = weight == 0
        expected = [torch.where(unobserved, torch.nan, centre + part) for part in (without, fitted @ profiles)]
        return Contributions(
            float(regions.sum()),
            self._spread(regions[None], 0.0)[0],
            self._spread((information / information.sum().clamp(min=1e-300))[None], 0.0)[0],
            *(self._spread(part[None])[0] for part in expected),
        )

    def _mixture(self, row: int, tissues: list[int]) -> Tensor:
        """Solve for a mixture of some tissues alone, [n_tissues of these]; its sum is 1 if that is a constraint."""
        gram = self._gram[row][tissues][:, tissues] + self._penalty
        x = nnls.solve(gram[None], self._right_side[row, tissues][None] + self._penalty)[0]
        return x / x.sum().clamp(min=1e-12) if self._penalty else x

    def _joined(self, name: str, rows: int | list[int]) -> Tensor:
        """Join a quantity of the blocks, float64: of a mixture, of tissues, or of the regions alone."""
        parts = [getattr(block, name) for block in self._blocks]
        return torch.cat([part if part.ndim == 1 else part[rows] for part in parts], dim=-1).double()

    def _spread(self, values: Tensor, fill: float = torch.nan) -> Array:
        """Put values of the regions that are used in their places among all, [n, n_regions]."""
        whole = values.new_full((len(values), self._n_regions), fill, dtype=torch.float64)
        whole[:, self._used] = values.double()
        array: Array = whole.cpu().numpy()
        return array
