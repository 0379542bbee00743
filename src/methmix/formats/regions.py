"""The regions that samples are aligned to."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from methmix.errors import InputError
from methmix.formats.genomes import bare_chrom

# What the value of a region is: the mean over reads and CpGs, or the proportion of fragments that are not unmethylated
# (UXM).
Measure = Literal["cpg", "fragment"]
# What counts as methylated: bisulfite and enzymatic conversion (EM-seq) do not distinguish 5hmC from 5mC.
Modification = Literal["5mC", "5mC+5hmC"]
Integers = npt.NDArray[np.int64]

# The note where chromosomes match by `bare_chrom` only.
RENAMED = "chromosome names differ from the model's (with or without chr); regions were matched nevertheless"


@dataclass(frozen=True)
class RegionSet:
    """Regions of a model or a reference, in its order, without duplicates.

    Parameters
    ----------
    chrom, start, end
        Coordinates as in BED: 0-based, half-open; n_regions each.
    genome
        Such as hg38, or "none (simulated)".
    start_cpg, end_cpg
        The same regions in CpG indices of wgbstools, half-open, the genome's first CpG being 1; or None.
    reference_digest
        Content digest of the reference that the regions are from, if it is known.
    modification
        What counts as methylated in the reference.
    """

    chrom: list[str]
    start: Integers
    end: Integers
    genome: str
    start_cpg: Integers | None
    end_cpg: Integers | None
    measure: Measure
    reference_digest: str | None = None
    modification: Modification = "5mC+5hmC"

    def __post_init__(self) -> None:
        if len(self._rows) < len(self):
            raise InputError(f"regions: {len(self) - len(self._rows)} of {len(self)} are duplicates")

    def __len__(self) -> int:
        return len(self.chrom)

    @cached_property
    def _rows(self) -> dict[tuple[str, int, int], int]:
        names = map(bare_chrom, self.chrom)
        return {key: row for row, key in enumerate(zip(names, self.start.tolist(), self.end.tolist(), strict=True))}

    def find(self, chrom: Iterable[str], start: Iterable[int], end: Iterable[int]) -> Integers:
        """Find the number of each region with exactly these coordinates, -1 where there is none."""
        keys = zip(map(bare_chrom, chrom), start, end, strict=True)
        return np.fromiter((self._rows.get(key, -1) for key in keys), dtype=np.int64)

    @cached_property
    def _intervals(self) -> dict[str, tuple[Integers, "Intervals"]]:
        names = np.array([bare_chrom(name) for name in self.chrom])
        rows_of = {str(name): np.flatnonzero(names == name) for name in np.unique(names)}
        return {name: (rows, Intervals(self.start[rows], self.end[rows])) for name, rows in rows_of.items()}

    def holding(self, chrom: str, position: Integers) -> tuple[Integers, Integers]:
        """Find all pairs of a position of one chromosome and a region that it lies in.

        Returns
        -------
        query, region
            Numbers of the two, int64 [n_pairs], sorted by query.
        """
        none = np.empty(0, dtype=np.int64)
        rows, intervals = self._intervals.get(bare_chrom(chrom), (none, Intervals(none, none)))
        query, interval = intervals.overlapping(position, position + 1)
        return query, rows[interval]

    def name(self, row: int) -> str:
        """``chrom:start-end`` of a region."""
        return f"{self.chrom[row]}:{self.start[row]}-{self.end[row]}"


class CpgRegions(NamedTuple):
    """Regions in CpG indices, [n_regions] each: the first CpG and that after the last; the genome's first is 1."""

    chrom: list[str]
    start: Integers
    end: Integers
    measure: Measure


class Intervals:
    """Half-open intervals [start, end) on one axis, int64 [n_intervals] in any order; they may overlap."""

    def __init__(self, start: Integers, end: Integers) -> None:
        self._order = np.argsort(start, kind="stable")
        self._start, self._end = start[self._order], end[self._order]
        # How far the intervals up to this one reach: sorted also where one lies inside another.
        self._reach = np.maximum.accumulate(self._end)

    def overlapping(self, start: Integers, end: Integers) -> tuple[Integers, Integers]:
        """Find all pairs of a query [start, end) and an interval that overlap.

        Returns
        -------
        query, interval
            Numbers of the two, int64 [n_pairs], sorted by query.
        """
        first = np.searchsorted(self._reach, start, side="right")
        stop = np.searchsorted(self._start, end, side="left")
        query, interval = expand(first, np.maximum(stop - first, 0))
        overlap = np.minimum(self._end[interval], end[query]) - np.maximum(self._start[interval], start[query])
        return query[overlap > 0], self._order[interval[overlap > 0]]


def expand(start: Integers, length: Integers) -> tuple[Integers, Integers]:
    """Write out ranges: for each element of each range, the number of the range and the element."""
    row = np.repeat(np.arange(len(start)), length)
    return row, np.arange(len(row)) + np.repeat(start - (np.cumsum(length) - length), length)


def sums_by_region(region: Integers, reads: npt.NDArray[np.integer], n_regions: int) -> Integers:
    """Sum reads by the region that each belongs to."""
    # Sums of whole numbers below 2^53 are exact in float64, which is what bincount adds in.
    sums: Integers = np.bincount(region, weights=reads, minlength=n_regions).astype(np.int64)
    return sums
