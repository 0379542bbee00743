"""Samples of any known file, aligned to the regions of a model."""

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
from methmix.formats.regions import RegionSet, build_name
from methmix.formats.store import CountsStore
from methmix.formats.text import first_duplicate
from methmix.rows import blocks

# Below the first proportion of regions found something must be wrong, below the second it is worth saying.
_TOO_FEW, _FEW = 0.05, 0.5


class SampleBlock(NamedTuple):
    """Some samples.

    Parameters
    ----------
    names
        Name of each sample.
    methylation
        float32 [n, n_regions], 0-1, NaN where depth is 0.
    depth
        Reads (or fragments, or the stated pseudo depth) behind each value, float32 [n, n_regions].
    """

    names: list[str]
    methylation: npt.NDArray[np.float32]
    depth: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Matching:
    """How well files and regions fit.

    Parameters
    ----------
    n_regions
        Regions of the model.
    n_found
        Those for which at least one file has a row, or a CpG with reads.
    notes
        What the user should know.
    """

    n_regions: int
    n_found: int
    notes: list[str]


class Samples:
    """Samples of one or more files; see `open_samples`.

    Parameters
    ----------
    names
        Name of each sample.
    matching
        How well the files and the regions fit.
    files
        What was read from each file.
    """

    def __init__(self, names: list[str], matching: Matching, files: Sequence[Counts]) -> None:
        self.names, self.matching = names, matching
        self._files = files

    def blocks(self, size: int) -> Iterator[SampleBlock]:
        """Yield the samples in order, at most ``size`` of one file at a time; memory depends on ``size`` alone.

        Raises
        ------
        InputError
            A value of a mixtures file is impossible.
        """
        first = 0
        for counts in self._files:
            for rows in blocks(len(counts.names), size):
                methylated, depth = counts.read(rows)
                methylation = np.full(depth.shape, np.nan, dtype=np.float32)
                np.divide(methylated, depth, out=methylation, where=depth > 0, casting="same_kind")
                yield SampleBlock(self.names[first:][rows], methylation, depth.astype(np.float32))
            first += len(counts.names)


@contextmanager
def open_samples(
    paths: list[Path],
    regions: RegionSet,
    *,
    regions_file: Path | None = None,
    genome: str | None = None,
    pseudo_depth: int = 30,
    names: list[str] | None = None,
) -> Iterator[Samples]:
    """Read samples and align them to regions.

    Counts are kept in a temporary file (8 bytes per sample and region, in ``TMPDIR``) until the block ends. All files
    are checked (`check_files`) before the first one is read.

    Parameters
    ----------
    paths
        Files of any known format (`methmix.formats.file_formats`), also mixed.
    regions
        The regions; tables are matched by exact coordinates, CpGs by lying inside.
    regions_file
        Regions with CpG indices, for files of wgbstools if ``regions`` has none.
    genome
        Genome build of the files, if it is known; it is compared with that of the regions, if that is.
    pseudo_depth
        Depth that a value of a beta table stands for.
    names
        Names to use instead of those in the files, one for each sample.

    Raises
    ------
    InputError
        As for `check_files`; a file cannot be read, or has fewer than 5 % of the regions; two samples have the same
        name.
    """
    if not paths:
        raise InputError("there is no file with samples")
    with CountsStore(len(regions)) as store:
        request = Request(regions, store, regions_file, pseudo_depth, duplicates="sum")
        opened = _opened(paths, request, genome)
        sample_names = _checked_names([name for _, file in opened for name in file.names], names)
        found, notes, files = np.zeros(len(regions), dtype=bool), [], []
        for path, file in opened:
            counts = file.load()
            few = _check_found(path, counts, regions, genome)
            where = f"{path.name}: " if len(paths) > 1 else ""
            notes += [f"{where}{note}" for note in [*few, *counts.notes]]
            found |= counts.found
            files.append(counts)
        yield Samples(sample_names, Matching(len(regions), int(found.sum()), notes), files)


def check_files(
    paths: Sequence[Path], regions: RegionSet, *, regions_file: Path | None = None, genome: str | None = None
) -> dict[Path, list[str]]:
    """Check all that can be checked of files without reading them to their ends; parameters as `open_samples`.

    These are: the genome; of each file that it exists, its format, the columns of its header, the number of its CpGs
    (``.beta``) or regions (mixtures), its end (``.pat.gz`` with an index), and whether the regions have the CpG indices
    and the measure that it needs.

    Returns
    -------
    dict
        Each file, and the names of its samples.

    Raises
    ------
    InputError
        One of these is wrong.
    """
    with CountsStore(len(regions)) as store:
        request = Request(regions, store, regions_file, duplicates="sum")
        return {path: file.names for path, file in _opened(paths, request, genome)}


def _opened(paths: Sequence[Path], request: Request, genome: str | None) -> list[tuple[Path, OpenedFile]]:
    regions, _ = request.target()
    if genome is not None and build_name(regions.genome) not in {build_name(genome), "unknown"}:
        raise InputError(
            f"the samples are of genome {genome}, the model is of {regions.genome}",
            "count the samples over the model's regions in its genome, or use a model of theirs",
        )
    return [(path, open_file(path, request)) for path in paths]


def _check_found(path: Path, counts: Counts, regions: RegionSet, genome: str | None) -> list[str]:
    n_found, n = int(counts.found.sum()), len(regions)
    if n_found == 0 or n_found < _TOO_FEW * n:
        raise InputError(
            f"{path}: only {n_found} of the model's {n} regions are in it; "
            f"the file has for example {counts.example}, the model {regions.name(0)}",
            f"is it of another genome build (the model: {regions.genome}; the file: {genome or 'not stated'}), "
            "of another set of regions, or almost without reads?",
        )
    return [f"only {n_found} of {n} regions are in it"] if n_found < _FEW * n else []


def _checked_names(own: list[str], given: list[str] | None) -> list[str]:
    if given is not None and len(given) != len(own):
        raise InputError(f"there are {len(given)} names, but {len(own)} samples in the files")
    names = own if given is None else given
    duplicate = first_duplicate(names)
    if duplicate is not None:
        raise InputError(f"duplicate sample {duplicate}", "give each sample its own name")
    return names
