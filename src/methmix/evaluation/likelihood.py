"""Maximum likelihood of reads under fixed tissue profiles.

Each read is methylated with the mixture's probability. This is what the EM algorithm of CelFiE (Caggiano et al. 2021,
Nat. Commun. 12:2717) converges to with a fixed reference. The log-likelihood ``sum m log(x'A) + u log(x'(1 - A))`` of m
methylated and u other reads is concave, so its maximum over ``x >= 0`` is found by a projected Newton method, in some
ten steps instead of thousands. As it grows by ``N log c`` when all x grow by c, the maximum of it minus ``N sum x``, of
N reads, sums to 1 by itself.
"""

import logging

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from methmix import nnls
from methmix.files.mixtures import Mixtures
from methmix.rows import blocks

logger = logging.getLogger("methmix")

Array = npt.NDArray[np.float64]

# No profile is so certain that a read could not be there; one in so many is an error anyway.
_NEVER = 1e-3
# Of the log-likelihood, in nats.
_CONVERGED = 0.01
_MOST_STEPS, _MOST_HALVINGS = 50, 30
_BLOCK = 100


def maximum_likelihood(profiles: Array, mixtures: Mixtures) -> Array:
    """Find the proportions of the highest likelihood; a warning is logged if some have not converged.

    Parameters
    ----------
    profiles
        Methylation of each tissue, [n_tissues, n_regions], 0-1, no NaN.
    mixtures
        Reads.

    Returns
    -------
    ndarray
        Coefficients >= 0, [n_mixtures, n_tissues]; they sum to about 1 but are not normalised.
    """
    clipped = torch.from_numpy(profiles.clip(_NEVER, 1 - _NEVER))
    products = nnls.pairs(clipped.float())
    solved = np.zeros((len(mixtures), len(profiles)))
    open_ends = 0
    for rows in blocks(len(mixtures), _BLOCK):
        reads = torch.from_numpy(mixtures.depth[rows].astype(float))
        methylated = torch.from_numpy(np.nan_to_num(mixtures.methylation[rows]).astype(float)).mul_(reads)
        found, converged = _Likelihood(clipped, products, methylated, reads - methylated).maximum()
        solved[rows] = found.numpy()
        open_ends += int((~converged).sum())
    if open_ends:
        logger.warning(
            "maximum likelihood: %d of %d mixtures did not converge within %d Newton steps; "
            "their proportions are those of the last step",
            open_ends,
            len(mixtures),
            _MOST_STEPS,
        )
    return solved


class _Likelihood:
    """The log-likelihood of some mixtures, less N times the sum of the coefficients, and its maximum.

    Parameters
    ----------
    profiles
        float64 [n_tissues, n_regions], within 0 and 1.
    products
        Those of all pairs of profiles (`nnls.pairs`), in single precision.
    methylated, others
        Methylated and other reads, float64 [n, n_regions].
    """

    def __init__(self, profiles: Tensor, products: Tensor, methylated: Tensor, others: Tensor) -> None:
        self._profiles, self._products = profiles, products
        self._methylated, self._others = methylated, others
        self._total = (methylated + others).sum(dim=1, keepdim=True)

    def maximum(self) -> tuple[Tensor, Tensor]:
        """Find it: the coefficients, [n, n_tissues], and whether they have converged, [n]."""
        n, n_tissues = len(self._total), len(self._profiles)
        x = torch.full((n, n_tissues), 1 / n_tissues, dtype=torch.float64)
        value = self._value(x)
        for steps_left in reversed(range(_MOST_STEPS + 1)):
            chance, other = self._chances(x)
            of_methylated, of_others = self._methylated / chance, self._others / other
            gradient = (of_methylated - of_others) @ self._profiles.T + of_others.sum(dim=1, keepdim=True)
            excess = gradient - self._total
            # No tissue can add more to the log-likelihood than this.
            converged = torch.maximum(excess, x * excess.abs()).amax(dim=1) < _CONVERGED
            if converged.all() or not steps_left:
                break
            hessian = self._hessian(of_methylated.div_(chance), of_others.div_(other))
            target = nnls.solve(hessian, (hessian @ x[:, :, None])[:, :, 0] + gradient - self._total)
            x, value = self._search(x, target - x, value)
        return x, converged

    def _search(self, x: Tensor, step: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Go a step, halved until the value does not fall; x and its value stay where none was short enough."""
        size = torch.ones_like(value)
        for _ in range(_MOST_HALVINGS):
            tried = (x + size * step).clamp(min=0)
            reached = self._value(tried)
            worse = ~(reached >= value - _CONVERGED)
            if not worse.any():
                break
            size = torch.where(worse, size / 2, size)
        return torch.where(worse, x, tried), torch.where(worse, value, reached)

    def _chances(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give what is proportional to the probability of a methylated read and of another, [n, n_regions] each."""
        chance = x @ self._profiles
        return chance, x.sum(dim=1, keepdim=True) - chance

    def _value(self, x: Tensor) -> Tensor:
        chance, other = self._chances(x)
        logs = chance.log_().mul_(self._methylated).add_(other.log_().mul_(self._others))
        return logs.sum(dim=1, keepdim=True) - self._total * x.sum(dim=1, keepdim=True)

    def _hessian(self, of_methylated: Tensor, of_others: Tensor) -> Tensor:
        """Sum ``m/p^2 A A' + u/q^2 (1 - A)(1 - A)'`` over the regions; [n, n_tissues, n_tissues].

        ``m/p^2`` and ``u/q^2`` are given, [n, n_regions]. It only says where to look next, so that its largest part is
        in single precision.
        """
        both = (of_methylated + of_others).float()
        hessian = nnls.square((both @ self._products.T).double(), len(self._profiles))
        crossed = of_others @ self._profiles.T
        return hessian - crossed[:, :, None] - crossed[:, None, :] + of_others.sum(dim=1)[:, None, None]
