"""Source ``counts``: methylated and total counts of each donor in a table."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.config.sources import CountsReference
from methmix.errors import InputError
from methmix.formats.tables import counts_names
from methmix.reference.samples import Donors, assign
from methmix.reference.tables import line_of, read_table, whole_numbers

Counts = npt.NDArray[np.int32]

_COORDINATES = ["CHROM", "START", "END"]


def read_counts_table(path: Path, duplicate_regions: str = "error") -> tuple[list[str], pd.DataFrame, Counts, Counts]:
    """Read a counts table.

    Parameters
    ----------
    path
        TSV with columns ``CHROM START END <name>_METH <name>_DEPTH ...``, plain or gzip.
    duplicate_regions
        ``error``, or ``deepest``: of several rows of one region keep the one with most reads.

    Returns
    -------
    names, regions, methylated, depth
        Sample names; DataFrame chrom, start, end; counts, int32 [n_samples, n_regions].

    Raises
    ------
    InputError
        A column is missing or doubled, a count is not a whole number, negative or larger than its depth, a
        region is there twice; the message names row and column.
    """
    table = read_table(path, _COORDINATES, "<donor>_METH <donor>_DEPTH")
    names = counts_names(path, table.columns.tolist())
    start, end = (whole_numbers(path, table[name]) for name in ("START", "END"))
    regions = pd.DataFrame({"chrom": table["CHROM"], "start": start, "end": end})
    empty = regions["end"] <= regions["start"]
    if empty.any():
        raise InputError(f"{path}: line {line_of(empty)}: END must be larger than START")
    methylated, depth = (
        np.stack([_counts(path, table[f"{name}_{ending}"]) for name in names]) for ending in ("METH", "DEPTH")
    )
    if (methylated > depth).any():
        donor, row = np.argwhere(methylated > depth)[0]
        raise InputError(
            f"{path}: line {regions.index[row]}, {names[donor]}: {methylated[donor, row]} methylated "
            f"of {depth[donor, row]} reads; expected METH <= DEPTH",
            "are the two columns swapped?",
        )
    keep = _unique_regions(path, regions, depth, duplicate_regions)
    return names, regions.iloc[keep].reset_index(drop=True), methylated[:, keep], depth[:, keep]


def read_counts(settings: CountsReference, path: Path, sample_sheet: Path | None) -> Donors:
    """Read the donors of a counts source.

    Raises
    ------
    InputError
        As for `read_counts_table`; a tissue cannot be told; table and sheet do not match.
    """
    names, regions, methylated, depth = read_counts_table(path, settings.duplicate_regions)
    used = assign(path, names, sample_sheet)
    return Donors(used.names, used.tissues, used.splits, regions, methylated[used.rows], depth[used.rows])


def _counts(path: Path, column: pd.Series) -> Counts:
    return whole_numbers(path, column, "a region without reads has METH 0 and DEPTH 0").astype(np.int32)


def _unique_regions(path: Path, regions: pd.DataFrame, depth: np.ndarray, policy: str) -> np.ndarray:
    duplicated = regions.duplicated(keep=False).to_numpy()
    if duplicated.any() and policy == "error":
        line = line_of(regions.duplicated())
        region = regions.loc[line]
        raise InputError(
            f"{path}: line {line}: region {region['chrom']}:{region['start']}-{region['end']} is there twice",
            "set reference.duplicate_regions to deepest to keep the row with most reads",
        )
    ranked = regions.reset_index(drop=True).assign(reads=depth.sum(axis=0, dtype=np.int64))
    ranked = ranked.sort_values("reads", ascending=False, kind="stable")
    keep: np.ndarray = np.sort(ranked.drop_duplicates(["chrom", "start", "end"]).index.to_numpy())
    return keep
