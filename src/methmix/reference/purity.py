"""Leave-one-out purity: how much each donor looks like its own tissue, and like others."""

import numpy as np
import numpy.typing as npt

from methmix import cli
from methmix.files.reference import Reference, mean_of_observed
from methmix.nnls import normalise, solve_normal_equations

Array = npt.NDArray[np.float64]


def rows_by_tissue(reference: Reference, tissues: list[str]) -> dict[str, list[int]]:
    """List the rows of the donors of each tissue, in the order of ``tissues``."""
    return {name: [row for row, tissue in enumerate(reference.tissues) if tissue == name] for name in tissues}


def leave_one_out_proportions(reference: Reference, tissues: list[str] | None = None) -> Array:
    """Deconvolve each donor by NNLS with its own tissue's profile made of the other donors only.

    ``tissues`` are those to look at and to explain donors with, in this order; all by default.

    Returns
    -------
    ndarray
        Shape [number of donors of these tissues, n_tissues], rows in the reference's order and summing to 1;
        NaN for the only donor of a tissue, and for one without a read in the regions that all tissues know.
    """
    tissues = reference.tissue_names if tissues is None else tissues
    rows_of, fractions = rows_by_tissue(reference, tissues), reference.fractions
    means = np.stack([mean_of_observed(fractions[rows]) for rows in rows_of.values()])
    found = []
    donors = enumerate(cli.progress(reference.tissues, "leave-one-out purity, donors", len(reference.tissues)))
    for row, tissue in donors:
        if tissue not in rows_of:
            continue
        profiles = means.copy()
        profiles[tissues.index(tissue)] = mean_of_observed(fractions[[i for i in rows_of[tissue] if i != row]])
        known = (reference.depth[row] > 0) & ~np.isnan(profiles).any(axis=0)
        profiles, depth = profiles[:, known], reference.depth[row, known]
        # One donor at a time, each with its own profiles: the product is cheaper here than `weighted_nnls`.
        weighted = profiles * depth
        solved = solve_normal_equations(weighted @ profiles.T, weighted @ fractions[row][known].astype(float))
        found.append(normalise(solved) if solved.any() else np.full(len(tissues), np.nan))
    return np.stack(found)


def leave_one_out_purity(reference: Reference, tissues: list[str] | None = None) -> Array:
    """Return the proportion of its own tissue in each donor, 0-1; as `leave_one_out_proportions`."""
    tissues = reference.tissue_names if tissues is None else tissues
    own = [tissues.index(name) for name in reference.tissues if name in tissues]
    return leave_one_out_proportions(reference, tissues)[np.arange(len(own)), own]
