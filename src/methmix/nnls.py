"""Weighted non-negative least squares, for many mixtures at once.

Minimises ``sum_r w_r (y_r - sum_t x_t A_tr)^2`` over ``x >= 0`` for each mixture. The problem is reduced to its
normal equations, so that its cost after one matrix product does not depend on the number of regions; each small
problem is then solved by the active-set method of Lawson and Hanson (1974) as implemented in scipy.
"""

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls as scipy_nnls

Array = npt.NDArray[np.floating]

# Relative ridge that keeps the Cholesky factor defined when two tissues have the same profile.
_RIDGE = 1e-10
# Mixtures are taken in blocks, so that memory does not grow with their number.
_BLOCK = 250


def weighted_nnls(profiles: Array, values: Array, weights: npt.NDArray[np.number]) -> npt.NDArray[np.float64]:
    """Solve for the coefficients of all mixtures with one common set of profiles.

    Parameters
    ----------
    profiles
        Methylation of each tissue, shape [n_tissues, n_regions], fractions 0-1, no NaN.
    values
        Methylation of each mixture, shape [n_mixtures, n_regions]; ignored (may be NaN) where the weight is 0.
    weights
        Weight of each value, shape [n_mixtures, n_regions], >= 0; the depth, for binomial counts.

    Returns
    -------
    ndarray
        Coefficients >= 0, shape [n_mixtures, n_tissues]; they sum to about 1 but are not normalised. A mixture
        without any weight has all coefficients 0.
    """
    n_tissues = profiles.shape[0]
    first, second = np.triu_indices(n_tissues)
    # Tissues are alike (all are near 0.9 in most regions), so the normal equations need double precision.
    profiles = np.ascontiguousarray(profiles, dtype=np.float64)
    products = profiles[first] * profiles[second]
    solved = np.zeros((len(values), n_tissues))
    for start in range(0, len(values), _BLOCK):
        block = slice(start, start + _BLOCK)
        weight = np.asarray(weights[block], dtype=np.float64)
        weighted = np.where(weight > 0, np.nan_to_num(values[block]), 0) * weight
        gram_entries = weight @ products.T
        right_sides = weighted @ profiles.T
        gram = np.zeros((n_tissues, n_tissues))
        for row, (entries, right_side) in enumerate(zip(gram_entries, right_sides, strict=True)):
            gram[first, second] = entries
            gram[second, first] = entries
            solved[start + row] = solve_normal_equations(gram, right_side)
    return solved


def solve_normal_equations(gram: Array, right_side: Array) -> npt.NDArray[np.float64]:
    """Minimise ``x' G x / 2 - b' x`` over ``x >= 0``.

    Parameters
    ----------
    gram
        G = A W A', shape [n_tissues, n_tissues], symmetric positive semi-definite.
    right_side
        b = A W y, shape [n_tissues].
    """
    scale = np.trace(gram) / len(gram)
    if scale <= 0:
        return np.zeros(len(gram))
    upper = cholesky(gram / scale + _RIDGE * np.eye(len(gram)), check_finite=False)
    target = solve_triangular(upper, right_side / scale, trans="T", check_finite=False)
    solution: npt.NDArray[np.float64] = scipy_nnls(upper, target, maxiter=50 * len(gram))[0]
    return solution


def normalise(coefficients: Array) -> npt.NDArray[np.float64]:
    """Divide each row by its sum; a row of zeros stays zero."""
    total = coefficients.sum(axis=-1, keepdims=True)
    shares: npt.NDArray[np.float64] = np.divide(
        coefficients, total, out=np.zeros_like(coefficients, dtype=float), where=total > 0
    )
    return shares
