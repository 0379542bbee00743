"""What the trained arms are compared with: classical deconvolution, trivial answers and a bound."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from methmix import metrics
from methmix import nnls as nnls_solver
from methmix.config.arm import OriginalModelSettings
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference, Split
from methmix.least_squares import deconvolve
from methmix.nnls import normalise, solve_normal_equations, weighted_nnls
from methmix.reference.profiles import training_profiles
from methmix.rows import blocks

Array = npt.NDArray[np.float64]

# No profile is so sure that a read could not be there; one in so many is an error anyway.
_NEVER = 1e-3
# Of the log-likelihood, in nats.
_CONVERGED = 0.01
_MOST_STEPS, _MOST_HALVINGS = 50, 30
_BLOCK = 100


def nnls(reference: Reference, mixtures: Mixtures) -> Array:
    """Deconvolve by depth-weighted non-negative least squares on the training donors' tissue profiles.

    Returns
    -------
    ndarray
        Proportions, [n_mixtures, n_tissues].
    """
    profiles = reference.complete_profiles("train")
    return normalise(weighted_nnls(profiles, mixtures.methylation, mixtures.depth))


def em(reference: Reference, mixtures: Mixtures) -> Array:
    """Deconvolve by maximum likelihood: each read is methylated with the mixture's probability, profiles are fixed.

    This is what the EM algorithm of CelFiE (Caggiano et al. 2021, Nat. Commun. 12:2717) converges to with a fixed
    reference. The log-likelihood ``sum m log(x'A) + u log(x'(1 - A))`` of m methylated and u other reads is concave,
    so its maximum is found by Newton's method, over ``x >= 0``, in some ten steps instead of thousands. As it grows
    by ``N log c`` when all x grow by c, the maximum of it minus ``N sum x``, of N reads, sums to 1 by itself.

    Returns
    -------
    ndarray
        Proportions, [n_mixtures, n_tissues].
    """
    profiles = torch.from_numpy(reference.complete_profiles("train").clip(_NEVER, 1 - _NEVER))
    products = nnls_solver.pairs(profiles.float())
    solved = [
        _maximum_likelihood(profiles, products, mixtures.methylation[rows], mixtures.depth[rows])
        for rows in blocks(len(mixtures), _BLOCK)
    ]
    return normalise(np.concatenate(solved))


def least_squares(reference: Reference, mixtures: Mixtures, settings: OriginalModelSettings) -> Array:
    """Deconvolve by the least squares that the sparse arm stands on, without its network.

    Returns
    -------
    ndarray
        Proportions, [n_mixtures, n_tissues].
    """
    profiles = training_profiles(reference, settings.purify_donors)
    if not settings.errors_in_variables:
        profiles = profiles.exact()
    solved = [
        deconvolve(
            profiles,
            torch.from_numpy(mixtures.methylation[rows]),
            torch.from_numpy(mixtures.depth[rows].astype(np.float32)),
            settings.markers_per_tissue,
            settings.sum_to_one,
        ).proportions.numpy()
        for rows in blocks(len(mixtures), _BLOCK)
    ]
    return np.concatenate(solved)


def _maximum_likelihood(
    profiles: torch.Tensor,
    products: torch.Tensor,
    methylation: npt.NDArray[np.float32],
    depth: npt.NDArray[np.number],
) -> Array:
    """Find the maximum for some mixtures; ``products`` are those of all pairs of profiles, in single precision."""
    reads = torch.from_numpy(depth.astype(float))
    methylated = torch.from_numpy(np.nan_to_num(methylation).astype(float)).mul_(reads)
    others = reads - methylated
    total = reads.sum(dim=1, keepdim=True)

    def chances(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        chance = x @ profiles
        return chance, x.sum(dim=1, keepdim=True) - chance

    def value(x: torch.Tensor) -> torch.Tensor:
        chance, other = chances(x)
        logs = chance.log_().mul_(methylated).add_(other.log_().mul_(others))
        return logs.sum(dim=1, keepdim=True) - total * x.sum(dim=1, keepdim=True)

    x = torch.full((len(reads), len(profiles)), 1 / len(profiles), dtype=torch.float64)
    reached = value(x)
    for _ in range(_MOST_STEPS):
        chance, other = chances(x)
        of_methylated, of_others = methylated / chance, others / other
        gradient = (of_methylated - of_others) @ profiles.T + of_others.sum(dim=1, keepdim=True)
        # No tissue can add more to the log-likelihood than this.
        if ((gradient - total).max() < _CONVERGED) and ((x * (gradient - total).abs()).max() < _CONVERGED):
            break
        hessian = _hessian(of_methylated.div_(chance), of_others.div_(other), profiles, products)
        step = nnls_solver.solve(hessian, (hessian @ x[:, :, None])[:, :, 0] + gradient - total) - x
        size = torch.ones_like(reached)
        for _ in range(_MOST_HALVINGS):
            tried = (x + size * step).clamp(min=0)
            gained = value(tried)
            worse = ~(gained >= reached - _CONVERGED)
            if not worse.any():
                break
            size = torch.where(worse, size / 2, size)
        x, reached = torch.where(worse, x, tried), torch.where(worse, reached, gained)
    return x.numpy()


def _hessian(
    of_methylated: torch.Tensor, of_others: torch.Tensor, profiles: torch.Tensor, products: torch.Tensor
) -> torch.Tensor:
    """Sum ``m/p^2 A A' + u/q^2 (1 - A)(1 - A)'`` over the regions; [n, n_tissues, n_tissues].

    The first two are [n, n_regions]. It only says where to look next, so that its largest part is in single precision.
    """
    both = (of_methylated + of_others).float()
    hessian = nnls_solver.square((both @ products.T).double(), len(profiles))
    crossed = of_others @ profiles.T
    return hessian - crossed[:, :, None] - crossed[:, None, :] + of_others.sum(dim=1)[:, None, None]


def cut(proportions: Array, threshold: float) -> Array:
    """Set proportions below a threshold to 0 and normalise the others; the largest is always kept."""
    kept = np.where(
        (proportions >= threshold) | (proportions == proportions.max(axis=1, keepdims=True)), proportions, 0
    )
    return normalise(kept)


def choose_cut(proportions: Array, true: Array, candidates: Sequence[float]) -> float:
    """Choose the cut with the lowest mean absolute error; for validation mixtures only."""
    return min(candidates, key=lambda threshold: metrics.mae(true, cut(proportions, threshold)))


def uniform(mixtures: Mixtures) -> Array:
    """Give every tissue the same share."""
    shape = mixtures.proportions.shape
    return np.full(shape, 1 / shape[1])


def all_absent(mixtures: Mixtures) -> Array:
    """Call every tissue absent; these rows sum to 0, which no method may, but it shows what accuracy is worth."""
    return np.zeros(mixtures.proportions.shape)


def oracle(reference: Reference, mixtures: Mixtures, split: Split) -> Array:
    """Deconvolve by NNLS with the profiles of the very donors that are in each mixture.

    No method that must work on new donors knows these; this is the bound that read noise alone leaves. A tissue
    that is absent has the mean profile of the split's donors.
    """
    means = reference.complete_profiles(split)
    row_of = {name: row for row, name in enumerate(reference.donors)}
    fractions = reference.fractions
    tissues = reference.tissue_names
    solved = np.zeros(mixtures.proportions.shape)
    for number, info in enumerate(mixtures.info):
        profiles = means.copy()
        for tissue, donor in info["donors"].items():
            own = fractions[row_of[donor]]
            profiles[tissues.index(tissue)] = np.where(np.isnan(own), means[tissues.index(tissue)], own)
        weight = mixtures.depth[number].astype(float)
        weighted = profiles * weight
        value = np.nan_to_num(mixtures.methylation[number]).astype(float)
        solved[number] = solve_normal_equations(weighted @ profiles.T, weighted @ value)
    return normalise(solved)
