"""Text files too long to be held in memory: rows in blocks, and the line of what is wrong.

How a file is compressed, encoded and separated is seen in its content, whatever its name.
"""

import codecs
import csv
import gzip
import io
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal

import pandas as pd

from methmix.bounds import check_size
from methmix.errors import InputError
from methmix.formats.text_stream import WHITESPACE as WHITESPACE
from methmix.formats.text_stream import CheckedText, Layout

# What is raised for a file that is missing, empty, ragged, binary, or compressed and damaged.
UNREADABLE = (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeError, EOFError, OSError, zlib.error)
ROWS_PER_BLOCK = 500_000
HDF5 = b"\x89HDF\r\n\x1a\n"
GZIP = b"\x1f\x8b"
# Files of bytes without any mark, which only their names show; of two bytes a number.
BETA_ENDINGS = {".beta": 1, ".lbeta": 2}
_ENCODINGS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# Bytes that the beginning of a file is looked for in: comments can be long.
_HEAD = 1 << 20
_PIECE, _SAMPLE, _LINES = 2**14, 1000, 100
_NAME_ENDINGS = re.compile(
    r"(\.bismark)?(\.zero)?(\.cov|\.bed|\.bedgraph|\.bedmethyl|\.pat|\.l?beta|\.cx_report\.txt|\.cpg_report\.txt)?(\.b?gz)?$",
    re.IGNORECASE,
)
# Lines that a table may begin with: comments, and what a genome browser reads.
_COMMENT = re.compile(r"#|track(\s|$)|browser\s")
# More reads of one place than any sequencer gives, and behind the end of any chromosome.
MOST_OF_NUMBER = 2**31 - 1
CORRECT = "correct the line, or make the file again"
_UNENDED = "its last line has no end of line: is the file complete?"

# Position of a column in the file -> its name and what it holds: ``int`` whole numbers from 0 to `MOST_OF_NUMBER`; a
# pattern: words that match it, which become categories.
Columns = Mapping[int, tuple[str, type | re.Pattern[str]]]
# A whole number, also as R and pandas write it: 1e+06, 12.0.
WHOLE = re.compile(r"\+?[0-9]{1,18}(\.0*)?|[0-9](\.[0-9]+)?e\+?[0-9]{1,2}")
# Missing values; an empty field is an error, since truncated lines have it.
MISSING = ["NA", "NaN", "nan", "na"]
NAME = re.compile(r'[^\s"][^"]*')


@dataclass(frozen=True)
class Beginning:
    """What the format of a file is recognised by: its first bytes, and the first line that is no comment.

    ``head`` is of what the file has unpacked. ``line`` has no end of line; it is empty, and its ``number`` 0 instead of
    counting from 1, where the file is no text. ``next_lines`` are some of those that follow, ``comments`` those before.
    ``notes`` are what the user should know, noticed when the file is read.
    """

    path: Path
    head: bytes
    line: str = ""
    number: int = 0
    next_lines: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    compression: Literal["gzip"] | None = None
    encoding: str = "utf-8"
    notes: dict[str, None] = field(default_factory=dict, compare=False)

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

    def without_header(self) -> "Beginning | None":
        """Take the first line for a header, and the next one for the first; None if the former has a number."""
        if not self.next_lines or any(re.fullmatch(r"[\d.,+-]+", field) for field in self.fields):
            return None
        return replace(self, line=self.next_lines[0], number=self.number + 1, next_lines=self.next_lines[1:])

    def with_header_of_comment(self) -> "Beginning | None":
        """Take the comment right before the line for its header, as in ``#chrom start end``; None if there is none."""
        last = self.comments[-1].lstrip("#").strip() if self.comments else ""
        if not last or len(self.split(last)) != len(self.fields):
            return None
        return replace(self, line=last, number=self.number - 1, next_lines=(self.line, *self.next_lines))


def read_beginning(path: Path) -> Beginning:
    """Read the beginning of a file."""
    if not path.is_file():
        raise no_file(path)
    with path.open("rb") as raw:
        head = raw.read(_HEAD)
    if not head:
        raise InputError(f"{path}: is empty", "was it written to its end? copy or make it again")
    if path.suffix in BETA_ENDINGS or head.startswith(HDF5):
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
    sample = text.rstrip("\0")[:_SAMPLE]
    is_text = 100 * sample.count("\0") < len(sample) and sum(map(str.isascii, sample)) > len(sample) / 2
    if is_text and len(head) >= _HEAD and not re.search("[\r\n]", text):
        check_size(path, "line 1", len(head) + 1, _HEAD)
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


@contextmanager
def open_rows(
    beginning: Beginning, first_row: int, sep: str = "", n_columns: int | None = None, quoted: bool = True
) -> Iterator[IO[bytes]]:
    """Open a text file as UTF-8 whose lines are checked (`CheckedText`); parameters as of `Layout`.

    A last line without an end becomes a note of the file: it may be half a line.
    """
    layout = Layout(
        beginning.compression == "gzip", beginning.encoding, sep or beginning.separator, first_row, n_columns, quoted
    )  # fmt: skip
    with CheckedText(beginning.path, layout) as checked:
        yield io.BufferedReader(checked)
        if not checked.ended:
            beginning.notes[_UNENDED] = None


def read_rows(
    beginning: Beginning, columns: Columns, sep: str = "", rows: IO[str] | None = None
) -> Iterator[pd.DataFrame]:
    """Read some columns of a file without header in blocks; the index is the line of the file.

    ``sep`` is that of the file, or another. ``rows`` are lines of the file to be read instead of all of it; the index
    then counts them. An invalid number is an error that names its line and column.
    """
    path, sep = beginning.path, sep or beginning.separator
    quoted = '"' in beginning.line
    missing: Any = {number: MISSING if kind is float else [] for number, (_, kind) in columns.items()}
    source = nullcontext(rows) if rows is not None else open_rows(beginning, beginning.number, sep, quoted=quoted)
    try:
        with (
            source as lines,
            pd.read_csv(
                lines,
                sep=sep,
                header=None,
                skiprows=beginning.number - 1 if rows is None else 0,
                usecols=list(columns),
                dtype={
                    number: "category" if isinstance(kind, re.Pattern) else kind
                    for number, (_, kind) in columns.items()
                },
                na_values=missing,
                keep_default_na=False,
                quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
                chunksize=ROWS_PER_BLOCK,
            ) as blocks,
        ):
            for block in blocks:
                block = block.rename(columns={position: name for position, (name, _) in columns.items()})
                for name, kind in columns.values():
                    if isinstance(kind, re.Pattern):
                        block[name] = block[name].cat.rename_categories(
                            _checked_words(block[name].cat.categories, kind)
                        )
                    elif kind is int and ((block[name] < 0) | (block[name] > MOST_OF_NUMBER)).any():
                        raise _bad_number(beginning, columns, sep)
                block.index += beginning.number
                yield block
    except UNREADABLE as error:
        raise unreadable(path, error) from None
    except (ValueError, OverflowError):
        raise _bad_number(beginning, columns, sep) from None


def _checked_words(words: pd.Index, pattern: re.Pattern[str]) -> list[str]:
    # pandas makes numbers of chromosomes 1, 2, ...
    texts = [str(word).strip() for word in words]
    if not all(map(pattern.fullmatch, texts)):
        raise ValueError("a word that is not expected here")
    return texts


def first_duplicate(names: Iterable[str]) -> str | None:
    """Return the alphabetically first name that occurs more than once, if any does."""
    return min((name for name, n in Counter(names).items() if n > 1), default=None)


def no_file(path: Path) -> InputError:
    """Make the message for what is no file."""
    if path.is_dir():
        return InputError(f"{path}: is a folder; expected a file", "name the file in it, or a pattern such as folder/*")
    if path.exists():
        return InputError(f"{path}: is no regular file", "copy what it gives to a file, or pipe it to --samples -")
    return InputError(f"{path}: there is no such file", "paths are relative to the working directory")


def unreadable(path: Path, error: Exception) -> InputError:
    """Make the message for a file that cannot be read to its end (`UNREADABLE`)."""
    if isinstance(error, FileNotFoundError):
        return no_file(path)
    if isinstance(error, UnicodeError):
        return InputError(f"{path}: is no text in UTF-8 ({error})", "save it as UTF-8, for example by iconv -t UTF-8")
    if isinstance(error, pd.errors.EmptyDataError):
        return InputError(f"{path}: is empty", "was it written to its end? copy or make it again")
    if isinstance(error, EOFError | zlib.error | gzip.BadGzipFile):
        return InputError(f"{path}: is a damaged or truncated gzip file ({error})", "copy it again")
    return InputError(f"{path}: is not a readable table ({error})", CORRECT)


def is_alike(found: str, kind: type | re.Pattern[str]) -> bool:
    """Whether a field that is not as expected may be meant so: a number with digits, or a word without."""
    return found == "." or bool(re.search(r"\d", found)) != isinstance(kind, re.Pattern)


def explain_number(found: str) -> str:
    """Say what a text probably is that is no number to us, as spreadsheets and other languages write them."""
    if re.fullmatch(r"\d{1,3}([,.' ]\d{3})+", found):
        return "it has thousands separators: write numbers without them"
    if re.fullmatch(r"-?\d+,\d+", found):
        return "it has a decimal comma: write decimal points"
    return ""


def _bad_number(beginning: Beginning, columns: Columns, sep: str) -> InputError:
    """Find the first invalid number, in a second and slower pass over the file."""
    path = beginning.path
    checked = {position: (name, kind) for position, (name, kind) in columns.items() if kind is not object}
    try:
        with open_rows(beginning, beginning.number, sep, quoted='"' in beginning.line) as rows:
            for number, content in enumerate(rows, start=1):
                line = content.decode()
                if not line.strip() or number < beginning.number:
                    continue
                if line.startswith("#"):
                    return InputError(
                        f"{path}: line {number}: a comment between the rows: {line[:40].rstrip()!r}",
                        "are these several files, one after the other? remove the line, or join them without headers",
                    )
                fields = re.split(sep, line.rstrip("\r\n"))
                for position, (name, kind) in checked.items():
                    found = fields[position].strip('" ') if position < len(fields) else ""
                    if what := not_expected(found, kind):
                        place = f"line {number}, column {position + 1} ({name})"
                        message = f"{path}: {place}: expected {what}, found {found[:40]!r}"
                        return InputError(message, explain_number(found) or CORRECT)
    except UNREADABLE as error:
        return unreadable(path, error)
    return InputError(f"{path}: is not a readable table", CORRECT)


def not_expected(found: str, kind: type | re.Pattern[str]) -> str:
    """Say what is expected of a field of `Columns` if it is something else."""
    if isinstance(kind, re.Pattern):
        what = "a name" if kind is NAME else f"what matches {kind.pattern}"
        return "" if kind.fullmatch(found) else what
    if kind is int:
        is_right = WHOLE.fullmatch(found) and float(found).is_integer() and float(found) <= MOST_OF_NUMBER
        return "" if is_right else f"a whole number from 0 to {MOST_OF_NUMBER:,}"
    if kind is object or found in MISSING:
        return ""
    try:
        return "" if math.isfinite(float(found)) else "a number"
    except ValueError:
        return "a number"
