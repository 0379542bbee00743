"""Source ``uxm_atlas``: a published table of tissue means, around which donors are drawn."""

from pathlib import Path

import numpy as np
import pandas as pd

from methmix.config.experiment import UxmAtlasReference
from methmix.errors import InputError
from methmix.reference.variation import DonorVariation

_LEADING = ["chr", "start", "end", "startCpG", "endCpG", "target", "name", "direction"]


def read_uxm_atlas(path: Path) -> tuple[list[str], pd.DataFrame, np.ndarray]:
    """Read a UXM atlas.

    Returns
    -------
    tissues, regions, methylation
        Tissue names; DataFrame chrom, start, end; methylation (1 - unmethylated fraction), shape
        [n_tissues, n_regions], 0-1, NaN where the atlas has NA.

    Raises
    ------
    InputError
        A column is missing, a tissue has no value at all, a value is not in 0-1, a region is there twice.
    """
    try:
        table = pd.read_csv(path, sep="\t")
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError, EOFError, OSError) as error:
        raise InputError(f"{path}: is not a readable table ({error})") from None
    missing = [name for name in _LEADING if name not in table.columns]
    if missing:
        raise InputError(f"{path}: column {missing[0]} is missing", f"expected {' '.join(_LEADING)} <tissue> ...")
    tissues = [str(name) for name in table.columns[len(_LEADING) :]]
    if len(tissues) < 2:
        raise InputError(f"{path}: expected at least two tissue columns, found {len(tissues)}")
    values = np.empty((len(tissues), len(table)))
    for row, tissue in enumerate(tissues):
        column = pd.to_numeric(table[tissue], errors="coerce")
        text = column.isna() & table[tissue].notna()
        if text.any():
            line = int(np.argmax(text)) + 2
            raise InputError(f"{path}: line {line}, column {tissue}: {table[tissue].iloc[line - 2]!r} is no number")
        values[row] = column
    empty = np.isnan(values).all(axis=1)
    if empty.any():
        raise InputError(
            f"{path}: tissue {tissues[int(np.argmax(empty))]} has no value in any region",
            "remove the column: nothing can be told about this tissue",
        )
    if ((values < 0) | (values > 1)).any():
        tissue_row, line = np.argwhere((values < 0) | (values > 1))[0]
        raise InputError(
            f"{path}: line {line + 2}, column {tissues[tissue_row]}: expected a fraction 0-1, "
            f"found {values[tissue_row, line]}"
        )
    regions = table[["chr", "start", "end"]].rename(columns={"chr": "chrom"})
    if regions.duplicated().any():
        raise InputError(f"{path}: line {int(np.argmax(regions.duplicated())) + 2}: this region is there twice")
    return tissues, regions, 1 - values


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
