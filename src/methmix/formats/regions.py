"""The regions that samples are lined up with."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from methmix.errors import InputError

Measure = Literal["cpg", "fragment"]

# To note where chromosomes match by `bare_chrom` only.
RENAMED = "chromosomes are named otherwise than the model's (with or without chr); matched all the same"


@dataclass(frozen=True)
class RegionSet:
    """Regions of a model or a reference, in its order.

    Parameters
    ----------
    chrom, start, end
        Coordinates as in BED: 0-based, half-open; n_regions each.
    genome
        Such as hg38, or "none (simulated)".
    start_cpg, end_cpg
        The same regions in CpG indices of wgbstools, half-open, the genome's first CpG being 1; or None.
    measure
        What a value is: ``cpg``, the mean over reads and CpGs, or ``fragment``, the proportion of fragments that are
        not unmethylated (UXM).
    reference_digest
        Content digest of the reference that the regions are from, or None if it is not known.

    Raises
    ------
    InputError
        A region is a duplicate.
    """

    chrom: list[str]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    genome: str
    start_cpg: npt.NDArray[np.int64] | None
    end_cpg: npt.NDArray[np.int64] | None
    measure: Measure
    reference_digest: str | None = None

    def __post_init__(self) -> None:
        if len(self.rows) < len(self):
            raise InputError(f"regions: {len(self) - len(self.rows)} of {len(self)} are duplicates")

    def __len__(self) -> int:
        return len(self.chrom)

    @cached_property
    def rows(self) -> dict[tuple[str, int, int], int]:
        """Number of the region with these coordinates; the chromosome is named as `bare_chrom` does."""
        names = map(bare_chrom, self.chrom)
        return {key: row for row, key in enumerate(zip(names, self.start.tolist(), self.end.tolist(), strict=True))}

    def find(self, chrom: Iterable[str], start: Iterable[int], end: Iterable[int]) -> npt.NDArray[np.int64]:
        """Give the number of each region with exactly these coordinates, -1 where there is none."""
        keys = zip(map(bare_chrom, chrom), start, end, strict=True)
        return np.fromiter((self.rows.get(key, -1) for key in keys), dtype=np.int64)

    def name(self, row: int) -> str:
        """``chrom:start-end`` of a region."""
        return f"{self.chrom[row]}:{self.start[row]}-{self.end[row]}"


class CpgRegions(NamedTuple):
    """Regions as files of wgbstools need them.

    Parameters
    ----------
    chrom
        Chromosome of each region.
    start, end
        First CpG and that after the last, int64 [n_regions]; the first CpG of the genome is 1.
    measure
        As in `RegionSet`.
    """

    chrom: list[str]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    measure: Measure


class Intervals:
    """Half-open intervals on one axis, which may overlap, to be asked for in any number at once.

    Parameters
    ----------
    start, end
        int64 [n_intervals], in any order.
    """

    def __init__(self, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> None:
        self._order = np.argsort(start, kind="stable")
        self._start, self._end = start[self._order], end[self._order]
        # How far the intervals up to this one reach: sorted also where one lies inside another.
        self._reach = np.maximum.accumulate(self._end)

    def overlapping(
        self, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Find all pairs of a query [start, end) and an interval that share at least one position.

        Returns
        -------
        query, interval
            Numbers of the two, int64 [n_pairs], sorted by query.
        """
        first = np.searchsorted(self._reach, start, side="right")
        stop = np.searchsorted(self._start, end, side="left")
        query, interval = expand(first, np.maximum(stop - first, 0))
        shared = np.minimum(self._end[interval], end[query]) - np.maximum(self._start[interval], start[query])
        return query[shared > 0], self._order[interval[shared > 0]]


def expand(
    start: npt.NDArray[np.int64], length: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Write out ranges: for each element of each range, the number of the range and the element."""
    row = np.repeat(np.arange(len(start)), length)
    return row, np.arange(len(row)) + np.repeat(start - (np.cumsum(length) - length), length)


def sums_by_region(
    region: npt.NDArray[np.int64], reads: npt.NDArray[np.integer], n_regions: int
) -> npt.NDArray[np.int64]:
    """Sum reads by the region that each belongs to."""
    # Sums of whole numbers below 2^53 are exact in float64, which is what bincount adds in.
    sums: npt.NDArray[np.int64] = np.bincount(region, weights=reads, minlength=n_regions).astype(np.int64)
    return sums


def build_name(genome: str) -> str:
    """Give the UCSC name of a genome build, in lower case."""
    return {"grch37": "hg19", "grch38": "hg38"}.get(genome.lower(), genome.lower())


@cache
def bare_chrom(name: str) -> str:
    """Give a chromosome's name without ``chr``, so that ``chr1`` equals ``1`` and ``chrM`` equals ``MT``."""
    bare = name.removeprefix("chr")
    return "MT" if bare == "M" else bare
