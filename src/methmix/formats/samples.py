"""Samples of a file of any known format, aligned to the regions of a model."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from methmix.errors import InputError
from methmix.formats.counts import Counts, OpenedFile, Request
from methmix.formats.file_formats import open_file
from methmix.formats.genomes import bare_chrom, build_name
from methmix.formats.manifest import read_manifest
from methmix.formats.regions import Modification, RegionSet
from methmix.formats.store import CountsStore
from methmix.formats.table_headers import is_probe
from methmix.rows import blocks, fractions

# With fewer of the regions than the first proportion something must be wrong; fewer than the second are worth a note.
_TOO_FEW, _FEW = 0.05, 0.5
# Below this probability, it is no chance that none of the regions of a chromosome is found.
_CHANCE = 1e-6


class SampleBlock(NamedTuple):
    """Some samples: methylation 0-1, NaN where not observed, and depth (or pseudo-depth), [n, n_regions] each."""

    names: list[str]
    methylation: npt.NDArray[np.float32]
    depth: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Samples:
    """Samples of a file; for ``n_found`` of the model's regions it has a row, or a CpG with reads."""

    counts: Counts
    n_found: int
    notes: list[str]

    @property
    def names(self) -> list[str]:
        """Name of each sample."""
        return self.counts.names

    def blocks(self, size: int) -> Iterator[SampleBlock]:
        """Yield the samples in order, at most ``size`` at a time; memory depends on ``size`` alone."""
        for rows in blocks(len(self.names), size):
            methylated, depth = self.counts.read(rows)
            yield SampleBlock(self.names[rows], fractions(methylated, depth), depth.astype(np.float32))


def _why_few(example: str, regions: RegionSet, genome: str | None) -> str:
    """Say why a file may have few of the regions."""
    if is_probe(regions.chrom[0]) != is_probe(example.partition(":")[0]):
        return (
            "probes of an array have a name instead of coordinates: a table of them is for a model of an array atlas "
            "(reference.source: array_atlas); one of regions with coordinates needs the array's --manifest"
        )
    return (
        f"is it of another genome build (the model: {regions.genome}; the file: {genome or 'not stated'}), "
        "of another set of regions, or almost without reads?"
    )


@contextmanager
def open_samples(
    path: Path,
    regions: RegionSet,
    *,
    regions_file: Path | None = None,
    genome: str | None = None,
    pseudo_depth: int = 30,
    zero_based: bool | None = None,
    modification: Modification | None = None,
    manifest: Path | None = None,
) -> Iterator[Samples]:
    """Read the samples of a file of any known format (`methmix.formats.file_formats`) and align them to regions.

    Counts are kept in a temporary file (8 bytes per sample and region, in ``TMPDIR``) until the block ends.

    Parameters
    ----------
    regions
        The regions; rows of tables are matched by exact coordinates, CpGs by lying inside.
    regions_file
        Regions with CpG indices, for files of wgbstools if ``regions`` has none.
    genome
        Genome build of the file, if it is known; it must be that of the regions, if that is known.
    pseudo_depth
        Depth that a value of a beta table stands for.
    zero_based, modification, manifest
        As in `Request`.
    """
    with CountsStore(len(regions)) as store:
        request = Request(regions, store, regions_file, pseudo_depth, "sum", zero_based, modification, manifest)
        counts = _open([path], request, genome)[0].load()
        n_found, n = int(counts.found.sum()), len(regions)
        if n_found == 0 or n_found < _TOO_FEW * n:
            raise InputError(
                f"{path}: only {n_found} of the model's {n} regions are in it; "
                f"the file has for example {counts.example}, the model {regions.name(0)}",
                _why_few(counts.example, regions, genome),
            )
        lacking = _lacking(counts.found, regions)
        few = [f"only {n_found} of {n} regions are in it"] if n_found < _FEW * n else []
        yield Samples(counts, n_found, [*few, *lacking, *counts.notes])


def _lacking(found: npt.NDArray[np.bool_], regions: RegionSet) -> list[str]:
    """Name the chromosomes of which a file has none of the regions, which is no chance."""
    names = np.array([bare_chrom(name) for name in regions.chrom])
    chroms, numbers = np.unique(names, return_counts=True)
    chance = (1 - found.mean()) ** numbers
    lacking = [
        regions.chrom[int((names == name).argmax())]
        for name, p in zip(chroms, chance, strict=True)
        if p < _CHANCE and not found[names == name].any()
    ]
    words = (
        f"none of the regions on {', '.join(lacking)} are in it: are these chromosomes called otherwise, or left out?"
    )
    return [words] if lacking else []


def check_files(
    paths: Sequence[Path],
    regions: RegionSet,
    *,
    regions_file: Path | None = None,
    genome: str | None = None,
    zero_based: bool | None = None,
    modification: Modification | None = None,
    manifest: Path | None = None,
) -> None:
    """Check what can be checked of files without reading them to their ends; parameters as for `open_samples`.

    These are: the genome; of each file its format, the columns of its header, the number of its CpGs (``.beta``) or
    regions (mixtures), its end (``.pat.gz`` with an index), and whether the regions have the CpG indices and the
    measure that it needs.
    """
    with CountsStore(len(regions)) as store:
        request = Request(regions, store, regions_file, 30, "sum", zero_based, modification, manifest)
        _open(paths, request, genome)


def _open(paths: Sequence[Path], request: Request, genome: str | None) -> list[OpenedFile]:
    regions, _ = request.target()
    of_probes = is_probe(regions.chrom[0])  # which are the same in all builds
    if genome is not None and not of_probes and build_name(regions.genome) not in {build_name(genome), "unknown"}:
        raise InputError(
            f"the samples are of genome {genome}, the model is of {regions.genome}",
            "count the samples over the model's regions in its genome, or use a model of that genome; a model of "
            "simulated donors is for simulated samples alone",
        )
    if request.manifest is not None:
        if of_probes:
            raise InputError(
                f"{request.manifest}: the model is of an array's probes by name, which need no places", "leave it out"
            )
        read_manifest(request.manifest).check_genome(regions.genome, genome)
    return [open_file(path, request) for path in paths]
