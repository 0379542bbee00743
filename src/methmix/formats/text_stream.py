"""A text file as a stream of lines that are checked as they pass: damage that a parser would take for content.

Refused are zero bytes, lines with fewer or more columns than the first one, lines and files larger than stated bounds,
and quotes that are not closed. What comes out is UTF-8 with line ends of one kind.
"""

import codecs
import csv
import gzip
import io
import re
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from methmix.bounds import check_size
from methmix.errors import InputError
from methmix.rows import first_true

MOST_BYTES_OF_LINE = 2**24
# Real tables are packed 4 to 50 times smaller; bombs 150 to 1000 times. It is looked at for each so many bytes.
MOST_TIMES_UNPACKED, HARMLESS_BYTES = 100, 2**26
_PIECE = 2**20
_NEWLINE, _TAB, _SPACE, _COMMENT, _QUOTE = b'\n\t #"'
WHITESPACE = r"\s+"
# A number that a spreadsheet has rounded to some digits.
_ROUNDED = re.compile(rb"(?<![\w.])\d\.\d+E\+0*[1-9]\d*")


class Layout(NamedTuple):
    """How a file is packed, encoded and separated (a character, or `WHITESPACE`).

    Lines before ``first_row`` (from 1) are not checked for columns; the others have ``n_columns``, or as many as the
    first of them if that is None. ``quoted``: a separator between quotes does not separate.
    """

    is_packed: bool
    encoding: str
    separator: str
    first_row: int
    n_columns: int | None = None
    quoted: bool = True


class CheckedText(io.RawIOBase):
    """The bytes of a text file, checked line by line; ``ended``: the last line that was read has an end of line."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path, self._layout, self._n_columns = path, layout, layout.n_columns
        self._packed_before = 0
        self._file: IO[bytes] = path.open("rb")
        self._source: Any = gzip.GzipFile(fileobj=self._file) if layout.is_packed else self._file
        self._decoder = codecs.getincrementaldecoder(layout.encoding)() if "16" in layout.encoding else None
        self._lines_before, self._unpacked, self._at_start, self.ended = 0, 0, True, True
        self._rest: list[bytes] = []
        self._ready, self._at_end, self._after_return = memoryview(b""), False, False

    def readable(self) -> bool:
        """Return True: a stream to be read."""
        return True

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._source.close()
            self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what is checked; 0 at the end."""
        while not len(self._ready) and not self._at_end:
            self._ready = memoryview(self._checked_lines())
        n = min(len(buffer), len(self._ready))
        buffer[:n], self._ready = self._ready[:n], self._ready[n:]
        return n

    def _checked_lines(self) -> bytes:
        """Read on to the end of a line, or of the file."""
        piece = self._source.read(_PIECE)
        self._unpacked += len(piece)
        if self._layout.is_packed and self._unpacked > HARMLESS_BYTES:
            self._check_packing()
        self._at_end = not piece
        piece = self._plain(piece)
        if b"\0" in piece:
            number = self._lines_before + piece[: piece.index(0)].count(_NEWLINE) + 1
            raise InputError(
                f"{self._path}: line {number}: has a zero byte",
                "no text has one: the file is damaged or was not copied to its end; copy or make it again",
            )
        last = piece.rfind(b"\n") + 1
        if not last and not self._at_end:
            self._rest.append(piece)
            size = sum(map(len, self._rest))
            check_size(self._path, f"line {self._lines_before + 1}", size, MOST_BYTES_OF_LINE)
            return b""
        lines = b"".join([*self._rest, piece[:last]])
        self._rest = [piece[last:]]
        if self._at_end and lines:
            self.ended = lines.endswith(b"\n")
            lines += b"" if self.ended else b"\n"
        if lines:
            self._check(lines)
        return lines

    def _check_packing(self) -> None:
        """Check the part that was unpacked last: a bomb may be anywhere in a file."""
        packed = self._file.tell() - self._packed_before
        what = f"unpacked from {packed:,} bytes, {MOST_TIMES_UNPACKED} times as many"
        check_size(self._path, what, self._unpacked, max(HARMLESS_BYTES, MOST_TIMES_UNPACKED * packed))
        self._unpacked, self._packed_before = 0, self._file.tell()

    def _plain(self, piece: bytes) -> bytes:
        """Make UTF-8 of a piece, with line ends of one kind."""
        if self._decoder is not None:
            piece = self._decoder.decode(piece, final=self._at_end).encode()
        if self._at_start:
            piece, self._at_start = piece.removeprefix(codecs.BOM_UTF8), False
        if self._after_return and piece.startswith(b"\n"):
            piece = piece[1:]
        self._after_return = piece.endswith(b"\r")
        return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in piece else piece

    def _check(self, lines: bytes) -> None:
        """Check the columns of whole lines; empty ones and comments have none."""
        text = np.frombuffer(lines, dtype=np.uint8)
        ends = np.flatnonzero(text == _NEWLINE)
        starts = np.append(0, ends[:-1] + 1)
        number = self._lines_before + 1 + np.arange(len(ends))
        self._lines_before += len(ends)
        if b"E+" in lines and (found := _ROUNDED.search(lines)):
            raise self._rounded(lines, found)
        n_columns = _count_columns(text, ends, self._layout.separator)
        is_row = (ends > starts) & (text[starts] != _COMMENT) & (number >= self._layout.first_row)
        if self._layout.quoted and _QUOTE in lines:
            quotes = _per_line(np.flatnonzero(text == _QUOTE), ends)
            for row in np.flatnonzero(quotes):
                line = lines[starts[row] : ends[row]].decode(errors="replace")
                if quotes[row] % 2:
                    raise self._error(int(number[row]), "has a quote that is not closed", line)
                if self._layout.separator != WHITESPACE:
                    n_columns[row] = len(next(csv.reader([line], delimiter=self._layout.separator)))
        if self._n_columns is None and is_row.any():
            self._n_columns = int(n_columns[is_row.argmax()])
        if (first := first_true(is_row & (n_columns != (self._n_columns or 0)))) is not None:
            line = lines[starts[first] : ends[first]].decode(errors="replace")
            what = "header" if self._layout.n_columns else "first row"
            words = f"has {n_columns[first]} columns, the {what} has {self._n_columns}"
            raise self._error(int(number[first]), words, line)

    def _rounded(self, lines: bytes, found: re.Match[bytes]) -> InputError:
        before = lines[: found.start()]
        line = before[before.rfind(b"\n") + 1 :].decode(errors="replace")
        column = len(re.split(self._layout.separator, line.replace('"', "")))
        number = self._lines_before - lines.count(b"\n") + before.count(b"\n") + 1
        return InputError(
            f"{self._path}: line {number}, column {column}: expected all digits, found {found[0].decode()!r}: a "
            "spreadsheet has rounded it",
            "export again from the original, with columns formatted as text",
        )

    def _error(self, number: int, what: str, line: str) -> InputError:
        shown = f"{line[:60]} ..." if len(line) > 60 else line
        return InputError(
            f"{self._path}: line {number} {what}: {shown!r}",
            "is the file complete, and separated in the same way throughout? a truncated file must be copied again",
        )


def _count_columns(text: np.ndarray, ends: np.ndarray, separator: str) -> np.ndarray:
    """Count the columns of each line that ends at ``ends``."""
    if separator != WHITESPACE:
        return _per_line(np.flatnonzero(text == ord(separator)), ends) + 1
    is_field = (text != _SPACE) & (text != _TAB) & (text != _NEWLINE)
    begins = is_field & ~np.append(False, is_field[:-1])
    return _per_line(np.flatnonzero(begins), ends)


def _per_line(marks: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Count the marks, places in the text, of each line."""
    return np.diff(np.searchsorted(marks, ends), prepend=0)
