"""The beginning of a file, by which its format is recognised.

How it is compressed, encoded and separated is seen in its content, whatever its name.
"""

import codecs
import csv
import gzip
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from methmix.bounds import check_size
from methmix.errors import InputError
from methmix.formats.text_errors import UNREADABLE, empty, no_file, unreadable
from methmix.formats.text_stream import WHITESPACE

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
# Start and end in a row.
_POSITIONS = re.compile(r"\t\d+\t\d+")


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
        try:
            return [field.strip() for field in next(csv.reader([line], delimiter=self.separator), [])]
        except csv.Error:  # longer than any field is
            return [line]

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
        raise empty(path)
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
        raise empty(path)
    return head


def _first_lines(beginning: Beginning, text: str) -> Beginning:
    lines = re.split("\r\n|\r|\n", text)[: _LINES + text.count("#")]
    before = [number for number, line in enumerate(lines) if line.strip() and not _COMMENT.match(line)]
    if not before:
        raise InputError(f"{beginning.path}: has nothing but comments", "was it written to its end? make it again")
    first = before[0]
    for number, line in enumerate(lines[:first], 1):
        # The columns of a header and of a row, of which two share a field.
        of_both = 2 * lines[first].count("\t") if line.startswith("#") else line.count("\t")
        if _POSITIONS.search(line) and line.count("\t") == of_both:
            what = f"{beginning.path}: line {number}: has a row behind the comment: {line[-60:]!r}"
            raise InputError(what, "begin a new line behind the comment")
    comments = tuple(line for line in lines[:first] if line.strip())
    following = tuple(line for line in lines[first + 1 : first + _LINES] if line.strip())
    return replace(beginning, line=lines[first], number=first + 1, next_lines=following, comments=comments)
