"""Text files too long to be held in memory: rows in blocks, and the line of what is wrong."""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import IO, Any

import pandas as pd

from methmix.errors import InputError
from methmix.formats.beginning import Beginning
from methmix.formats.text_errors import CORRECT, UNREADABLE, unreadable
from methmix.formats.text_stream import CheckedText, Layout

ROWS_PER_BLOCK = 500_000
# More reads of one place than any sequencer gives, and behind the end of any chromosome.
MOST_OF_NUMBER = 2**31 - 1
_UNENDED = "its last line has no end of line: is the file complete?"

# Position of a column in the file -> its name and what it holds: ``int`` whole numbers from 0 to `MOST_OF_NUMBER`; a
# pattern: words that match it, which become categories.
Columns = Mapping[int, tuple[str, type | re.Pattern[str]]]
# A whole number, also as R and pandas write it: 1e+06, 12.0.
WHOLE = re.compile(r"\+?[0-9]{1,18}(\.0*)?|[0-9](\.[0-9]+)?e\+?[0-9]{1,2}")
# Missing values; an empty field is an error, since truncated lines have it.
MISSING = ["NA", "NaN", "nan", "na"]
NAME = re.compile(r'[^\s"][^"]*')


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
