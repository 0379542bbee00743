"""Source ``beta_table``: methylation of each donor as fractions; how many reads are behind them is not known."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.config.sources import BetaTableReference
from methmix.errors import InputError
from methmix.reference.samples import Donors, assign
from methmix.reference.tables import check_regions, fractions, table_blocks, whole_numbers

_LEADING = ["chr", "start", "end", "startCpG", "endCpG"]


def read_beta_table(path: Path) -> tuple[list[str], pd.DataFrame, npt.NDArray[np.float64]]:
    """Read a beta table.

    Parameters
    ----------
    path
        TSV with columns ``chr start end startCpG endCpG <sample> ...``, plain or gzip.

    Returns
    -------
    names, regions, fractions
        Sample names; DataFrame chrom, start, end, start_cpg, end_cpg; methylation, shape [n_samples, n_regions],
        0-1, NaN where the table has NA.

    Raises
    ------
    InputError
        A column is missing or doubled, a value is not in 0-1, a region is empty or there twice; the message names
        line and column.
    """
    header, blocks = table_blocks(path, _LEADING, "<sample>")
    names = [name for name in header if name not in _LEADING]
    if not names:
        raise InputError(f"{path}: has no sample; expected {' '.join(_LEADING)} <sample> ...")
    regions, values = [], []
    for block in blocks:
        numbers = {name: whole_numbers(path, block[name]) for name in _LEADING[1:]}
        regions.append(pd.DataFrame({"chr": block["chr"], **numbers}))
        values.append(np.stack([fractions(path, block[name]) for name in names]))
    found = pd.concat(regions).set_axis(["chrom", "start", "end", "start_cpg", "end_cpg"], axis=1)
    check_regions(path, found)
    return names, found.reset_index(drop=True), np.concatenate(values, axis=1)


def read_betas(settings: BetaTableReference, path: Path, sample_sheet: Path | None) -> Donors:
    """Read the donors of a beta table, with counts at the stated pseudo-depth.

    Raises
    ------
    InputError
        As for `read_beta_table`; a tissue cannot be told; table and sheet do not match.
    """
    names, regions, values = read_beta_table(path)
    used = assign(path, names, sample_sheet)
    values = values[used.rows]
    depth = np.where(np.isnan(values), 0, settings.pseudo_depth).astype(np.int32)
    methylated = np.rint(np.nan_to_num(values) * settings.pseudo_depth).astype(np.int32)
    return Donors(used.names, used.tissues, used.splits, regions, methylated, depth)
