"""Text files too long to be held in memory: rows in blocks, and the line of what is wrong."""

import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pandas as pd

from methmix.errors import InputError

# What is raised for a file that is missing, empty, ragged, binary, or compressed and damaged.
UNREADABLE = (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError, EOFError, OSError, zlib.error)
ROWS_PER_BLOCK = 500_000
HDF5 = b"\x89HDF\r\n\x1a\n"
_NAME_ENDINGS = re.compile(r"(\.bismark)?(\.cov|\.bed|\.bedmethyl|\.pat|\.beta)?(\.gz)?$", re.IGNORECASE)

# Position of a column in the file -> its name and type; ``int`` columns hold whole numbers >= 0.
Columns = Mapping[int, tuple[str, type | str]]


@dataclass(frozen=True)
class Beginning:
    """What the format of a file is recognised by: its first bytes, and the first line that is no comment (#).

    ``line`` has no end of line; it is empty, and its ``number`` 0 instead of counting from 1, where the file is no
    text.
    """

    path: Path
    head: bytes
    line: str = ""
    number: int = 0

    @property
    def sample_name(self) -> str:
        """Name of the only sample of a file: the file's name without the ending of its format."""
        return _NAME_ENDINGS.sub("", self.path.name)


def read_beginning(path: Path) -> Beginning:
    """Read the beginning of a file."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such file", "paths are relative to the working directory")
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
    raise InputError(f"{path}: is empty", "was it written to its end? copy or make it again")


def open_text(path: Path) -> IO[str]:
    """Open a plain or gzip text file."""
    return gzip.open(path, "rt") if path.suffix == ".gz" else path.open()


def read_rows(path: Path, columns: Columns, sep: str = "\t", rows: IO[str] | None = None) -> Iterator[pd.DataFrame]:
    """Read some columns of a file without header in blocks; the index counts rows.

    ``sep`` is a tab or a regular expression; lines that start with # are skipped. ``rows`` are lines of the file to be
    read instead of all of it. An invalid number is an error that names its line and column.
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
    except UNREADABLE as error:
        raise unreadable(path, error) from None
    except (ValueError, OverflowError):
        raise _bad_number(path, columns, sep) from None


def read_sheet(path: Path, columns: Iterable[str], sep: str = "\t") -> pd.DataFrame:
    """Read a small table that must have these columns, as text; the index is the line of the file."""
    try:
        table = pd.read_csv(path, sep=sep, dtype=str, keep_default_na=False)
    except UNREADABLE as error:
        raise unreadable(path, error) from None
    for column in columns:
        if column not in table.columns:
            raise InputError(
                f"{path}: column {column} is missing; found {', '.join(table.columns)}",
                "name the columns in the first line, separated as in the other lines",
            )
    return table.set_axis(table.index + 2)


def first_duplicate(names: Iterable[str]) -> str | None:
    """Return the alphabetically first name that occurs more than once, if any does."""
    return min((name for name, n in Counter(names).items() if n > 1), default=None)


def unreadable(path: Path, error: Exception) -> InputError:
    """Make the message for a file that cannot be read to its end (`UNREADABLE`)."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: there is no such file", "paths are relative to the working directory")
    if isinstance(error, pd.errors.EmptyDataError):
        return InputError(f"{path}: is empty", "was it written to its end? copy or make it again")
    if isinstance(error, EOFError | zlib.error):
        return InputError(f"{path}: is a damaged or truncated gzip file ({error})", "copy it again")
    return InputError(f"{path}: is not a readable table ({error})")


def _bad_number(path: Path, columns: Columns, sep: str) -> InputError:
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
