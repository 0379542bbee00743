"""A tabix index is checked before it is used: a damaged one crashes the library that reads it."""

import gzip
import struct
import zlib
from pathlib import Path

from methmix.errors import InputError

# An index of the whole genome has some MB.
_MOST_BYTES = 2**28
_AGAIN = "make the index again, or remove it: the file is then read whole"


def check_index(path: Path, data: Path) -> None:
    """Check a ``.tbi`` or ``.csi`` file to its end: its packing, the sizes of its parts, and the places it points to.

    ``data`` is the file that it is an index of. The formats are those of the SAM specifications, https://samtools.github.io/hts-specs.
    """
    try:
        with gzip.open(path) as file:
            content = file.read(_MOST_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: is a damaged index ({error})", _AGAIN) from None
    try:
        _walk(content, data.stat().st_size)
    except (struct.error, ValueError) as error:
        raise InputError(f"{path}: is a damaged index ({error})", _AGAIN) from None


class _Cursor:
    """A place in the content, which only moves inside of it."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def offset(self) -> int:
        """Read a number of 64 bits."""
        (value,) = struct.unpack_from("<Q", self.content, self.at)
        self.skip(8)
        return int(value)

    def number(self) -> int:
        (value,) = struct.unpack_from("<i", self.content, self.at)
        self.skip(4)
        if value < 0:
            raise ValueError(f"a negative number at byte {self.at - 4}")
        return int(value)

    def skip(self, n: int) -> None:
        self.at += n
        if self.at > len(self.content):
            raise ValueError(f"it ends at byte {len(self.content)} instead of {self.at}")


def _walk(content: bytes, size_of_data: int) -> None:
    cursor, kind = _Cursor(content), content[:4]
    cursor.skip(4)
    if kind == b"TBI\1":
        n_contigs, depth = cursor.number(), 5
        _check_columns(cursor)
    elif kind == b"CSI\1":
        min_shift, depth = cursor.number(), cursor.number()
        if not 0 < min_shift + 3 * depth <= 62:
            raise ValueError(f"bins of 2^{min_shift} bases in {depth} levels")
        auxiliary = cursor.number()
        end = cursor.at + auxiliary
        if auxiliary:
            _check_columns(cursor)
        if cursor.at > end:
            raise ValueError("its names are longer than stated")
        cursor.skip(end - cursor.at)
        n_contigs = cursor.number()
    else:
        raise ValueError("it does not begin as one")
    # Behind the bins of all levels comes one that has no lines but their numbers.
    last_bin = (8 ** (depth + 1) - 1) // 7 + 1
    for _ in range(n_contigs):
        for _ in range(cursor.number()):
            if cursor.number() > last_bin:
                raise ValueError(f"a bin beyond {last_bin} at byte {cursor.at - 4}")
            cursor.skip(0 if kind == b"TBI\1" else 8)
            _check_chunks(cursor, size_of_data)
        if kind == b"TBI\1":
            cursor.skip(8 * cursor.number())


def _check_chunks(cursor: _Cursor, size_of_data: int) -> None:
    """Check the begin and end of each chunk of a bin: places of blocks in the file, above 16 bits of the place within.

    One bin of a contig has the numbers of its lines instead in its second chunk; these are small.
    """
    for _ in range(cursor.number()):
        begin, end = cursor.offset(), cursor.offset()
        if max(begin, end) >> 16 > size_of_data:
            raise ValueError(f"a place behind the end of the file at byte {cursor.at - 16}")


def _check_columns(cursor: _Cursor) -> None:
    """Check format, columns, first letter of comments, lines before the first one, and the names."""
    for most in (0x10002, 100, 100, 100, 255, 2**31):
        if cursor.number() > most:
            raise ValueError(f"a number beyond {most} at byte {cursor.at - 4}")
    length = cursor.number()
    cursor.skip(length)
    if length and cursor.content[cursor.at - 1] != 0:
        raise ValueError("its names are not ended")
