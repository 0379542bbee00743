"""Text tables: read as text, so that what is wrong can be told with line and column."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.errors import InputError
from methmix.formats.text import UNREADABLE, open_text

# Rows that are text at a time; numbers take a tenth of the memory.
_ROWS = 2000
_UNKNOWN = ("NA", "NaN", "nan", "")
_BED_COLUMNS = ["chrom", "start", "end", "start_cpg", "end_cpg"]


def table_blocks(path: Path, leading: Sequence[str], others: str) -> tuple[list[str], Iterator[pd.DataFrame]]:
    """Read a TSV, plain or gzip, block by block.

    Parameters
    ----------
    path
        The file; its first line is the header.
    leading
        Columns that must be there.
    others
        What further columns are called in the hint.

    Returns
    -------
    header, blocks
        Column names; DataFrames of text, whose index is the line of the file.

    Raises
    ------
    InputError
        The file cannot be read, has no rows, or a column is missing or there twice; also while reading blocks.
    """
    blocks = _text_blocks(path)
    first = next(blocks)
    header = first.iloc[0].tolist()
    missing = [name for name in leading if name not in header]
    if missing:
        raise InputError(
            f"{path}: column {missing[0]} is missing; found {', '.join(header[:4])} ...",
            f"expected {' '.join(leading)} {others} ...",
        )
    doubled = sorted({name for name in header if header.count(name) > 1})
    if doubled:
        raise InputError(f"{path}: column {doubled[0]} is there twice", "give each its own name")
    if len(first) == 1:
        raise InputError(f"{path}: has a header but no regions")

    def named() -> Iterator[pd.DataFrame]:
        yield first.iloc[1:].set_axis(header, axis=1)
        for block in blocks:
            yield block.set_axis(header, axis=1)

    return header, named()


def read_table(path: Path, leading: Sequence[str], others: str) -> pd.DataFrame:
    """Read a whole TSV as text; parameters and errors as `table_blocks`."""
    return pd.concat(table_blocks(path, leading, others)[1])


def _text_blocks(path: Path) -> Iterator[pd.DataFrame]:
    try:
        with pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, header=None, chunksize=_ROWS) as reader:
            for block in reader:
                block.index += 1
                yield block
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except UNREADABLE as error:
        raise InputError(f"{path}: is not a readable table ({error})") from None


def line_of(marked: pd.Series) -> int:
    """Give the line of the first marked row."""
    return int(marked.index[int(marked.to_numpy().argmax())])


def whole_numbers(path: Path, column: pd.Series, hint: str = "") -> npt.NDArray[np.int64]:
    """Turn text into whole numbers from 0 to 2^31 - 1.

    Raises
    ------
    InputError
        A value is none; the message names line and column.
    """
    numbers = pd.to_numeric(column, errors="coerce")
    bad = ~((numbers >= 0) & (numbers % 1 == 0) & (numbers < 2**31))
    if bad.any():
        line = line_of(bad)
        raise InputError(
            f"{path}: line {line}, column {column.name}: expected a whole number >= 0, found {column[line]!r}", hint
        )
    whole: npt.NDArray[np.int64] = numbers.to_numpy(dtype=np.int64)
    return whole


def fractions(path: Path, column: pd.Series) -> npt.NDArray[np.float64]:
    """Turn text into fractions, NaN for NA.

    Raises
    ------
    InputError
        A value is neither in 0-1 nor NA; the message names line and column.
    """
    numbers = pd.to_numeric(column, errors="coerce")
    bad = ~(((numbers >= 0) & (numbers <= 1)) | column.isin(_UNKNOWN))
    if bad.any():
        line = line_of(bad)
        raise InputError(
            f"{path}: line {line}, column {column.name}: expected a fraction 0-1 or NA, found {column[line]!r}"
        )
    values: npt.NDArray[np.float64] = numbers.to_numpy(dtype=np.float64)
    return values


def check_regions(path: Path, regions: pd.DataFrame) -> None:
    """Check regions that are to be used as they are; the index is the line of the file.

    Raises
    ------
    InputError
        A region is empty, or there twice.
    """
    for start, end in (("start", "end"), ("start_cpg", "end_cpg")):
        empty = regions[end] <= regions[start] if start in regions else pd.Series(dtype=bool)
        if empty.any():
            raise InputError(f"{path}: line {line_of(empty)}: {end} must be larger than {start}")
    doubled = regions.duplicated(["chrom", "start", "end"])
    if doubled.any():
        line = line_of(doubled)
        name = f"{regions['chrom'][line]}:{regions['start'][line]}-{regions['end'][line]}"
        raise InputError(f"{path}: line {line}: region {name} is there twice", "keep one row")


def read_bed(path: Path, cpg_indices: bool) -> pd.DataFrame:
    """Read the regions of a BED file, plain or gzip, without a header; lines that begin with # are left out.

    Parameters
    ----------
    path
        The file; further columns are ignored.
    cpg_indices
        Whether start and end are followed by those of wgbstools: numbers of the first CpG and of that after the last.

    Returns
    -------
    DataFrame
        Columns chrom, start, end and, with ``cpg_indices``, start_cpg, end_cpg.

    Raises
    ------
    InputError
        The file cannot be read or has no region, a column is missing, a number is none, a region is empty or there
        twice; the message names the line.
    """
    columns = _BED_COLUMNS if cpg_indices else _BED_COLUMNS[:3]
    try:
        with open_text(path) as file:
            rows = {n: line.split() for n, line in enumerate(file, 1) if line.strip() and not line.startswith("#")}
    except UNREADABLE as error:
        raise InputError(f"{path}: is not a readable BED file ({error})") from None
    for line, fields in rows.items():
        if len(fields) < len(columns):
            raise InputError(f"{path}: line {line}: expected {' '.join(columns)}, found {' '.join(fields)!r}")
    if not rows:
        raise InputError(f"{path}: has no regions")
    text = pd.DataFrame([fields[: len(columns)] for fields in rows.values()], columns=columns, index=list(rows))
    numbers = {name: whole_numbers(path, text[name]) for name in columns[1:]}
    regions = pd.DataFrame({"chrom": text["chrom"], **numbers})
    check_regions(path, regions)
    return regions.reset_index(drop=True)
