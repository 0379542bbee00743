"""Tables of many samples: a row for each region, exactly as the model has it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.errors import InputError
from methmix.formats.regions import RegionSet
from methmix.formats.store import Store, StoredCounts
from methmix.formats.text import UNREADABLE, first_doubled, open_text, unreadable

COUNTS_COORDINATES = ("CHROM", "START", "END")
BETA_COORDINATES = ("chr", "start", "end")
BETA_CPGS = ("startCpG", "endCpG")
# What stands for a missing value; nothing at all is an error, since it is what a cut line has.
MISSING = ["NA", "NaN", "nan"]

_VALUES_PER_BLOCK = 8_000_000
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """What was read from a table.

    Parameters
    ----------
    names, counts
        The samples.
    n_rows
        How many rows each region of the model has in the file, [n_regions].
    example
        The first region of the file.
    renamed
        Whether chromosomes were found only after ``chr`` was left out of account.
    """

    names: list[str]
    counts: StoredCounts
    n_rows: npt.NDArray[np.int64]
    example: str
    renamed: bool


def counts_names(path: Path, header: list[str]) -> list[str]:
    """Tell the samples of a counts table from its header ``CHROM START END <name>_METH <name>_DEPTH ...``.

    Raises
    ------
    InputError
        A column is missing, doubled or has no partner.
    """
    expected = "expected CHROM START END <name>_METH <name>_DEPTH ..."
    others = _other_columns(path, header, COUNTS_COORDINATES, expected)
    names = [name.removesuffix("_METH") for name in others if name.endswith("_METH")]
    pairs = {f"{name}{ending}" for name in names for ending in ("_METH", "_DEPTH")}
    odd = sorted(pairs.symmetric_difference(others))
    if odd:
        raise InputError(f"{path}: column {odd[0]} has no partner; expected <name>_METH and <name>_DEPTH")
    if not names:
        raise InputError(f"{path}: has no sample; expected columns <name>_METH and <name>_DEPTH")
    return names


def read_counts_samples(path: Path, regions: RegionSet, store: Store) -> Table:
    """Read a counts table, in blocks of rows.

    NA in one of the two columns of a sample means that it has no reads there.

    Raises
    ------
    InputError
        The header is wrong, the file cannot be read to its end, a count is not a whole number, negative or
        larger than its depth (line and column are named).
    """
    header = read_header(path)
    names = counts_names(path, header)
    columns = [f"{name}{ending}" for ending in ("_METH", "_DEPTH") for name in names]

    def split(values: Values, line: int) -> tuple[Values, Values]:
        _refuse(path, ~(_whole(values) | np.isnan(values)), values, columns, line, "a whole number >= 0 or NA")
        methylated, depth = values[:, : len(names)], values[:, len(names) :]
        if (methylated > depth).any():
            row, sample = np.argwhere(methylated > depth)[0]
            raise InputError(
                f"{path}: line {line + row}, {names[sample]}: {methylated[row, sample]:.0f} methylated "
                f"of {depth[row, sample]:.0f} reads; expected METH <= DEPTH",
                "are the two columns swapped?",
            )
        missing = np.isnan(methylated) | np.isnan(depth)
        if missing.any():
            methylated, depth = np.where(missing, 0, methylated), np.where(missing, 0, depth)
        return methylated, depth

    return _read(path, regions, store, header, COUNTS_COORDINATES, names, columns, split)


def read_beta_samples(path: Path, regions: RegionSet, store: Store, pseudo_depth: int) -> Table:
    """Read a beta table ``chr start end startCpG endCpG <name> ...`` of fractions 0-1 or NA, in blocks of rows.

    Raises
    ------
    InputError
        The header is wrong, the file cannot be read to its end, a value is no fraction (line and column are
        named).
    """
    header = read_header(path)
    expected = "expected chr start end startCpG endCpG <name> ..."
    others = _other_columns(path, header, BETA_COORDINATES, expected)
    names = [name for name in others if name not in BETA_CPGS]
    if not names:
        raise InputError(f"{path}: has no sample", expected)

    def split(values: Values, line: int) -> tuple[Values, Values]:
        fraction = (values >= 0) & (values <= 1)
        _refuse(path, ~(fraction | np.isnan(values)), values, names, line, "a fraction 0-1 or NA")
        depth = np.where(np.isnan(values), 0.0, pseudo_depth)
        return np.nan_to_num(values) * depth, depth

    return _read(path, regions, store, header, BETA_COORDINATES, names, names, split)


def read_header(path: Path) -> list[str]:
    """Read the column names of a table.

    Raises
    ------
    InputError
        There is no such file, or it cannot be read.
    """
    try:
        with open_text(path) as lines:
            return lines.readline().rstrip("\r\n").split("\t")
    except UNREADABLE as error:
        raise unreadable(path, error) from None


def _other_columns(path: Path, header: list[str], coordinates: tuple[str, ...], expected: str) -> list[str]:
    missing = [name for name in coordinates if name not in header]
    if missing:
        raise InputError(f"{path}: column {missing[0]} is missing; found {', '.join(header[:4])} ...", expected)
    doubled = first_doubled(header)
    if doubled:
        raise InputError(f"{path}: column {doubled} is there twice", "give each sample its own name")
    return [name for name in header if name not in coordinates]


def _read(
    path: Path,
    regions: RegionSet,
    store: Store,
    header: list[str],
    coordinates: tuple[str, ...],
    names: list[str],
    columns: list[str],
    split: Callable[[Values, int], tuple[Values, Values]],
) -> Table:
    counts = StoredCounts(store, len(names), len(regions))
    n_rows = np.zeros(len(regions), dtype=np.int64)
    own_names = np.array(regions.chrom, dtype=object)
    example, renamed = "", False
    for line, block in _blocks(path, header, coordinates[0]):
        places = _numbers(path, block[list(coordinates[1:])], line, "a whole number >= 0")
        _refuse(path, ~_whole(places), places, list(coordinates[1:]), line, "a whole number >= 0")
        chrom, (start, end) = block[coordinates[0]].fillna("NA").tolist(), places.astype(np.int64).T.tolist()
        example = example or f"{chrom[0]}:{start[0]}-{end[0]}"
        region = regions.find(chrom, start, end)
        # All rows are checked, also those of regions that the model does not have.
        methylated, depth = split(_numbers(path, block[columns], line, "a number or NA"), line)
        found = region >= 0
        renamed = renamed or bool((own_names[region[found]] != np.array(chrom, dtype=object)[found]).any())
        n_rows += np.bincount(region[found], minlength=len(regions))
        counts.append(region[found], *(values[found].T.astype(np.float32) for values in (methylated, depth)))
    return Table(names, counts, n_rows, example, renamed)


def _blocks(path: Path, header: list[str], chrom: str) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield the line of the first row of each block, and the block."""
    line = 2
    try:
        with pd.read_csv(
            path,
            sep="\t",
            header=None,
            skiprows=1,
            dtype={header.index(chrom): str},
            keep_default_na=False,
            na_values=MISSING,
            low_memory=False,
            chunksize=max(_VALUES_PER_BLOCK // len(header), 1),
        ) as blocks:
            for block in blocks:
                if block.shape[1] != len(header):
                    raise InputError(f"{path}: line 2 has {block.shape[1]} columns, the header has {len(header)}")
                block.columns = pd.Index(header)
                yield line, block
                line += len(block)
    except pd.errors.EmptyDataError:
        raise InputError(f"{path}: has a header but no regions") from None
    except UNREADABLE as error:
        raise unreadable(path, error) from None


def _numbers(path: Path, block: pd.DataFrame, line: int, expected: str) -> Values:
    text = [name for name, kind in block.dtypes.items() if kind.kind not in "iuf"]
    if not text:
        return block.to_numpy(dtype=np.float64)
    bad = np.stack([_no_number(block[name]) for name in text], axis=1)
    row, column = np.argwhere(bad)[0]
    raise InputError(
        f"{path}: line {line + row}, column {text[column]}: expected {expected}, "
        f"found {str(block[text[column]].iloc[row])!r}",
        "a region without reads has METH 0 and DEPTH 0, or NA",
    )


def _no_number(column: pd.Series) -> npt.NDArray[np.bool_]:
    # As text, since pandas makes truth values of True and False, and these would be numbers.
    bad: npt.NDArray[np.bool_] = (pd.to_numeric(column.astype(str), errors="coerce").isna() & column.notna()).to_numpy()
    return bad


def _whole(values: Values) -> npt.NDArray[np.bool_]:
    whole: npt.NDArray[np.bool_] = (values >= 0) & (values == np.floor(values)) & (values < 2**31)
    return whole


def _refuse(
    path: Path, bad: npt.NDArray[np.bool_], values: Values, columns: list[str], line: int, expected: str
) -> None:
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InputError(
            f"{path}: line {line + row}, column {columns[column]}: expected {expected}, found {values[row, column]:g}"
        )
