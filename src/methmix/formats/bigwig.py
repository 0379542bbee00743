"""Pairs of bigWig files, the methylation of single CpGs and their coverage, of which only the regions are read."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.errors import InputError
from methmix.formats.beginning import Beginning
from methmix.formats.counts import Counts, OpenedFile, Request
from methmix.formats.cpg_checks import Reading, refuse_other_contexts
from methmix.formats.cpgs import GAP, summed, windows_of
from methmix.formats.genomes import bare_chrom, builds
from methmix.formats.regions import RegionSet
from methmix.formats.tabix import joined
from methmix.rows import blocks, first_true

_MARKS = (b"\x26\xfc\x8f\x88", b"\x88\x8f\xfc\x26")
# What the name of a file of methylation has where that of its coverage has the other: those of Roadmap and Blueprint,
# and what everyone can name, or link, files by.
_WORDS = (
    ("FractionalMethylation", "ReadCoverage"),
    ("bs_call", "bs_cov"),
    ("methylation", "coverage"),
    ("Methylation", "Coverage"),
)
_WINDOWS_PER_BLOCK = 5_000
# Fractions are written with few digits; more of them than this that fit no whole number of reads are worth a note.
_TOLERANCE, _MOST_BROKEN = 0.0101, 0.01

# Of the mitochondrion, hg19 has two.
_OF_TWO_LENGTHS = "MT"

# Start, end and value of intervals, [n, 3].
Intervals = npt.NDArray[np.float64]


def is_bigwig(beginning: Beginning) -> bool:
    """Whether a file is a bigWig."""
    return beginning.head.startswith(_MARKS)


def coverage_of(path: Path) -> Path | None:
    """Find the coverage beside a file of methylation, by their names."""
    return _partner(path, dict(_WORDS))


def methylation_of(path: Path) -> Path | None:
    """Find the methylation beside a file of coverage, by their names."""
    return _partner(path, {coverage: methylation for methylation, coverage in _WORDS})


def _partner(path: Path, words: dict[str, str]) -> Path | None:
    named = (path.with_name(path.name.replace(own, other)) for own, other in words.items() if own in path.name)
    return next((other for other in named if other.is_file()), None)


def builds_of_bigwig(path: Path) -> list[str]:
    """Name the builds that have the file's chromosomes with its lengths."""
    with ExitStack() as stack:
        lengths = {bare_chrom(contig): n for contig, n in _BigWig(stack, path).lengths.items()}
        lengths.pop(_OF_TWO_LENGTHS, None)
    fits: dict[str, set[bool]] = {
        build.name: {build.lengths[chrom] == n for chrom, n in lengths.items() if chrom in build.lengths}
        for build in builds().values()
    }
    return [name for name, equal in fits.items() if equal == {True}]


def open_bigwig_pair(beginning: Beginning, request: Request) -> OpenedFile:
    """Open the methylation, fractions or percent, and the coverage beside it; both have the same single CpGs.

    A bigWig counts from 0, and has the lengths of its chromosomes, which must be those of the regions' build.
    """
    import pyBigWig  # noqa: F401 (of the extra bigwig: what lacks it is said before anything is read)

    word = next(own for own, other in _WORDS if own in beginning.path.name)
    name = re.sub(rf"[._-]*{word}", "", beginning.path.stem)
    return OpenedFile([name], partial(_load, Reading(beginning, request, fetched=True), name))


def _load(reading: Reading, name: str) -> Counts:
    path = reading.beginning.path
    coverage = coverage_of(path)
    assert coverage is not None  # else it would not have been recognised
    with ExitStack() as stack:
        pair = [_BigWig(stack, file) for file in (path, coverage)]
        for one in pair:
            _check_lengths(reading, one)
        return summed(reading, _blocks(reading, *pair), name)


class _BigWig:
    """A bigWig file that is open until the stack ends."""

    def __init__(self, stack: ExitStack, path: Path) -> None:
        import pyBigWig

        self.path = path
        try:
            self._file = stack.enter_context(closing(pyBigWig.open(str(path))))
            self.lengths: dict[str, int] = self._file.chroms()
            self.largest = float(self._file.header()["maxVal"])
        except RuntimeError:
            raise self._damaged() from None

    def intervals(self, contig: str, start: int, end: int) -> Intervals:
        """Read what lies in a window, also where the chromosome ends within it or is not in the file."""
        end = min(end, self.lengths.get(contig, 0))
        try:
            found = self._file.intervals(contig, start, end) if start < end else None
        except RuntimeError:
            raise self._damaged() from None
        return np.array(found or (), dtype=np.float64).reshape(-1, 3)

    def _damaged(self) -> InputError:
        return InputError(f"{self.path}: is a damaged or truncated bigWig file", "copy it again")


def _check_lengths(reading: Reading, file: _BigWig) -> None:
    """Refuse a file whose chromosomes are not as long as those of the build, or end before a region."""
    regions, build = reading.regions, reading.build
    ends = pd.Series(regions.end).groupby(list(map(bare_chrom, regions.chrom))).max()
    for contig, length in file.lengths.items():
        chrom = bare_chrom(contig)
        known = build.lengths.get(chrom) if build and chrom != _OF_TWO_LENGTHS else None
        if (known is not None and length != known) or length < ends.get(chrom, 0):
            expected = f"{known:,} in {reading.regions.genome}" if known else f"a region that ends at {ends[chrom]:,}"
            raise InputError(
                f"{file.path}: is of a genome whose {contig} has {length:,} bases; the model has {expected}",
                "is the file of another genome build? if not, make it again with the chromosome sizes of the build",
            )


def _blocks(reading: Reading, methylation: _BigWig, coverage: _BigWig) -> Iterator[pd.DataFrame]:
    """Yield CpGs near the regions: chromosome, start, position from 0, methylated, depth."""
    whole = 1 if methylation.largest <= 1 else 100
    n_read = n_broken = 0
    for contig, values, depth in _paired(reading.regions, methylation, coverage):
        start, fraction = values[:, 0].astype(np.int64), values[:, 2] / whole
        _check_values(contig, values, depth, whole, methylation.path, coverage.path)
        methylated = np.rint(fraction * depth)
        n_read += len(start)
        n_broken += int((np.abs(fraction * depth - methylated) > _TOLERANCE * depth + 1e-3).sum())
        counts = {"methylated": methylated.astype(np.int64), "depth": depth.astype(np.int64)}
        block = pd.DataFrame({"chromosome": contig, "start": start, "position": start, **counts})
        if n_read == len(start):
            refuse_other_contexts(reading, block)
        yield block
    if n_broken > _MOST_BROKEN * n_read:
        reading.notes[
            f"in {100 * n_broken / n_read:.0f} % of the CpGs methylation times coverage is no whole number of reads: "
            "estimates of a program, or files of two samples?"
        ] = None


def _paired(regions: RegionSet, methylation: _BigWig, coverage: _BigWig) -> Iterator[tuple[str, Intervals, Intervals]]:
    """Yield chromosome, intervals of methylation, [n, 3], and the coverage of each, [n], of some windows at a time."""
    windows = windows_of(regions)
    for contig in methylation.lengths:
        if bare_chrom(contig) not in windows:
            continue
        joint = list(joined(*windows[bare_chrom(contig)], GAP))
        for some in blocks(len(joint), _WINDOWS_PER_BLOCK):
            values, reads = (
                np.concatenate([file.intervals(contig, *window) for window in joint[some]])
                for file in (methylation, coverage)
            )
            yield contig, values, _matched(contig, values, reads, methylation.path, coverage.path)


def _matched(contig: str, values: Intervals, reads: Intervals, path: Path, coverage: Path) -> Intervals:
    """Find the coverage, [n], of each interval of methylation, [n, 3]; of more CpGs there may be coverage alone."""
    place = np.searchsorted(reads[:, 0], values[:, 0])
    beside = np.append(reads, [[-1.0, -1.0, 0.0]], axis=0)[place]
    if (row := first_true((beside[:, :2] != values[:, :2]).any(axis=1))) is not None:
        raise InputError(
            f"{path}: {contig}:{values[row, 0]:.0f}-{values[row, 1]:.0f} has methylation, but no value of its own in "
            f"{coverage}",
            "expected the same single CpGs in both; are the two of one sample?",
        )
    return beside[:, 2]


def _check_values(contig: str, values: Intervals, depth: Intervals, whole: int, path: Path, coverage: Path) -> None:
    """Check that intervals are single CpGs, methylation within its range, and coverage whole numbers."""
    span = values[:, 1] - values[:, 0]
    checks = (
        (
            (span > 2) | (span != span[:1]),
            path,
            "an interval of another length than single CpGs have: 1 or 2 bases, the same in the whole file",
            "give a bigWig of single CpGs, not of windows",
        ),
        (
            (values[:, 2] < 0) | (values[:, 2] > whole),
            path,
            f"methylation outside of 0-{whole}",
            "expected fractions 0-1 or percent; is it the file of methylation?",
        ),
        (
            (depth < 0) | (depth != np.floor(depth)),
            coverage,
            "coverage that is no whole number of reads",
            "are the two files swapped? the name of that with fractions has the word methylation",
        ),
    )
    for wrong, file, what, hint in checks:
        if (row := first_true(wrong)) is not None:
            raise InputError(
                f"{file}: {contig}:{values[row, 0]:.0f}-{values[row, 1]:.0f}: {what} (methylation {values[row, 2]:g}, "
                f"coverage {depth[row]:g})",
                hint,
            )
