"""Weighted non-negative least squares, for many mixtures at once.

Minimises ``sum_r w_r (y_r - sum_t x_t A_tr)^2`` over ``x >= 0`` for each mixture. The problem is reduced to its normal
equations, whose size does not depend on the number of regions, and all of these are solved together by block principal
pivoting (Kim and Park 2011, SIAM J. Sci. Comput. 33:3261): guess which coefficients are 0, solve for the others, and
exchange those that contradict the guess.
"""

import logging

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from methmix import cli
from methmix.devices import solved
from methmix.rows import Rows, blocks

logger = logging.getLogger("methmix")

Array = npt.NDArray[np.floating]

# Relative ridge that keeps a solution defined when two tissues have the same profile.
_RIDGE = 1e-10
# A coefficient or a gradient of less than this, relative to the scale of the problem, is 0.
_TOLERANCE = 1e-10
# Full exchanges that may go wrong before single ones, which always end, take over.
_PATIENCE = 3
_MOST_ROUNDS = 300
# Rounds until it is asked whether problems are left, where that has a price: more than most batches need.
_UNCHECKED = 6
_BLOCK = 250
# Twice as many products of profiles are held at a time.
_MOST_PRODUCTS = 2**24


def weighted_nnls(profiles: Array, values: Rows, weights: Rows, cost: Array | None = None) -> npt.NDArray[np.float64]:
    """Solve for the coefficients of all mixtures with one common set of profiles.

    Parameters
    ----------
    profiles
        Methylation, 0-1, [n_tissues, n_regions], no NaN.
    values
        Methylation, [n_mixtures, n_regions]; ignored (may be NaN) where the weight is 0.
    weights
        Of each value, [n_mixtures, n_regions], >= 0; the depth, for binomial counts.
    cost
        Of a coefficient of 1, [n_tissues], as a weighted mean of half the squared differences; by default 0.

    Returns
    -------
    ndarray
        Coefficients >= 0, [n_mixtures, n_tissues], not normalised; all 0 for a mixture without any weight.
    """
    n_tissues = profiles.shape[0]
    # Tissues are similar (all are near 0.9 in most regions), so the normal equations need double precision.
    profiles = np.ascontiguousarray(profiles, dtype=np.float64)
    # The products of all pairs need n_tissues / 2 times the room of the profiles.
    parts = blocks(profiles.shape[1], max(1, _MOST_PRODUCTS // n_tissues**2))
    solved = np.zeros((len(values), n_tissues))
    of_values = blocks(len(values), _BLOCK)
    for block in cli.progress(of_values, "NNLS, blocks of mixtures", len(of_values)):
        weight = np.asarray(weights[block], dtype=np.float64)
        weighted = np.where(weight > 0, np.nan_to_num(values[block]), 0) * weight
        entries = sum(weight[:, part] @ pairs(torch.from_numpy(profiles[:, part])).numpy().T for part in parts)
        gram = square(torch.from_numpy(entries), n_tissues)
        right_side = weighted @ profiles.T
        if cost is not None:
            right_side -= weight.sum(axis=1, keepdims=True) * cost
        solved[block] = solve(gram, torch.from_numpy(right_side)).numpy()
    return solved


def solve_normal_equations(gram: Array, right_side: Array) -> npt.NDArray[np.float64]:
    """Minimise ``x' G x / 2 - b' x`` over ``x >= 0`` for one mixture; see `solve`."""
    one_gram, one_side = (torch.from_numpy(np.asarray(part, float))[None] for part in (gram, right_side))
    return solve(one_gram, one_side)[0].numpy()


def pairs(profiles: Tensor) -> Tensor:
    """Multiply the profiles of every pair of tissues: [n_tissues, n_regions] -> [n_pairs, n_regions]."""
    n_tissues, n_regions = profiles.shape
    products, start = profiles.new_empty(n_tissues * (n_tissues + 1) // 2, n_regions), 0
    for tissue, own in enumerate(profiles):
        end = start + n_tissues - tissue
        torch.mul(own, profiles[tissue:], out=products[start:end])
        start = end
    return products


def square(entries: Tensor, n_tissues: int) -> Tensor:
    """Put sums over the `pairs` into symmetric matrices: [n, n_pairs] -> [n, n_tissues, n_tissues]."""
    first, second = torch.triu_indices(n_tissues, n_tissues, device=entries.device)
    gram = entries.new_zeros(len(entries), n_tissues, n_tissues)
    gram[:, first, second] = entries
    gram[:, second, first] = entries
    return gram


def solve(gram: Tensor, right_side: Tensor, compact: bool | None = None) -> Tensor:
    """Minimise ``x' G x / 2 - b' x`` over ``x >= 0`` for each of many problems.

    One warning is logged if some do not converge; these have the coefficients of the last exchange.

    Parameters
    ----------
    gram
        G = A W A', float64 [n, n_tissues, n_tissues], symmetric positive semi-definite; where it is 0, so is x.
    right_side
        b = A W y, float64 [n, n_tissues].
    compact
        Compute in each round only the problems that are left. By default on a CPU: a GPU would have to be waited for in
        every round, to know which these are. There all are computed, to no effect on those that have converged, and it
        is asked only every few rounds whether any are left. The result is the same.
    """
    n, n_tissues = right_side.shape
    if compact is None:
        compact = gram.device.type == "cpu"
    scale = gram.diagonal(dim1=1, dim2=2).mean(dim=1)
    left = scale > 0
    scale = torch.where(left, scale, 1)
    identity = torch.eye(n_tissues, dtype=gram.dtype, device=gram.device)
    places = torch.arange(n_tissues, device=gram.device)
    gram = gram / scale[:, None, None] + _RIDGE * identity
    right_side = right_side / scale[:, None]
    solution = torch.zeros_like(right_side)
    passive = (solved(gram, right_side) > 0) & left[:, None]
    fewest = torch.full((n,), n_tissues + 1, device=gram.device)
    patience = torch.full((n,), _PATIENCE, device=gram.device)
    todo: Tensor | slice = slice(None)
    # It converges long before, but for matrices that are not positive definite (over-corrected by `least_squares`).
    for number in range(_MOST_ROUNDS):
        if compact or number % (_UNCHECKED + 1) == _UNCHECKED:
            rows = torch.nonzero(left)[:, 0]
            if not len(rows):
                break
            todo = rows if compact else todo
        g, b, p = gram[todo], right_side[todo], passive[todo]
        x = solved(torch.where(p[:, :, None] & p[:, None, :], g, identity), torch.where(p, b, 0))
        gradient = (g @ x[:, :, None])[:, :, 0] - b
        wrong = (torch.where(p, x, gradient) < -_TOLERANCE) & left[todo, None]
        count = wrong.sum(dim=1)
        solution[todo] = x.clamp(min=0)
        left[todo] = count > 0
        patience[todo] = torch.where(count < fewest[todo], _PATIENCE, patience[todo] - 1)
        fewest[todo] = torch.minimum(count, fewest[todo])
        last = torch.where(wrong, places, -1).amax(dim=1)
        single = places == last[:, None]
        passive[todo] = p ^ torch.where((patience[todo] >= 0)[:, None], wrong, single)
    else:
        if not_converged := int(left.sum()):
            message = "NNLS: %d of %d problems did not converge in %d exchanges"
            logger.warning(message, not_converged, n, _MOST_ROUNDS)
    return solution


def normalise(coefficients: Array) -> npt.NDArray[np.float64]:
    """Divide each row by its sum; a row of zeros stays zero."""
    total = coefficients.sum(axis=-1, keepdims=True)
    proportions = np.zeros_like(coefficients, dtype=float)
    np.divide(coefficients, total, out=proportions, where=total > 0)
    return proportions
