"""Text files that are too long to be held: rows in blocks, and where in the file something is wrong."""

import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pandas as pd

from methmix.errors import InputError

# What pandas raises for a file that is empty, ragged, binary, or compressed and damaged.
UNREADABLE = (
    pd.errors.EmptyDataError,
    pd.errors.ParserError,
    UnicodeDecodeError,
    EOFError,
    OSError,
    zlib.error,
)
ROWS_PER_BLOCK = 500_000
HDF5 = b"\x89HDF\r\n\x1a\n"
_NAME_ENDINGS = re.compile(r"(\.bismark)?(\.cov|\.bed|\.bedmethyl|\.pat|\.beta)?(\.gz)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Beginning:
    """What the format of a file is recognised by.

    Parameters
    ----------
    path
        The file.
    head
        Its first bytes.
    line
        The first line that is no comment (#), without its end; empty where the file is no text.
    number
        The number of that line, from 1; 0 where the file is no text.
    """

    path: Path
    head: bytes
    line: str = ""
    number: int = 0

    @property
    def sample_name(self) -> str:
        """Name of the sample of a file that has only one: the file's name without what tells the format."""
        return _NAME_ENDINGS.sub("", self.path.name)


def read_beginning(path: Path) -> Beginning:
    """Look at the beginning of a file.

    Raises
    ------
    InputError
        There is no such file, it is empty, or a damaged gzip file.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    with path.open("rb") as raw:
        head = raw.read(len(HDF5))
        raw.seek(0)
        if head and (head == HDF5 or path.suffix == ".beta"):
            return Beginning(path, head)
        lines = io.TextIOWrapper(gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw)  # type: ignore[arg-type]
        try:
            for number, line in enumerate(lines, start=1):
                if not line.startswith("#"):
                    return Beginning(path, head, line.rstrip("\r\n"), number)
        except UnicodeDecodeError:
            return Beginning(path, head)
        except UNREADABLE as error:
            raise unreadable(path, error) from None
    raise InputError(f"{path}: is empty")


def open_text(path: Path) -> IO[str]:
    """Open a plain or gzip text file.

    Raises
    ------
    InputError
        There is no such file.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    return gzip.open(path, "rt") if path.suffix == ".gz" else path.open()


def read_rows(
    path: Path, columns: Mapping[int, tuple[str, type | str]], sep: str = "\t", rows: IO[str] | None = None
) -> Iterator[pd.DataFrame]:
    """Read some columns of a file without header, in blocks.

    Parameters
    ----------
    path
        Plain or gzip; lines that start with # are skipped.
    columns
        Position in the file -> name and type; ``int`` columns hold whole numbers >= 0.
    sep
        What separates columns, a tab or a regular expression.
    rows
        Some lines of the file, to read instead of all of it.

    Yields
    ------
    DataFrame
        With the named columns; the index counts rows.

    Raises
    ------
    InputError
        The file cannot be read to its end, or a number is invalid (line and column are named).
    """
    try:
        with pd.read_csv(
            path if rows is None else rows,
            sep=sep,
            comment="#",
            header=None,
            usecols=list(columns),
            dtype={position: kind for position, (_, kind) in columns.items()},
            na_filter=False,
            quoting=3,  # csv.QUOTE_NONE
            chunksize=ROWS_PER_BLOCK,
        ) as blocks:
            for block in blocks:
                block = block.rename(columns={position: name for position, (name, _) in columns.items()})
                for name, kind in columns.values():
                    if kind == "category":  # of names; pandas makes numbers of those of 1, 2, ...
                        block[name] = block[name].cat.rename_categories(str)
                    elif kind is int and (block[name] < 0).any():
                        raise _bad_number(path, columns, sep)
                yield block
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except UNREADABLE as error:
        raise unreadable(path, error) from None
    except (ValueError, OverflowError):
        raise _bad_number(path, columns, sep) from None


def read_sheet(path: Path, columns: Iterable[str], sep: str = "\t") -> pd.DataFrame:
    """Read a small table with a header, as text; the index is the line of the file.

    Raises
    ------
    InputError
        The file cannot be read, or one of ``columns`` is missing.
    """
    try:
        table = pd.read_csv(path, sep=sep, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except UNREADABLE as error:
        raise unreadable(path, error) from None
    for column in columns:
        if column not in table.columns:
            raise InputError(f"{path}: column {column} is missing; found {', '.join(table.columns)}")
    return table.set_axis(table.index + 2)


def first_duplicate(names: Iterable[str]) -> str | None:
    """Give the alphabetically first name that occurs more than once, if any does."""
    return min((name for name, n in Counter(names).items() if n > 1), default=None)


def unreadable(path: Path, error: Any) -> InputError:
    """Say that a file cannot be read to its end."""
    if isinstance(error, pd.errors.EmptyDataError):
        return InputError(f"{path}: is empty")
    if isinstance(error, EOFError | zlib.error):
        return InputError(f"{path}: is a damaged or truncated gzip file ({error})", "copy it again")
    return InputError(f"{path}: is not a readable table ({error})")


def _bad_number(path: Path, columns: Mapping[int, tuple[str, type | str]], sep: str) -> InputError:
    """Find the first invalid number, in a second and slower pass over the file."""
    numbers = {position: name for position, (name, kind) in columns.items() if kind is int}
    try:
        with open_text(path) as lines:
            for number, line in enumerate(lines, start=1):
                fields = re.split(sep, line.rstrip("\n"))
                if fields == [""] or line.startswith("#"):
                    continue
                for position, name in numbers.items():
                    found = fields[position] if position < len(fields) else ""
                    if not (found.isdecimal() and len(found) < 19):
                        return InputError(
                            f"{path}: line {number}, column {position + 1} ({name}): "
                            f"expected a whole number >= 0, found {found!r}"
                        )
    except UNREADABLE as error:
        return unreadable(path, error)
    return InputError(f"{path}: is not a readable table")
