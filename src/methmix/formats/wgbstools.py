"""The files of wgbstools: ``.beta``, reads of every CpG, and ``.pat.gz``, the CpGs of every fragment.

CpGs are numbered from 1 along the genome.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.errors import InputError
from methmix.formats.beginning import BETA_ENDINGS, Beginning
from methmix.formats.counts import Counts, OpenedFile, Request, one_sample
from methmix.formats.genomes import bare_chrom, builds, find_build
from methmix.formats.regions import CpgRegions, Integers, Intervals, expand, sums_by_region
from methmix.formats.store import Pair
from methmix.formats.tabix import Windows, fetched_rows, first_rows, has_index
from methmix.formats.text import NAME, Columns, read_rows
from methmix.rows import first_true

# A fragment is informative about a region if it shows the state of this many of its CpGs, and counts as
# unmethylated if at most this proportion of them is methylated (Loyfer et al. 2023, doi:10.1038/s41586-022-05580-6).
MIN_CPGS_OF_FRAGMENT = 4
MAX_METHYLATED_OF_UNMETHYLATED = 0.25

# With fewer CpGs, a file is of no genome of a mammal: of a few contigs, made for a test.
_FEWEST_OF_GENOME = 1_000_000

# An index knows where fragments begin, not where they end. This many CpGs before a region is also where wgbstools
# looks for fragments that reach into it; a file with longer fragments is read whole.
_LOOK_BACK = 150
# With more regions than this, reading the whole file is faster than seeking in it.
_MAX_FETCHED_REGIONS = 10_000
# Regions before the first fragment of their chromosome that are looked for on others.
_MOST_EARLY = 100
_SEVERAL = (
    "its fragments are not sorted, or lines are repeated, as of several files one after the other; all are counted"
)
_COLUMNS: Columns = {0: ("chromosome", NAME), 1: ("first CpG", int), 2: ("pattern", object), 3: ("count", int)}


def is_beta(beginning: Beginning) -> bool:
    """Whether a file is a ``.beta`` or ``.lbeta``, by its name."""
    return beginning.path.suffix in BETA_ENDINGS


def open_beta_file(beginning: Beginning, request: Request) -> OpenedFile:
    """Open a ``.beta`` file: pairs of uint8, methylated and all reads, one pair for each CpG of the genome.

    CpGs deeper than 255 reads were scaled down to that by wgbstools; an ``.lbeta`` file has uint16 instead. A file of
    another genome than the regions' is an error, as far as the number of its CpGs shows it.
    """
    path, (regions, store) = beginning.path, request.target()
    n_cpgs = n_cpgs_of_beta(path)
    _check_n_cpgs(path, n_cpgs, regions.genome)
    last = int(request.cpg_regions.end.max(initial=1)) - 1
    if last > n_cpgs:
        raise InputError(
            f"{path}: has {n_cpgs} CpGs, but a region extends beyond CpG {last}",
            "is the file of the genome build that the regions are of?",
        )

    def load() -> Counts:
        counts = _beta_counts(path, request.cpg_regions)
        return one_sample(beginning, store, counts, counts[1] > 0, f"{n_cpgs} CpGs")

    return OpenedFile([beginning.sample_name], load)


def _check_n_cpgs(path: Path, n_cpgs: int, genome: str) -> None:
    """Refuse a file that does not have the CpGs of the regions' genome, so that its numbers mean other CpGs."""
    own = find_build(genome)
    counted = {build.n_cpgs: build.name for build in builds().values() if build.n_cpgs}
    build = counted.get(n_cpgs)
    if own is None or own.n_cpgs == n_cpgs or (build is None and (own.n_cpgs is None or n_cpgs < _FEWEST_OF_GENOME)):
        return
    if build:
        raise InputError(
            f"{path}: has as many CpGs as {build}, the regions are of {genome}",
            "use a model or reference of that genome",
        )
    raise InputError(
        f"{path}: has {n_cpgs:,} CpGs, and {own.name} of wgbstools (UCSC's release, with all scaffolds) has "
        f"{own.n_cpgs:,}: its CpG numbers mean other CpGs",
        f"make it again with the genome of `wgbstools init_genome {own.name}`, or count the reads over the regions",
    )


def _beta_counts(path: Path, regions: CpgRegions) -> Pair:
    pairs = np.memmap(path, dtype=f"<u{BETA_ENDINGS[path.suffix]}", mode="r").reshape(-1, 2)
    region, cpg = expand(regions.start - 1, regions.end - regions.start)
    reads = np.asarray(pairs[cpg])
    if (row := first_true(reads[:, 0] > reads[:, 1])) is not None:
        raise InputError(
            f"{path}: CpG {cpg[row] + 1}: {reads[row, 0]} methylated of {reads[row, 1]} reads", "is it a .beta file?"
        )
    n = len(regions.chrom)
    return sums_by_region(region, reads[:, 0], n), sums_by_region(region, reads[:, 1], n)


def n_cpgs_of_beta(path: Path) -> int:
    """Count the CpGs of a ``.beta`` or ``.lbeta`` file, which depend on the genome only."""
    size, of_cpg = path.stat().st_size, 2 * BETA_ENDINGS[path.suffix]
    if size % of_cpg:
        raise InputError(
            f"{path}: has {size} bytes; expected {of_cpg} for each CpG", "the file is truncated; copy it again"
        )
    return size // of_cpg


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
        counts = _pat_counts(beginning, regions)
        example = ", CpG ".join(beginning.line.split("\t")[:2])
        return one_sample(beginning, request.target()[1], counts, counts[1] > 0, example)

    return OpenedFile([beginning.sample_name], load)


def _pat_counts(beginning: Beginning, regions: CpgRegions) -> Pair:
    """Count methylated (for ``fragment``: not unmethylated) and all CpGs or fragments of each region."""
    path = beginning.path
    counter = _Counter(path, regions)
    if _is_fetched(path, len(regions.chrom)):
        _check_contigs(beginning, regions)
        for block in fetched_rows(beginning, _COLUMNS, _windows(regions)):
            counter.add(block)
        if counter.longest <= _LOOK_BACK:
            return counter.methylated, counter.depth
        counter = _Counter(path, regions)
    for block in read_rows(beginning, _COLUMNS):
        counter.add(block)
    if counter.is_unsorted or counter.n_repeated:
        beginning.notes[_SEVERAL] = None
    return counter.methylated, counter.depth


def _is_fetched(path: Path, n_regions: int) -> bool:
    return n_regions <= _MAX_FETCHED_REGIONS and has_index(path)


def _windows(regions: CpgRegions) -> Windows:
    """Give where fragments begin that may reach into a region; pysam counts from 0, CpGs are counted from 1."""
    names = np.array([bare_chrom(name) for name in regions.chrom])
    rows_of = {str(name): names == name for name in np.unique(names)}
    return {name: (regions.start[rows] - 1 - _LOOK_BACK, regions.end[rows] - 1) for name, rows in rows_of.items()}


def _check_contigs(beginning: Beginning, regions: CpgRegions) -> None:
    """Check that the CpG numbers of the regions are on their chromosomes in the file too.

    Fetched by chromosome, fragments alone do not show that their numbers are those of another chromosome.
    """
    names = np.array([bare_chrom(name) for name in regions.chrom], dtype=object)
    contigs = {bare_chrom(contig): _first_cpg(line) for contig, line in first_rows(beginning).items()}
    first = np.array([contigs.get(name, 0) for name in names])
    follows = {
        name: min((other for other in contigs.values() if other > cpg), default=np.inf) for name, cpg in contigs.items()
    }
    for region in np.flatnonzero(regions.start >= np.array([follows.get(name, np.inf) for name in names]))[:1]:
        found = max(
            (name for name in contigs if contigs[name] <= regions.start[region]), key=lambda name: contigs[name]
        )
        raise _other_chromosome(beginning.path, int(regions.start[region]), found, names[region])
    # Before the first fragment of their chromosome: there are none, or they are on the chromosome before.
    for region in np.flatnonzero((regions.end <= first) & (regions.end > regions.start))[:_MOST_EARLY]:
        here = first_rows(beginning, dict.fromkeys(contigs, int(regions.start[region]) - 1))
        for contig, line in here.items():
            if bare_chrom(contig) != names[region] and _first_cpg(line) < regions.end[region]:
                raise _other_chromosome(beginning.path, _first_cpg(line), contig, names[region])


def _first_cpg(line: str) -> int:
    return int(line.split("\t")[1])


def _other_chromosome(path: Path, cpg: int, found: str, expected: str) -> InputError:
    return InputError(
        f"{path}: has CpG {cpg} on {found}, the regions have it on chromosome {expected}",
        "is the file of the genome build that the regions are of?",
    )


class _Counter:
    """Sums the CpGs or fragments of the blocks of a ``.pat.gz`` file by region."""

    def __init__(self, path: Path, regions: CpgRegions) -> None:
        self._path, self._regions = path, regions
        self._chrom = np.array([bare_chrom(name) for name in regions.chrom], dtype=object)
        self._intervals = Intervals(regions.start, regions.end)
        self.methylated, self.depth = np.zeros((2, len(regions.chrom)), dtype=np.int64)
        self.longest = self._last = self.n_repeated = 0
        self.is_unsorted = False

    def add(self, block: pd.DataFrame) -> None:
        """Add the fragments of a block (columns of ``_COLUMNS``)."""
        first, patterns = block["first CpG"].to_numpy(), block["pattern"].to_numpy()
        length = np.fromiter(map(len, patterns), dtype=np.int64, count=len(patterns))
        self.longest = max(self.longest, int(length.max(initial=0)))
        self.is_unsorted |= bool((np.diff(first, prepend=self._last) < 0).any())
        self._last = int(first[-1])
        fragment, region = self._intervals.overlapping(first, first + length)
        hit, fragment = np.unique(fragment, return_inverse=True)
        self.n_repeated += int(block.iloc[hit].duplicated(["first CpG", "pattern"]).sum())
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
        if (pair := first_true(bare[names.cat.codes.to_numpy()][fragment] != self._chrom[region])) is not None:
            cpg, expected = self._regions.start[region[pair]], self._chrom[region[pair]]
            raise _other_chromosome(self._path, int(cpg), names.iloc[fragment[pair]], expected)
