"""Source ``uxm_atlas``: a published table of tissue means, around which donors are drawn."""

from pathlib import Path

import numpy as np
import pandas as pd

from methmix.config.sources import UxmAtlasReference
from methmix.errors import InputError
from methmix.reference.tables import fractions, line_of, read_table, whole_numbers
from methmix.reference.variation import DonorVariation

_LEADING = ["chr", "start", "end", "startCpG", "endCpG", "target", "name", "direction"]
_COORDINATES = ["chr", "start", "end"]


def read_uxm_atlas(path: Path) -> tuple[list[str], pd.DataFrame, np.ndarray]:
    """Read a UXM atlas.

    Its values are shares of unmethylated fragments (rows of direction U) or of methylated ones (M). A region
    that is the marker of two tissues stands there twice with the same values; it is taken once.

    Returns
    -------
    tissues, regions, methylation
        Tissue names; DataFrame chrom, start, end, start_cpg, end_cpg; methylation (1 - unmethylated share), shape
        [n_tissues, n_regions], 0-1, NaN where the atlas has NA.

    Raises
    ------
    InputError
        A column is missing or doubled, a tissue has no value at all, a value is not in 0-1, a region is there
        twice with different values; the message names row and column.
    """
    table = read_table(path, _LEADING, "<tissue>")
    tissues = [name for name in table.columns if name not in _LEADING]
    if len(tissues) < 2:
        raise InputError(f"{path}: expected at least two tissue columns, found {len(tissues)}")
    # Rows with the same region and the same values are one marker of several tissues.
    table = table[~table.duplicated([*_COORDINATES, "direction", *tissues])]
    doubled = table.duplicated(_COORDINATES)
    if doubled.any():
        line = line_of(doubled)
        raise InputError(f"{path}: line {line}: this region is there twice, with different values", "keep one row")
    direction = table["direction"]
    if not direction.isin(["U", "M"]).all():
        line = line_of(~direction.isin(["U", "M"]))
        raise InputError(f"{path}: line {line}, column direction: expected U or M, found {direction[line]!r}")
    columns = {"start": "start", "end": "end", "start_cpg": "startCpG", "end_cpg": "endCpG"}
    numbers = {name: whole_numbers(path, table[column]) for name, column in columns.items()}
    regions = pd.DataFrame({"chrom": table["chr"].tolist(), **numbers})
    values = np.stack([fractions(path, table[tissue]) for tissue in tissues])
    unknown = np.isnan(values).all(axis=1)
    if unknown.any():
        raise InputError(
            f"{path}: tissue {tissues[int(np.argmax(unknown))]} has no value in any region",
            "remove the column: nothing can be told about this tissue",
        )
    methylation = np.where(direction.to_numpy() == "U", 1 - values, values)
    return tissues, regions, methylation


def draw_donors(
    tissues: list[str], means: np.ndarray, settings: UxmAtlasReference, rng: np.random.Generator
) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
    """Draw donors around the means of an atlas.

    Returns
    -------
    donors, tissues, methylated, depth
        Counts at the stated pseudo-depth, int32 [n_donors, n_regions]; depth 0 where the atlas has NA.
    """
    variation = DonorVariation.shipped(settings.donor_variation)
    donors, of_donor, methylated, depths = [], [], [], []
    for row, tissue in enumerate(tissues):
        others = [i for i in range(len(tissues)) if i != row]
        for number in range(1, settings.donors_per_tissue + 1):
            drawn = variation.draw(means, row, others, rng)
            known = ~np.isnan(drawn)
            depth = np.where(known, settings.pseudo_depth, 0).astype(np.int32)
            donors.append(f"{tissue}-{number}")
            of_donor.append(tissue)
            methylated.append(rng.binomial(depth, np.nan_to_num(drawn)).astype(np.int32))
            depths.append(depth)
    return donors, of_donor, np.stack(methylated), np.stack(depths)
