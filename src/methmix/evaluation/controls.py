"""What the trained arms are compared with: classical deconvolution, trivial answers and a bound."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from methmix import metrics
from methmix.files import Mixtures, Reference
from methmix.files.reference import Split
from methmix.nnls import normalise, solve_normal_equations, weighted_nnls

Array = npt.NDArray[np.float64]


def nnls(reference: Reference, mixtures: Mixtures) -> Array:
    """Deconvolve by depth-weighted non-negative least squares on the training donors' tissue profiles.

    Returns
    -------
    ndarray
        Proportions, [n_mixtures, n_tissues].
    """
    profiles = reference.complete_profiles("train")
    return normalise(weighted_nnls(profiles, mixtures.methylation, mixtures.depth))


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
