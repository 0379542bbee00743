"""Files with a tabix index (``.tbi`` or ``.csi`` beside them), of which only what lies near some regions is read."""

import io
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from methmix.errors import InputError
from methmix.formats.beginning import Beginning
from methmix.formats.genomes import bare_chrom
from methmix.formats.regions import Integers
from methmix.formats.tabix_index import check_index
from methmix.formats.text import Columns, read_rows

if TYPE_CHECKING:
    import pysam

_LINES_PER_BLOCK = 200_000
# What pysam raises of a damaged index, or of one that belongs to another file.
_UNREADABLE = (OSError, ValueError, EOFError, NotImplementedError, OverflowError, zlib.error, UnicodeError)
# The empty block that ends a BGZF file (SAM specification, section 4.1.2).
_LAST_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")

# Chromosome by `bare_chrom` -> first and last position, 0-based and half-open, of each window; in any order.
Windows = Mapping[str, tuple[Integers, Integers]]


def has_index(path: Path) -> bool:
    """Whether a file has an index; by the index one would not notice that a file is truncated, so that is an error."""
    if _index(path) is None:
        return False
    with path.open("rb") as raw:
        raw.seek(-min(len(_LAST_BLOCK), path.stat().st_size), 2)
        if raw.read() != _LAST_BLOCK:
            raise InputError(f"{path}: is truncated: it does not end as bgzip ends a file", "copy it again")
    return True


def fetched_rows(
    beginning: Beginning, columns: Columns, windows: Windows, sep: str = "", gap: int = 0
) -> Iterator[pd.DataFrame]:
    """Read, as `read_rows` does, each row once that may lie in a window; windows closer than ``gap`` are joined."""
    path = beginning.path
    try:
        with _opened(path) as file:
            lines = _fetched(file, windows, gap)
            while some := list(islice(lines, _LINES_PER_BLOCK)):
                yield from read_rows(beginning, columns, sep, rows=io.StringIO("\n".join(some)))
    except _UNREADABLE as error:
        raise _unreadable(path, error) from None


def first_rows(beginning: Beginning, starts: Mapping[str, int] | None = None) -> dict[str, str]:
    """Return the first line of each contig, or of those in ``starts`` the first behind that position, if any."""
    path, found = beginning.path, {}
    try:
        with _opened(path) as file:
            for contig in file.contigs:
                start = 0 if starts is None else starts.get(bare_chrom(contig))
                line = None if start is None else next(file.fetch(contig, start), None)
                if line is not None:
                    found[contig] = line
    except _UNREADABLE as error:
        raise _unreadable(path, error) from None
    return found


def _opened(path: Path) -> "pysam.TabixFile":
    # Of the extra `bam`, which not everyone has.
    import pysam

    if index := _index(path):
        check_index(index, path)
    return pysam.TabixFile(str(path), index=str(_index(path)))


def _index(path: Path) -> Path | None:
    beside = (path.with_name(path.name + ending) for ending in (".csi", ".tbi"))
    return next((index for index in beside if index.is_file()), None)


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path}: cannot be read with its index {_index(path)} ({error})",
        "make the index again, or remove it: the file is then read whole",
    )


def _fetched(file: "pysam.TabixFile", windows: Windows, gap: int) -> Iterator[str]:
    for contig in file.contigs:
        if bare_chrom(contig) not in windows:
            continue
        for start, end in joined(*windows[bare_chrom(contig)], gap):
            yield from file.fetch(contig, start, end)


def joined(starts: Integers, ends: Integers, gap: int) -> Iterator[tuple[int, int]]:
    """Yield windows in order of their starts, those closer than ``gap`` as one."""
    order = np.argsort(starts, kind="stable")
    starts, reach = np.maximum(starts[order], 0), np.maximum.accumulate(ends[order])
    new = np.flatnonzero(np.append(True, starts[1:] > reach[:-1] + gap))
    for first, last in zip(new, np.append(new[1:], len(starts)) - 1, strict=True):
        yield int(starts[first]), int(reach[last])
