"""The ``.beta`` files of wgbstools: methylated and all reads of every CpG of a genome, numbered from 1."""

from pathlib import Path

import numpy as np

from methmix.errors import InputError
from methmix.formats.counts import Counts, OpenedFile, Request, one_sample
from methmix.formats.regions import CpgRegions, build_name, expand, sums_by_region
from methmix.formats.store import Pair
from methmix.formats.text import Beginning

# How many CpGs a genome has in all chromosomes and scaffolds of its UCSC release, and so a .beta file.
_N_CPGS = {28_217_448: "hg19", 29_401_795: "hg38"}


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
            f"{path}: has {n_cpgs} CpGs, but a region ends behind CpG {last}",
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
