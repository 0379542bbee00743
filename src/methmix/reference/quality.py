"""Quality of a reference: what a user should know before trusting results obtained with it."""

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from methmix.files.reference import SPLITS, Reference, mean_of_observed
from methmix.reference.purity import leave_one_out_proportions, rows_by_tissue

Array = npt.NDArray[np.float64]

# A donor of lower purity does not look like its tissue; some published replicates do not.
LOW_PURITY = 0.7
# Fewer donors than this cannot be in all three splits.
ENOUGH_DONORS = 3
# Number of donors of a tissue -> what that means for each.
_FEW_DONORS = {
    1: "only donor of its tissue: in every split",
    2: "one of two donors: validation takes the training donor",
}
# Larger differences in methylation exceed the sampling error of reads and most variation between donors.
CLEAR_DIFFERENCE = 0.2
# Sources whose donors are not samples of real people, and how they are made.
INVENTED_DONORS = {"simulated": "simulated", "uxm_atlas": "drawn around the atlas mean"}


@dataclass(frozen=True)
class Quality:
    """Findings on a reference.

    Parameters
    ----------
    notes
        What was noted when it was built.
    donors
        One row per donor: donor, tissue, split, origin, median_depth, missing, purity (leave-one-out), looks_like (the
        other tissue with the largest proportion), looks_like_share (that proportion), flags.
    tissues
        One row per tissue: tissue, donors, one column per split, flags.
    difference
        As `tissue_difference`, tissues in alphabetical order.
    order
        Tissues with similar ones side by side, positions in that order.
    methylation
        Proportion of observed entries (donor and region) in each of 50 equal bins of methylation.
    """

    notes: list[str]
    donors: pd.DataFrame
    tissues: pd.DataFrame
    difference: Array
    order: list[int]
    methylation: Array

    @property
    def low_purity(self) -> pd.DataFrame:
        """Donors of leave-one-out purity below `LOW_PURITY`, lowest first."""
        return self.donors[self.donors["purity"] < LOW_PURITY].sort_values("purity")

    @property
    def few_donors(self) -> pd.DataFrame:
        """Tissues with fewer than `ENOUGH_DONORS` donors."""
        return self.tissues[self.tissues["donors"] < ENOUGH_DONORS]

    def most_similar(self, n: int) -> pd.DataFrame:
        """List the ``n`` pairs of tissues that differ in the fewest regions."""
        names = self.tissues["tissue"].tolist()
        first, second = np.triu_indices(len(names), k=1)
        nearest = np.argsort(self.difference[first, second], kind="stable")[:n]
        first, second = first[nearest], second[nearest]
        columns = {"first": np.take(names, first), "second": np.take(names, second)}
        return pd.DataFrame({**columns, "difference": self.difference[first, second]})


def assess(reference: Reference) -> Quality:
    """Assess every donor and tissue of a reference."""
    difference = tissue_difference(reference)
    counts = np.sum([_histogram(reference.fractions[row]) for row in range(len(reference.donors))], axis=0)
    return Quality(
        notes=json.loads(reference.attributes.get("notes", "[]")),
        donors=_donors(reference),
        tissues=_tissues(reference),
        difference=difference,
        order=_similar_beside_each_other(difference),
        methylation=counts / counts.sum(),
    )


def _histogram(fractions: npt.NDArray[np.floating]) -> npt.NDArray[np.integer]:
    return np.histogram(fractions[~np.isnan(fractions)], bins=50, range=(0, 1))[0]


def tissue_difference(reference: Reference) -> Array:
    """Compute the proportion of regions in which the means of two tissues differ by more than `CLEAR_DIFFERENCE`.

    A tissue is the mean of all its donors, whatever their split. Regions that one of the two does not know
    are left out; tissues without a region in common count as wholly different.

    Returns
    -------
    ndarray
        Shape [n_tissues, n_tissues], 0-1, symmetric with a diagonal of 0.
    """
    rows_of = rows_by_tissue(reference, reference.tissue_names).values()
    profiles = np.stack([mean_of_observed(reference.fractions[rows]) for rows in rows_of])
    difference = np.zeros((len(profiles), len(profiles)))
    for row, profile in enumerate(profiles):
        distance = np.abs(profiles - profile)
        known = (~np.isnan(distance)).sum(axis=1)
        clear = (distance > CLEAR_DIFFERENCE).sum(axis=1)
        difference[row] = np.where(known > 0, clear / np.maximum(known, 1), 1)
    np.fill_diagonal(difference, 0)
    return difference


def _similar_beside_each_other(difference: Array) -> list[int]:
    if len(difference) < 3:
        return list(range(len(difference)))
    tree = linkage(squareform(difference, checks=False), method="average", optimal_ordering=True)
    return [int(leaf) for leaf in leaves_list(tree)]


def _donors(reference: Reference) -> pd.DataFrame:
    proportions = leave_one_out_proportions(reference)
    names = np.array(reference.tissue_names)
    own = np.array([reference.tissue_names.index(tissue) for tissue in reference.tissues])
    rows = np.arange(len(own))
    others = proportions.copy()
    others[rows, own] = -1
    other = np.nan_to_num(others, nan=-1).argmax(axis=1)
    proportion = others[rows, other]
    table = pd.DataFrame(
        {
            "donor": reference.donors,
            "tissue": reference.tissues,
            "split": reference.split,
            "origin": INVENTED_DONORS.get(str(reference.attributes.get("source")), "sample"),
            "median_depth": np.median(reference.depth, axis=1),
            "missing": (reference.depth == 0).mean(axis=1),
            "purity": proportions[rows, own],
            "looks_like": np.where(proportion > 0, names[other], ""),
            "looks_like_share": np.where(proportion > 0, proportion, 0.0),
        }
    )
    n_of_tissue = table.groupby("tissue")["donor"].transform("size")
    impure = f"purity below {100 * LOW_PURITY:.0f} %"
    flags = np.where(table["purity"] < LOW_PURITY, impure, ""), n_of_tissue.map(_FEW_DONORS).fillna("")
    table["flags"] = ["; ".join(filter(None, of_donor)) for of_donor in zip(*flags, strict=True)]
    return table


def _tissues(reference: Reference) -> pd.DataFrame:
    shared = {split: set(reference.shared_tissues(split)) for split in SPLITS}
    records = []
    for tissue in reference.tissue_names:
        splits = [s for s, t in zip(reference.split, reference.tissues, strict=True) if t == tissue]
        borrowed = [split for split in SPLITS if tissue in shared[split]]
        flags = f"{' and '.join(borrowed)} mixtures are made of training donors: optimistic" if borrowed else ""
        sizes: dict[str, int] = {split: splits.count(split) for split in SPLITS}
        records.append({"tissue": tissue, "donors": len(splits), **sizes, "flags": flags})
    return pd.DataFrame(records)
