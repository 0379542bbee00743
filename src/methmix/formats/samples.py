"""Samples of any known file, lined up with the regions of a model."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from methmix.errors import InputError
from methmix.formats.regions import RegionSet, build_name
from methmix.formats.sources import Source, open_source
from methmix.formats.store import Array, Store
from methmix.formats.text import first_doubled

# Below the first share of regions found something must be wrong, below the second it is worth saying.
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
    methylation: Array
    depth: Array


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
    parts
        For each file the number of its samples and what reads some of them (`Source.read`).
    """

    def __init__(
        self,
        names: list[str],
        matching: Matching,
        parts: Sequence[tuple[int, Callable[[slice], tuple[Array, Array]]]],
    ) -> None:
        self.names, self.matching = names, matching
        self._parts = parts

    def blocks(self, size: int) -> Iterator[SampleBlock]:
        """Yield the samples in order, ``size`` at a time; memory depends on ``size`` alone.

        Raises
        ------
        InputError
            A value of a mixtures file is impossible.
        """
        for start in range(0, len(self.names), size):
            stop = min(start + size, len(self.names))
            methylation, depth = zip(*self._between(start, stop), strict=True)
            yield SampleBlock(self.names[start:stop], np.concatenate(methylation), np.concatenate(depth))

    def _between(self, start: int, stop: int) -> Iterator[tuple[Array, Array]]:
        first = 0
        for n, read in self._parts:
            here = slice(max(start - first, 0), min(stop - first, n))
            if here.start < here.stop:
                yield read(here)
            first += n


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
    """Read samples and line them up with regions.

    Counts are kept in a temporary file (8 bytes a sample and region, in ``TMPDIR``) until the block ends.

    Parameters
    ----------
    paths
        Files of any known format (`methmix.formats.kinds`), also mixed.
    regions
        The regions; tables are matched by exact coordinates, CpGs by lying inside.
    regions_file
        Regions with CpG indices, for files of wgbstools if ``regions`` has none.
    genome
        Genome build of the files, if it is known; it is held against that of the regions, if that is.
    pseudo_depth
        Depth that a value of a beta table stands for.
    names
        Names to use instead of those in the files, one for each sample.

    Raises
    ------
    InputError
        A file is of no known format, cannot be read, cannot give what ``regions.measure`` asks for, or has fewer
        than 5 % of the regions; the genome is another one; two samples have the same name.
    """
    if not paths:
        raise InputError("there is no file with samples")
    if genome is not None and build_name(regions.genome) not in {build_name(genome), "unknown"}:
        raise InputError(
            f"the samples are of genome {genome}, the model is of {regions.genome}",
            "count the samples over the model's regions in its genome, or use a model of theirs",
        )
    found, notes, own_names, parts = np.zeros(len(regions), dtype=bool), [], [], []
    with Store.open() as store:
        for path in paths:
            source = open_source(path, regions, store, regions_file, pseudo_depth)
            few = _check_found(path, source, regions, genome)
            where = f"{path.name}: " if len(paths) > 1 else ""
            notes += [f"{where}{note}" for note in [*few, *source.notes]]
            found |= source.found
            own_names += source.names
            parts.append((len(source.names), source.read))
        matching = Matching(len(regions), int(found.sum()), notes)
        yield Samples(_checked_names(own_names, names), matching, parts)


def _check_found(path: Path, source: Source, regions: RegionSet, genome: str | None) -> list[str]:
    n_found, n = int(source.found.sum()), len(regions)
    if n_found == 0 or n_found < _TOO_FEW * n:
        raise InputError(
            f"{path}: only {n_found} of the model's {n} regions are in it; "
            f"the file has for example {source.example}, the model {regions.name(0)}",
            f"is it of another genome build (the model: {regions.genome}; the file: {genome or 'not said'}), "
            "of another set of regions, or almost without reads?",
        )
    return [f"only {n_found} of {n} regions are in it"] if n_found < _FEW * n else []


def _checked_names(own: list[str], given: list[str] | None) -> list[str]:
    if given is not None and len(given) != len(own):
        raise InputError(f"there are {len(given)} names, but {len(own)} samples in the files")
    names = own if given is None else given
    doubled = first_doubled(names)
    if doubled is not None:
        raise InputError(f"sample {doubled} is there twice", "give each sample its own name")
    return names
