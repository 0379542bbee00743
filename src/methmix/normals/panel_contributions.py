"""What each region contributes to an amount above the controls.

With deviations z from the controls' mean, directions A of tissues (rows) and the inverse W of the covariance, the
estimates of the tissues S that a sample has are ``x = (A W A')^-1 A W z``, a sum over regions with weights that give 1
for the tissue itself and 0 for the others. So, for any amounts y of the others, ``x_t = sum_r w_tr (z_r - sum_s y_s
A_sr)``; y are their best amounts without the tissue.
"""

import numpy as np
import torch
from torch import Tensor

from methmix import nnls
from methmix.contributions import Array, Contributions
from methmix.normals.background import Background


class ExcessDecomposition:
    """The amounts of samples above the controls, taken apart by region.

    Parameters
    ----------
    profiles
        Methylation of the tissues of interest, [n_tissues, n_regions].
    columns
        Their places among the tissues of the model.
    methylation, depth
        Of the samples, [n, n_regions]; methylation is NaN where depth is 0.
    """

    def __init__(
        self, background: Background, profiles: Tensor, columns: list[int], methylation: Tensor, depth: Tensor
    ) -> None:
        self._background, self._columns = background, columns
        self._directions = profiles.double() - background.mean
        self._observed, self._depth = depth > 0, depth.double()
        self._deviation = torch.where(self._observed, methylation.double() - background.mean, 0)

    def residuals(self) -> tuple[Array, Array]:
        """Compute observed minus modelled methylation in standard deviations, and the modelled methylation.

        Both are [n, n_regions], NaN where there are no reads. The deviations of regions are correlated.
        """
        spread = self._background.variance + self._background.factors.square().sum(dim=0)
        standardised, modelled = [], []
        for row in range(len(self._depth)):
            amounts = self._solved(row, list(range(len(self._columns))), self._inverted(row))
            expected = amounts @ self._directions
            deviation = (spread + self._background.read_variance(self._depth[row])).sqrt()
            standardised.append((self._deviation[row] - expected) / deviation)
            modelled.append(expected + self._background.mean)
        return self._known(torch.stack(standardised)), self._known(torch.stack(modelled))

    def of(self, row: int, tissue: int) -> Contributions:
        """Take the amount of a tissue, by its place in the model, in a sample apart."""
        own, inverted = self._columns.index(tissue), self._inverted(row)
        every = self._solved(row, list(range(len(self._columns))), inverted)
        # With those that have an amount beside it, so that the sum is its own amount.
        others = [place for place, amount in enumerate(every.tolist()) if amount > 0 and place != own]
        inside, deviation = [own, *others], self._deviation[row]
        inverse = torch.linalg.inv(self._directions[inside] @ inverted[:, inside])
        weights = inverted[:, inside] @ inverse[0]
        without = self._solved(row, others, inverted) @ self._directions[others]
        regions = weights * (deviation - without)
        information = (weights * self._directions[own]).clamp(min=0)
        fitted = inverse @ (inverted[:, inside].T @ deviation) @ self._directions[inside]
        mean = self._background.mean
        return Contributions(
            float(regions.sum()),
            regions.cpu().numpy(),
            (information / information.sum().clamp(min=1e-300)).cpu().numpy(),
            self._known(mean + without, row),
            self._known(mean + fitted, row),
        )

    def _inverted(self, row: int) -> Tensor:
        """Compute the directions in the metric of the inverse covariance, [n_regions, n_tissues]."""
        background = self._background
        precision = 1 / (background.variance + background.read_variance(self._depth[row]))
        weighted = background.factors * precision
        inner = weighted @ background.factors.T
        inner.diagonal().add_(1)
        across = weighted @ self._directions.T
        inverted: Tensor = (self._directions * precision).T - weighted.T @ torch.linalg.solve(inner, across)
        return inverted

    def _solved(self, row: int, tissues: list[int], inverted: Tensor) -> Tensor:
        if not tissues:
            return self._directions.new_empty(0)
        gram = self._directions[tissues] @ inverted[:, tissues]
        solution: Tensor = nnls.solve(gram[None], (self._deviation[row] @ inverted[:, tissues])[None])[0]
        return solution

    def _known(self, values: Tensor, rows: int | slice = slice(None)) -> Array:
        found: Array = torch.where(self._observed[rows], values, torch.nan).cpu().numpy()
        return np.asarray(found)
