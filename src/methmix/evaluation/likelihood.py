"""Maximum likelihood of reads under fixed tissue profiles.

This is what the EM algorithm of CelFiE (Caggiano et al. 2021, Nat. Commun. 12:2717) converges to with a fixed
reference. The log-likelihood ``sum m log(x'A) + u log(x'(1 - A))`` of m methylated and u unmethylated reads is concave,
so that a projected Newton method finds its maximum over ``x >= 0`` in some ten steps instead of thousands. As it grows
by ``N log c`` when all x grow by a factor c, the maximum of it minus ``N sum x``, of N reads, sums to 1 by itself.
"""

import logging
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from methmix import cli, nnls
from methmix.files.mixtures import Mixtures
from methmix.models.prediction import Array
from methmix.rows import blocks

logger = logging.getLogger("methmix")

# No read is impossible: one in a thousand is an error anyway.
_NEVER = 1e-3
# Nats of the log-likelihood.
_CONVERGED = 0.01
_MOST_STEPS, _MOST_HALVINGS = 50, 30
_BLOCK = 100
# Entries of the profiles of a block of mixtures that have profiles of their own.
_MOST_ENTRIES = 2**23


def maximum_likelihood(profiles: Array | Callable[[slice], Array], mixtures: Mixtures) -> Array:
    """Estimate proportions, [n_mixtures, n_tissues], which sum to about 1 but are not normalised.

    ``profiles`` are [n_tissues, n_regions], 0-1, without NaN; or a function gives those of each of some mixtures,
    [n, n_tissues, n_regions]. A warning is logged if some mixtures do not converge.
    """
    n_tissues, size, products = len(mixtures.tissue_names), _BLOCK, None
    if callable(profiles):
        size = max(1, min(size, _MOST_ENTRIES // (n_tissues * mixtures.methylation.shape[1])))
    else:
        clipped = _possible(profiles)
        products = nnls.pairs(clipped.float())
    solved, unconverged = np.zeros((len(mixtures), n_tissues)), 0
    parts = blocks(len(mixtures), size)
    for rows in cli.progress(parts, "maximum likelihood, blocks of mixtures", len(parts)):
        if callable(profiles):
            clipped = _possible(profiles(rows))
        reads = torch.from_numpy(mixtures.depth[rows].astype(float))
        methylated = torch.from_numpy(np.nan_to_num(mixtures.methylation[rows]).astype(float)).mul_(reads)
        x, converged = _newton(clipped, products, methylated, reads - methylated)
        solved[rows] = x.numpy()
        unconverged += int((~converged).sum())
    if unconverged:
        what = "maximum likelihood: %d of %d mixtures did not converge within %d Newton steps; the last step is used"
        logger.warning(what, unconverged, len(mixtures), _MOST_STEPS)
    return solved


def _possible(profiles: Array) -> Tensor:
    return torch.from_numpy(profiles.clip(_NEVER, 1 - _NEVER))


def _newton(profiles: Tensor, products: Tensor | None, methylated: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Find the maximum for numbers of methylated and other reads, [n, n_regions], and whether each has converged.

    Of profiles that all mixtures share, the ``products`` (`nnls.pairs`) are given.
    """
    total = (methylated + others).sum(dim=1, keepdim=True)

    def chances(x: Tensor) -> tuple[Tensor, Tensor]:
        chance = _times(x, profiles)
        return chance, x.sum(dim=1, keepdim=True) - chance

    def value(x: Tensor) -> Tensor:
        chance, other = chances(x)
        logs = chance.log_().mul_(methylated).add_(other.log_().mul_(others))
        return logs.sum(dim=1, keepdim=True) - total * x.sum(dim=1, keepdim=True)

    x = torch.full((len(total), profiles.shape[-2]), 1 / profiles.shape[-2], dtype=torch.float64)
    reached = value(x)
    for steps_left in reversed(range(_MOST_STEPS + 1)):
        chance, other = chances(x)
        of_methylated, of_others = methylated / chance, others / other
        gradient = _times(of_methylated - of_others, profiles.mT) + of_others.sum(dim=1, keepdim=True)
        excess = gradient - total
        # No tissue can add more to the log-likelihood than this.
        converged = torch.maximum(excess, x * excess.abs()).amax(dim=1) < _CONVERGED
        if converged.all() or not steps_left:
            break
        hessian = _hessian(of_methylated.div_(chance), of_others.div_(other), profiles, products)
        step = nnls.solve(hessian, (hessian @ x[:, :, None])[:, :, 0] + gradient - total) - x
        size = torch.ones_like(reached)
        for _ in range(_MOST_HALVINGS):
            tried = (x + size * step).clamp(min=0)
            gained = value(tried)
            worse = ~(gained >= reached - _CONVERGED)
            if not worse.any():
                break
            size = torch.where(worse, size / 2, size)
        x, reached = torch.where(worse, x, tried), torch.where(worse, reached, gained)
    return x, converged


def _times(rows: Tensor, matrix: Tensor) -> Tensor:
    """Multiply each row by the matrix, or by its own one: [n, m] -> [n, k]."""
    return (rows[:, None] @ matrix)[:, 0]


def _hessian(of_methylated: Tensor, of_others: Tensor, profiles: Tensor, products: Tensor | None) -> Tensor:
    """Sum ``m/p^2 A A' + u/q^2 (1 - A)(1 - A)'`` over the regions; [n, n_tissues, n_tissues].

    It only sets the direction of a step, so that its largest part may be in single precision.
    """
    both = of_methylated + of_others
    if products is None:
        hessian = (profiles * both[:, None]) @ profiles.mT
    else:
        hessian = nnls.square((both.float() @ products.T).double(), len(profiles))
    crossed = _times(of_others, profiles.mT)
    return hessian - crossed[:, :, None] - crossed[:, None, :] + of_others.sum(dim=1)[:, None, None]
