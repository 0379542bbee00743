"""The rows of tables of regions: read in blocks, and each value checked."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.bounds import check_size
from methmix.errors import InputError
from methmix.formats.beginning import Beginning
from methmix.formats.regions import Integers
from methmix.formats.text import MISSING, WHOLE, explain_number, open_rows
from methmix.formats.text_errors import CORRECT, UNREADABLE, unreadable
from methmix.rows import first_true

_VALUES_PER_BLOCK = 8_000_000
# Twice 500,000 regions of 1,000 samples.
_MOST_VALUES = 1_000_000_000
Values = npt.NDArray[np.float64]


def table_blocks(beginning: Beginning, header: list[str], places: list[str]) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield the line of the first row of each block, and the block; the columns of places are text."""
    path, line, n_values = beginning.path, beginning.number + 1, 0
    used = [number for number, name in enumerate(header) if name]
    try:
        with (
            open_rows(beginning, beginning.number + 1, n_columns=len(header)) as rows,
            pd.read_csv(
                rows,
                sep=beginning.separator,
                header=None,
                index_col=False,
                skiprows=beginning.number,
                dtype={header.index(name): str for name in places},
                keep_default_na=False,
                na_values=MISSING,
                low_memory=False,
                chunksize=max(_VALUES_PER_BLOCK // len(header), 1),
            ) as blocks,
        ):
            for block in blocks:
                n_values += block.size
                filled = block.iloc[:, -1].notna() & (block.iloc[:, -1] != "")
                if not header[-1] and (row := first_true(filled)) is not None:
                    raise InputError(
                        f"{path}: line {line + row}, column {len(header)} has a value but no name", "name the column"
                    )
                check_size(path, "values of all rows and columns", n_values, _MOST_VALUES, "values")
                block = block[used].set_axis([header[number] for number in used], axis=1)
                yield line, block
                line += len(block)
    except pd.errors.EmptyDataError:
        raise InputError(f"{path}: has a header but no regions", "is the file complete?") from None
    except UNREADABLE as error:
        raise unreadable(path, error) from None


def texts(path: Path, column: pd.Series, line: int) -> Sequence[str]:
    """Read names of chromosomes or probes, of which none may be empty."""
    names: pd.Series = column.fillna("NA").astype(str).str.strip()
    if (row := first_true(names == "")) is not None:
        raise InputError(
            f"{path}: line {line + row}, column {column.name}: expected a name, found nothing",
            "complete or remove the line",
        )
    return names.tolist()


def positions(path: Path, column: pd.Series, line: int) -> Integers:
    """Read coordinates, whole numbers >= 0, also as R and pandas write them (1e+06, 12.0), but not as rounded ones."""
    text = column.fillna("NA").astype(str)
    bad = ~text.str.strip().str.fullmatch(WHOLE).to_numpy(dtype=bool)
    numbers = pd.to_numeric(text.where(~bad, "0")).to_numpy(dtype=np.float64)
    bad |= (numbers != np.floor(numbers)) | (numbers >= 2**31)
    if (row := first_true(bad)) is not None:
        place, found = f"{path}: line {line + row}, column {column.name}", text.iloc[row]
        message = f"{place}: expected a whole number >= 0, found {found[:40]!r}"
        raise InputError(message, explain_number(found) or CORRECT)
    return numbers.astype(np.int64)


_FRACTION = "a fraction 0-1"
_VALID: dict[str, Callable[[Values], Any]] = {
    "a whole number >= 0": lambda values: (values >= 0) & (values == np.floor(values)) & (values < 2**31),
    _FRACTION: lambda values: (values >= 0) & (values <= 1),
}


def numbers_of(path: Path, block: pd.DataFrame, line: int, expected: str) -> Values:
    """Return the numbers (a kind of `_VALID`) of a block whose first row is in ``line``; NaN for NA."""
    text = [name for name, kind in block.dtypes.items() if kind.kind not in "iuf"]
    if text:
        # As text, since pandas makes truth values of True and False, and these would be numbers. A whole number beyond
        # 64 bits makes text of its column too.
        numbers = block[text].astype(str).apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
        wrong = ~_VALID[expected](numbers) & block[text].notna().to_numpy()
        row, column = np.argwhere(wrong)[0]
        name, found = text[column], repr(str(block[text[column]].iloc[row])[:40])
    else:
        values = block.to_numpy(dtype=np.float64)
        bad = ~(_VALID[expected](values) | np.isnan(values))
        if not bad.any():
            return values
        row, column = np.argwhere(bad)[0]
        name, found = block.columns[column], f"{values[row, column]:g}"
    raise InputError(
        f"{path}: line {line + row}, column {name}: expected {expected} or NA, found {found}",
        _remedy(found.strip("'"), expected),
    )


def _remedy(found: str, expected: str) -> str:
    """Say what to do about a value that is not as expected."""
    is_number = re.fullmatch(r"-?\d+(\.\d+)?", found)
    if not is_number and (why := explain_number(found)):
        return why
    if expected != _FRACTION:
        return "a region without reads has NA; in a counts table METH 0 and DEPTH 0 say the same"
    if is_number:
        return (
            "are these percent (divide by 100), M-values (the fraction is 2^M / (2^M + 1)), or is the column no sample "
            "(remove it)?"
        )
    return "a region without a value has NA; remove a column that is no sample"
