"""Text files too long to be held in memory: rows in blocks, and the line of what is wrong.

How a file is compressed, encoded and separated is seen in its content, whatever its name.
"""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

import pandas as pd

from methmix.errors import InputError

# What is raised for a file that is missing, empty, ragged, binary, or compressed and damaged.
UNREADABLE = (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeError, EOFError, OSError, zlib.error)
ROWS_PER_BLOCK = 500_000
HDF5 = b"\x89HDF\r\n\x1a\n"
GZIP = b"\x1f\x8b"
_ENCODINGS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# Bytes that the beginning of a file is looked for in: comments can be long.
_HEAD = 1 << 20
_PIECE, _SAMPLE, _LINES = 512, 1000, 100
_NAME_ENDINGS = re.compile(
    r"(\.bismark)?(\.zero)?(\.cov|\.bed|\.bedgraph|\.bedmethyl|\.pat|\.beta|\.cx_report\.txt|\.cpg_report\.txt)?(\.b?gz)?$",
    re.IGNORECASE,
)
# Lines that a table may begin with: comments, and what a genome browser reads.
_COMMENT = re.compile(r"#|track(\s|$)|browser\s")
WHITESPACE = r"\s+"

# Position of a column in the file -> its name and type; ``int`` columns hold whole numbers >= 0.
Columns = Mapping[int, tuple[str, type | str]]


@dataclass(frozen=True)
class Beginning:
    """What the format of a file is recognised by: its first bytes, and the first line that is no comment.

    ``head`` is of what the file has unpacked. ``line`` has no end of line; it is empty, and its ``number`` 0 instead of
    counting from 1, where the file is no text. ``next_lines`` are some of those that follow, ``comments`` those before.
    """

    path: Path
    head: bytes
    line: str = ""
    number: int = 0
    next_lines: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    compression: Literal["gzip"] | None = None
    encoding: str = "utf-8"

    @property
    def sample_name(self) -> str:
        """Name of the only sample of a file: the file's name without the ending of its format."""
        return _NAME_ENDINGS.sub("", self.path.name)

    @property
    def separator(self) -> str:
        """What separates the columns: a tab, ``;`` or ``,``, or as a regular expression any white space."""
        return next((mark for mark in "\t;," if mark in self.line), WHITESPACE)

    @property
    def fields(self) -> list[str]:
        """The columns of the line, without quotes."""
        return self.split(self.line)

    def split(self, line: str) -> list[str]:
        """Split another line of the file into its columns."""
        if self.separator == WHITESPACE:
            return line.replace('"', "").split()
        return [field.strip() for field in next(csv.reader([line], delimiter=self.separator), [])]

    def with_header_of_comment(self) -> "Beginning | None":
        """Take the comment right before the line for its header, as in ``#chrom start end``; None if there is none."""
        last = self.comments[-1].lstrip("#").strip() if self.comments else ""
        if not last or len(self.split(last)) != len(self.fields):
            return None
        return replace(self, line=last, number=self.number - 1, next_lines=(self.line, *self.next_lines))


def read_beginning(path: Path) -> Beginning:
    """Read the beginning of a file."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such file", "paths are relative to the working directory")
    with path.open("rb") as raw:
        head = raw.read(_HEAD)
    if not head:
        raise InputError(f"{path}: is empty", "was it written to its end? copy or make it again")
    if path.suffix == ".beta" or head.startswith(HDF5):
        return Beginning(path, head)
    compression: Literal["gzip"] | None = None
    if head.startswith(GZIP):
        compression = "gzip"
        head = _unpacked(path)
    encoding = next((name for mark, name in _ENCODINGS if head.startswith(mark)), "utf-8")
    binary = Beginning(path, head, compression=compression, encoding=encoding)
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head, final=not compression and len(head) < _HEAD)
    except UnicodeError:
        return binary
    # What is no text may happen to begin as UTF-16.
    is_text = "\0" not in text and sum(map(str.isascii, text[:_SAMPLE])) > len(text[:_SAMPLE]) / 2
    return _first_lines(binary, text) if is_text else binary


def _unpacked(path: Path) -> bytes:
    """Unpack the beginning of a gzip file; that it is truncated is seen by who reads it to its end."""
    head = b""
    try:
        with gzip.open(path) as unpacked:
            while len(head) < _HEAD and head.count(b"\n") < _LINES and (some := unpacked.read1(_PIECE)):
                head += some
    except UNREADABLE as error:
        if not head:
            raise unreadable(path, error) from None
    if not head:
        raise InputError(f"{path}: is empty", "was it written to its end? copy or make it again")
    return head


def _first_lines(beginning: Beginning, text: str) -> Beginning:
    lines = re.split("\r\n|\r|\n", text)[: _LINES + text.count("#")]
    before = [number for number, line in enumerate(lines) if line.strip() and not _COMMENT.match(line)]
    if not before:
        raise InputError(f"{beginning.path}: has nothing but comments", "was it written to its end? make it again")
    first = before[0]
    comments = tuple(line for line in lines[:first] if line.strip())
    following = tuple(line for line in lines[first + 1 : first + _LINES] if line.strip())
    return replace(beginning, line=lines[first], number=first + 1, next_lines=following, comments=comments)


def open_text(path: Path) -> IO[str]:
    """Open a plain or gzip text file of any encoding that its first bytes name."""
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP
    binary: Any = gzip.open(path) if packed else path.open("rb")  # noqa: SIM115 (closed with what wraps it)
    mark = binary.read(4)
    binary.seek(0)
    encoding = next((name for start, name in _ENCODINGS if mark.startswith(start)), "utf-8")
    return io.TextIOWrapper(binary, encoding=encoding)


def read_rows(
    beginning: Beginning, columns: Columns, sep: str = "", rows: IO[str] | None = None
) -> Iterator[pd.DataFrame]:
    """Read some columns of a file without header in blocks; the index is the line of the file.

    ``sep`` is that of the file, or another. ``rows`` are lines of the file to be read instead of all of it; the index
    then counts them. An invalid number is an error that names its line and column.
    """
    path, sep = beginning.path, sep or beginning.separator
    whole = rows is None
    try:
        with pd.read_csv(
            str(path) if rows is None else rows,
            sep=sep,
            header=None,
            skiprows=beginning.number - 1 if whole else 0,
            compression=beginning.compression if whole else None,
            encoding=beginning.encoding.replace("utf-8-sig", "utf-8"),
            usecols=list(columns),
            dtype={position: kind for position, (_, kind) in columns.items()},
            na_filter=False,
            quoting=csv.QUOTE_MINIMAL if '"' in beginning.line else csv.QUOTE_NONE,
            chunksize=ROWS_PER_BLOCK,
        ) as blocks:
            for block in blocks:
                block = block.rename(columns={position: name for position, (name, _) in columns.items()})
                for name, kind in columns.values():
                    if kind == "category":  # of names; pandas makes numbers of those of 1, 2, ...
                        block[name] = block[name].cat.rename_categories(str)
                    elif kind is int and (block[name] < 0).any():
                        raise _bad_number(beginning, columns, sep)
                block.index += beginning.number
                yield block
    except UNREADABLE as error:
        raise unreadable(path, error) from None
    except (ValueError, OverflowError):
        raise _bad_number(beginning, columns, sep) from None


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
    if isinstance(error, EOFError | zlib.error | gzip.BadGzipFile):
        return InputError(f"{path}: is a damaged or truncated gzip file ({error})", "copy it again")
    return InputError(f"{path}: is not a readable table ({error})")


def explain_number(found: str) -> str:
    """Say what a text probably is that is no number to us, as spreadsheets and other languages write them."""
    if re.fullmatch(r"\d{1,3}([,.' ]\d{3})+", found):
        return "it has thousands separators: write numbers without them"
    if re.fullmatch(r"-?\d+,\d+", found):
        return "it has a decimal comma: write decimal points"
    if re.fullmatch(r"\d\.\d+E\+?\d+", found):
        return "a spreadsheet has rounded it: export again from the original, with columns formatted as text"
    return ""


def _bad_number(beginning: Beginning, columns: Columns, sep: str) -> InputError:
    """Find the first invalid number, in a second and slower pass over the file."""
    path = beginning.path
    numbers = {position: (name, kind) for position, (name, kind) in columns.items() if kind in (int, float, "int64")}
    try:
        with open_text(path) as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip() or number < beginning.number:
                    continue
                if line.startswith("#"):
                    return InputError(
                        f"{path}: line {number}: a comment between the rows: {line[:40].rstrip()!r}",
                        "are these several files, one after the other? remove the line, or join them without headers",
                    )
                fields = re.split(sep, line.rstrip("\r\n"))
                for position, (name, kind) in numbers.items():
                    found = fields[position].strip('"') if position < len(fields) else ""
                    if not _is_number(found, kind):
                        what = "a whole number >= 0" if kind is int else "a number"
                        return InputError(
                            f"{path}: line {number}, column {position + 1} ({name}): expected {what}, found {found!r}",
                            explain_number(found),
                        )
    except UNREADABLE as error:
        return unreadable(path, error)
    return InputError(f"{path}: is not a readable table")


def _is_number(found: str, kind: type | str) -> bool:
    if kind is int:
        return found.isdecimal() and len(found) < 19
    try:
        float(found)
    except ValueError:
        return False
    return True
