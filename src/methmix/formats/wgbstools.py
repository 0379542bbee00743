"""The files of wgbstools: ``.beta``, reads of every CpG, and ``.pat.gz``, the CpGs of every fragment.

CpGs are numbered from 1 along the genome.
"""

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.errors import InputError
from methmix.formats.counts import Counts, OpenedFile, Request, one_sample
from methmix.formats.regions import CpgRegions, Integers, Intervals, bare_chrom, build_name, expand, sums_by_region
from methmix.formats.store import Pair
from methmix.formats.text import Beginning, Columns, read_rows

if TYPE_CHECKING:
    import pysam

# How many CpGs a genome has in all chromosomes and scaffolds of its UCSC release, and so a .beta file.
_N_CPGS = {28_217_448: "hg19", 29_401_795: "hg38"}

# A fragment is informative about a region if it shows the state of this many of its CpGs, and counts as
# unmethylated if at most this proportion of them is methylated (Loyfer et al. 2023, doi:10.1038/s41586-022-05580-6).
MIN_CPGS_OF_FRAGMENT = 4
MAX_METHYLATED_OF_UNMETHYLATED = 0.25

# An index knows where fragments begin, not where they end. This many CpGs before a region is also where wgbstools
# looks for fragments that reach into it; a file with longer fragments is read whole.
_LOOK_BACK = 150
# With more regions than this, reading the whole file is faster than seeking in it.
_MAX_FETCHED_REGIONS = 10_000
_LINES_PER_BLOCK = 200_000
# The empty block that ends a BGZF file (SAM specification, section 4.1.2).
_LAST_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_COLUMNS: Columns = {0: ("chromosome", "category"), 1: ("first CpG", int), 2: ("pattern", object), 3: ("count", int)}


def open_beta_file(beginning: Beginning, request: Request) -> OpenedFile:
    """Open a ``.beta`` file: pairs of uint8, methylated and all reads, one pair for each CpG of the genome.

    CpGs deeper than 255 reads were scaled down to that by wgbstools. A file of another genome than the regions' is an
    error, as far as the number of its CpGs shows it.
    """
    path, (regions, store) = beginning.path, request.target()
    n_cpgs = n_cpgs_of_beta(path)
    build = _N_CPGS.get(n_cpgs)
    if build and build_name(regions.genome) in set(_N_CPGS.values()) - {build}:
        raise InputError(
            f"{path}: has as many CpGs as {build}, the model is of {regions.genome}", "use a model of that genome"
        )
    last = int(request.cpg_regions.end.max(initial=1)) - 1
    if last > n_cpgs:
        raise InputError(
            f"{path}: has {n_cpgs} CpGs, but a region extends beyond CpG {last}",
            "is the file of the genome build that the regions are of?",
        )

    def load() -> Counts:
        counts = _beta_counts(path, request.cpg_regions)
        return one_sample(beginning.sample_name, store, counts, counts[1] > 0, f"{n_cpgs} CpGs")

    return OpenedFile([beginning.sample_name], load)


def _beta_counts(path: Path, regions: CpgRegions) -> Pair:
    pairs = np.memmap(path, dtype=np.uint8, mode="r").reshape(-1, 2)
    region, cpg = expand(regions.start - 1, regions.end - regions.start)
    reads = np.asarray(pairs[cpg])
    impossible = reads[:, 0] > reads[:, 1]
    if impossible.any():
        row = int(np.argmax(impossible))
        raise InputError(
            f"{path}: CpG {cpg[row] + 1}: {reads[row, 0]} methylated of {reads[row, 1]} reads", "is it a .beta file?"
        )
    n = len(regions.chrom)
    return sums_by_region(region, reads[:, 0], n), sums_by_region(region, reads[:, 1], n)


def n_cpgs_of_beta(path: Path) -> int:
    """Count the CpGs of a ``.beta`` file, which depend on the genome only."""
    size = path.stat().st_size
    if size % 2:
        raise InputError(f"{path}: has {size} bytes; expected two for each CpG", "the file is truncated; copy it again")
    return size // 2


def open_pat(beginning: Beginning, request: Request) -> OpenedFile:
    """Open a ``.pat.gz`` file: chromosome, index of the first CpG, pattern (C, T, . for unknown), count; no header.

    By the measure ``cpg`` every known CpG inside a region counts. By ``fragment`` only the CpGs inside the region are
    looked at, as UXM does; a fragment counts if at least 4 of them are known, and as unmethylated if at most a quarter
    of these is methylated.

    With an index (``.csi`` or ``.tbi``) beside the file, and at most 10,000 regions, only the fragments of the regions
    are read, else all of it, in blocks. A CpG index on another chromosome than in the regions, which is a sign of
    another genome, is an error.
    """
    path, regions = beginning.path, request.cpg_regions
    _is_fetched(path, len(regions.chrom))

    def load() -> Counts:
        counts = _pat_counts(path, regions)
        example = ", CpG ".join(beginning.line.split("\t")[:2])
        return one_sample(beginning.sample_name, request.target()[1], counts, counts[1] > 0, example)

    return OpenedFile([beginning.sample_name], load)


def _pat_counts(path: Path, regions: CpgRegions) -> Pair:
    """Count methylated (for ``fragment``: not unmethylated) and all CpGs or fragments of each region."""
    counter = _Counter(path, regions)
    if _is_fetched(path, len(regions.chrom)):
        for block in _indexed_blocks(path, regions):
            counter.add(block)
        if counter.longest <= _LOOK_BACK:
            return counter.methylated, counter.depth
        counter = _Counter(path, regions)
    for block in read_rows(path, _COLUMNS):
        counter.add(block)
    return counter.methylated, counter.depth


def _index(path: Path) -> Path | None:
    beside = (path.with_name(path.name + ending) for ending in (".csi", ".tbi"))
    return next((index for index in beside if index.is_file()), None)


def _is_fetched(path: Path, n_regions: int) -> bool:
    """Choose whether fragments are fetched by the index, which would not notice that a file is truncated."""
    if _index(path) is None or n_regions > _MAX_FETCHED_REGIONS:
        return False
    with path.open("rb") as raw:
        raw.seek(-min(len(_LAST_BLOCK), path.stat().st_size), 2)
        if raw.read() != _LAST_BLOCK:
            raise InputError(f"{path}: is truncated: it does not end as bgzip ends a file", "copy it again")
    return True


def _indexed_blocks(path: Path, regions: CpgRegions) -> Iterator[pd.DataFrame]:
    # Of the extra `bam`, which not everyone has.
    import pysam

    try:
        with pysam.TabixFile(str(path), index=str(_index(path))) as file:
            lines = _fetched(file, regions)
            while some := list(islice(lines, _LINES_PER_BLOCK)):
                yield from read_rows(path, _COLUMNS, rows=io.StringIO("\n".join(some)))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read with its index {_index(path)} ({error})",
            "make the index again, or remove it: the file is then read whole",
        ) from None


def _fetched(file: "pysam.TabixFile", regions: CpgRegions) -> Iterator[str]:
    """Fetch every line once that may reach into a region."""
    names = np.array([bare_chrom(name) for name in regions.chrom])
    for contig in file.contigs:
        rows = np.flatnonzero(names == bare_chrom(contig))
        if not len(rows):
            continue
        rows = rows[np.argsort(regions.start[rows], kind="stable")]
        # What pysam takes is 0-based, CpG indices are 1-based.
        starts, ends = np.maximum(regions.start[rows] - 1 - _LOOK_BACK, 0), regions.end[rows] - 1
        reach = np.maximum.accumulate(ends)
        new = np.flatnonzero(np.append(True, starts[1:] > reach[:-1]))
        for first, last in zip(new, np.append(new[1:], len(rows)) - 1, strict=True):
            yield from file.fetch(contig, int(starts[first]), int(reach[last]))


class _Counter:
    """Sums the CpGs or fragments of the blocks of a ``.pat.gz`` file by region."""

    def __init__(self, path: Path, regions: CpgRegions) -> None:
        self._path, self._regions = path, regions
        self._chrom = np.array([bare_chrom(name) for name in regions.chrom], dtype=object)
        self._intervals = Intervals(regions.start, regions.end)
        self.methylated, self.depth = np.zeros((2, len(regions.chrom)), dtype=np.int64)
        self.longest = 0

    def add(self, block: pd.DataFrame) -> None:
        """Add the fragments of a block (columns of ``_COLUMNS``)."""
        first, patterns = block["first CpG"].to_numpy(), block["pattern"].to_numpy()
        length = np.fromiter(map(len, patterns), dtype=np.int64, count=len(patterns))
        self.longest = max(self.longest, int(length.max(initial=0)))
        fragment, region = self._intervals.overlapping(first, first + length)
        hit, fragment = np.unique(fragment, return_inverse=True)
        first, length, count = first[hit], length[hit], block["count"].to_numpy()[hit]
        self._check_chromosomes(block["chromosome"].iloc[hit], fragment, region)

        letters = self._letters(patterns[hit])
        # Sums from the first letter on, so that the CpGs of a pair (fragment, region) are one difference.
        offset = np.cumsum(length) - length
        low = offset[fragment] + np.maximum(self._regions.start[region] - first[fragment], 0)
        high = offset[fragment] + np.minimum(self._regions.end[region] - first[fragment], length[fragment])
        n_methylated, n_unmethylated = (
            np.diff(np.append(0, np.cumsum(letters == ord(letter)))[np.stack([low, high])], axis=0)[0]
            for letter in "CT"
        )
        n_known = n_methylated + n_unmethylated
        if self._regions.measure == "fragment":
            methylated = n_methylated > MAX_METHYLATED_OF_UNMETHYLATED * n_known
            counts = n_known >= MIN_CPGS_OF_FRAGMENT
            n_methylated, n_known = methylated & counts, counts
        self.methylated += sums_by_region(region, n_methylated * count[fragment], len(self.depth))
        self.depth += sums_by_region(region, n_known * count[fragment], len(self.depth))

    def _letters(self, patterns: npt.NDArray[np.object_]) -> npt.NDArray[np.uint8]:
        text = "".join(patterns)
        odd = set(text) - set("CT.")
        if odd:
            pattern = next(pattern for pattern in patterns if odd & set(pattern))
            raise InputError(
                f"{self._path}: pattern {pattern!r}: expected the letters C, T and .", "is it a .pat.gz of wgbstools?"
            )
        return np.frombuffer(text.encode(), dtype=np.uint8)

    def _check_chromosomes(self, names: pd.Series, fragment: Integers, region: Integers) -> None:
        bare = np.array([bare_chrom(name) for name in names.cat.categories], dtype=object)
        differ = bare[names.cat.codes.to_numpy()][fragment] != self._chrom[region]
        if differ.any():
            pair = int(np.argmax(differ))
            cpg, expected = self._regions.start[region[pair]], self._chrom[region[pair]]
            found = names.iloc[fragment[pair]]
            raise InputError(
                f"{self._path}: has CpG {cpg} on {found}, the regions have it on chromosome {expected}",
                "is the file of the genome build that the regions are of?",
            )
