"""Regions in CpG indices, which files of wgbstools need."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.errors import InputError
from methmix.formats.regions import RegionSet
from methmix.formats.tables import MISSING
from methmix.formats.text import UNREADABLE, unreadable


def cpg_indices(regions: RegionSet, regions_file: Path | None) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Give first and last (exclusive) CpG of each region, from the regions themselves or from a file.

    Parameters
    ----------
    regions
        The regions.
    regions_file
        TSV with columns chrom, start, end, start_cpg, end_cpg (others may follow), with or without header; NA for
        a region without CpGs. It is matched by coordinates.

    Returns
    -------
    start_cpg, end_cpg
        int64 [n_regions]; both 1, which is no CpG, for a region that the file does not have.

    Raises
    ------
    InputError
        There are no CpG indices, or the file cannot be read or has none of the regions.
    """
    if regions.start_cpg is not None and regions.end_cpg is not None:
        return regions.start_cpg, regions.end_cpg
    if regions_file is None:
        raise InputError(
            "files of wgbstools count in CpG indices, and the model's regions have none",
            "give a regions file with columns chrom, start, end, start_cpg, end_cpg (wgbstools convert makes them)",
        )
    table = _read(regions_file)
    region = regions.find(table["chrom"], table["start"], table["end"])
    if not (region >= 0).any():
        raise InputError(
            f"{regions_file}: has none of the model's {len(regions)} regions; it has for example "
            f"{table['chrom'].iloc[0]}:{table['start'].iloc[0]}-{table['end'].iloc[0]}, the model {regions.name(0)}",
            f"is it of another genome build than {regions.genome}?",
        )
    start_cpg, end_cpg = np.ones((2, len(regions)), dtype=np.int64)
    start_cpg[region[region >= 0]] = table["start_cpg"][region >= 0]
    end_cpg[region[region >= 0]] = table["end_cpg"][region >= 0]
    return start_cpg, end_cpg


def _read(path: Path) -> pd.DataFrame:
    names = ["chrom", "start", "end", "start_cpg", "end_cpg"]
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, header=None, keep_default_na=False, comment="#")
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except UNREADABLE as error:
        raise unreadable(path, error) from None
    if table.shape[1] < len(names):
        raise InputError(f"{path}: has {table.shape[1]} columns; expected {', '.join(names)}")
    table = table.iloc[:, : len(names)].set_axis(names, axis=1)
    if not table["start"].iloc[0].isdecimal():
        table = table.iloc[1:]
    table = table[~table["start_cpg"].isin(MISSING)]
    for name in names[1:]:
        bad = ~table[name].str.fullmatch(r"\d{1,18}")
        if bad.any():
            row = int(np.argmax(bad))
            raise InputError(
                f"{path}: line {table.index[row] + 1}, column {name}: expected a whole number, "
                f"found {table[name].iloc[row]!r}"
            )
        table[name] = table[name].astype(np.int64)
    bad = (table["start_cpg"] < 1) | (table["end_cpg"] < table["start_cpg"])
    if bad.any():
        raise InputError(
            f"{path}: line {table.index[int(np.argmax(bad))] + 1}: expected 1 <= start_cpg <= end_cpg",
            "CpG indices count from 1, and end_cpg is the first CpG behind the region",
        )
    if table.empty:
        raise InputError(f"{path}: has no region")
    return table
