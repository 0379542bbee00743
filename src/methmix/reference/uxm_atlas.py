"""Source ``uxm_atlas``: a published table of tissue means, around which donors are drawn."""

from pathlib import Path

import numpy as np
import pandas as pd

from methmix.config.experiment import UxmAtlasReference
from methmix.errors import InputError
from methmix.formats.text import UNREADABLE
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
        Tissue names; DataFrame chrom, start, end; methylation (1 - unmethylated share), shape
        [n_tissues, n_regions], 0-1, NaN where the atlas has NA.

    Raises
    ------
    InputError
        A column is missing or doubled, a tissue has no value at all, a value is not in 0-1, a region is there
        twice with different values; the message names row and column.
    """
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, header=None)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except UNREADABLE as error:
        raise InputError(f"{path}: is not a readable table ({error})") from None
    header, table = table.iloc[0].astype(str).tolist(), table.iloc[1:].reset_index(drop=True)
    tissues = _tissues(path, header)
    if table.empty:
        raise InputError(f"{path}: has a header but no regions")
    table.columns = pd.Index(header)
    # Rows with the same region and the same values are one marker of several tissues.
    table = table[~table.duplicated([*_COORDINATES, "direction", *tissues])]
    doubled = table.duplicated(_COORDINATES)
    if doubled.any():
        line = _line(doubled)
        raise InputError(f"{path}: line {line}: this region is there twice, with different values", "keep one row")
    direction = table["direction"]
    if not direction.isin(["U", "M"]).all():
        line = _line(~direction.isin(["U", "M"]))
        raise InputError(f"{path}: line {line}, column direction: expected U or M, found {direction[line - 2]!r}")
    regions = pd.DataFrame(
        {
            "chrom": table["chr"].astype(str),
            "start": _whole_numbers(path, table["start"]),
            "end": _whole_numbers(path, table["end"]),
        }
    )
    values = np.stack([_fractions(path, table[tissue]) for tissue in tissues])
    methylation = np.where(direction.to_numpy() == "U", 1 - values, values)
    return tissues, regions.reset_index(drop=True), methylation


def _tissues(path: Path, header: list[str]) -> list[str]:
    missing = [name for name in _LEADING if name not in header]
    if missing:
        raise InputError(f"{path}: column {missing[0]} is missing", f"expected {' '.join(_LEADING)} <tissue> ...")
    tissues = [name for name in header if name not in _LEADING]
    doubled = sorted({name for name in header if header.count(name) > 1})
    if doubled:
        raise InputError(f"{path}: column {doubled[0]} is there twice", "give each tissue its own name")
    if len(tissues) < 2:
        raise InputError(f"{path}: expected at least two tissue columns, found {len(tissues)}")
    return tissues


def _whole_numbers(path: Path, column: pd.Series) -> np.ndarray:
    numbers = pd.to_numeric(column, errors="coerce")
    bad = ~(numbers >= 0) | (numbers % 1 != 0)
    if bad.any():
        line = _line(bad)
        raise InputError(
            f"{path}: line {line}, column {column.name}: expected a whole number >= 0, found {column[line - 2]!r}"
        )
    whole: np.ndarray = numbers.to_numpy(dtype=np.int64)
    return whole


def _fractions(path: Path, column: pd.Series) -> np.ndarray:
    numbers = pd.to_numeric(column, errors="coerce")
    # What pandas already read as missing (NA, nan, nothing) is unknown; other text is an error.
    bad = (column.notna() & numbers.isna()) | (numbers < 0) | (numbers > 1)
    if bad.any():
        line = _line(bad)
        raise InputError(
            f"{path}: line {line}, column {column.name}: expected a fraction 0-1 or NA, found {column[line - 2]!r}"
        )
    if numbers.isna().all():
        raise InputError(
            f"{path}: tissue {column.name} has no value in any region",
            "remove the column: nothing can be told about this tissue",
        )
    fractions: np.ndarray = numbers.to_numpy(dtype=float)
    return fractions


def _line(marked: pd.Series) -> int:
    """Line of the file in which the first marked row stands; rows keep their number as index."""
    return int(marked.index[int(marked.to_numpy().argmax())]) + 2


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
