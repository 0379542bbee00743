"""Samples of any known file, lined up with the regions of a model."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from methmix.errors import InputError
from methmix.files import mixture_ids, open_mixtures
from methmix.formats.cpg_index import cpg_indices
from methmix.formats.cpgs import bedmethyl_sums, bismark_sums
from methmix.formats.kinds import Kind, kind_of, sample_name
from methmix.formats.regions import RegionSet
from methmix.formats.store import Store, StoredCounts
from methmix.formats.tables import Table, read_beta_samples, read_counts_samples
from methmix.formats.wgbstools import beta_counts, n_cpgs_of_beta, pat_counts

Array = npt.NDArray[np.float32]

# Below the first share of regions found something must be wrong, below the second it is worth saying.
_TOO_FEW, _FEW = 0.05, 0.5
# Names of the same genome build, and how many CpGs it has (chromosomes and scaffolds of UCSC).
_SAME_BUILD = {"grch37": "hg19", "grch38": "hg38"}
_N_CPGS = {28_217_448: "hg19", 29_401_795: "hg38"}


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


@dataclass(frozen=True)
class _File:
    """Samples of one file: `read` gives methylation and depth of some of them; `found` marks regions."""

    names: list[str]
    read: Callable[[slice], tuple[Array, Array]]
    found: npt.NDArray[np.bool_]
    notes: list[str]
    example: str


class Samples:
    """Samples of one or more files; see `open_samples`."""

    def __init__(
        self,
        names: list[str],
        parts: Sequence[tuple[int, Callable[[slice], tuple[Array, Array]]]],
        matching: Matching,
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
            values = [read(samples) for read, samples in self._between(start, stop)]
            methylation, depth = (np.concatenate(arrays) for arrays in zip(*values, strict=True))
            yield SampleBlock(self.names[start:stop], methylation, depth)

    def _between(self, start: int, stop: int) -> Iterator[tuple[Callable[[slice], tuple[Array, Array]], slice]]:
        first = 0
        for n, read in self._parts:
            here = slice(max(start - first, 0), min(stop - first, n))
            if here.start < here.stop:
                yield read, here
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
        Genome build of the files, if it is known.
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
    if genome is not None and _build(genome) != _build(regions.genome):
        raise InputError(
            f"the samples are of genome {genome}, the model is of {regions.genome}",
            "count the samples over the model's regions in its genome, or use a model of theirs",
        )
    found, notes = np.zeros(len(regions), dtype=bool), []
    own_names, parts = [], []
    with ExitStack() as stack:
        store = stack.enter_context(Store.open())
        for path in paths:
            file = _open(path, regions, store, stack, regions_file, pseudo_depth)
            few = _check_found(path, file, regions, genome)
            where = f"{path.name}: " if len(paths) > 1 else ""
            notes += [f"{where}{note}" for note in [*few, *file.notes]]
            found |= file.found
            own_names += file.names
            parts.append((len(file.names), file.read))
        matching = Matching(len(regions), int(found.sum()), notes)
        yield Samples(_checked_names(own_names, names), parts, matching)


def _open(
    path: Path, regions: RegionSet, store: Store, stack: ExitStack, regions_file: Path | None, pseudo_depth: int
) -> _File:
    kind = kind_of(path)
    if regions.measure == "fragment" and kind in {"bismark", "bedmethyl", "beta"}:
        raise InputError(
            f"{path}: has counts of CpGs, but the model's values are shares of fragments, which these cannot tell",
            "give the .pat.gz of wgbstools, or use a model of mean methylation",
        )
    match kind:
        case "mixtures":
            return _mixtures(path, regions, stack)
        case "counts":
            return _table(read_counts_samples(path, regions, store), regions, None)
        case "beta_table":
            return _table(read_beta_samples(path, regions, store, pseudo_depth), regions, pseudo_depth)
        case _:
            return _one_sample(path, kind, regions, store, regions_file)


def _table(table: Table, regions: RegionSet, pseudo_depth: int | None) -> _File:
    def read(samples: slice) -> tuple[Array, Array]:
        methylated, depth = table.counts.read(samples)
        methylation = _fractions(methylated, depth)
        # Fractions of a region that stands there twice are averaged, which is no more depth.
        return methylation, depth if pseudo_depth is None else np.minimum(depth, np.float32(pseudo_depth))

    notes = _renamed(table.renamed)
    doubled = int((table.n_rows > 1).sum())
    if doubled:
        verb = "stands" if doubled == 1 else "stand"
        done = "summed" if pseudo_depth is None else "averaged"
        notes.append(f"{_n(doubled, 'region')} {verb} there more than once; {done}")
    if pseudo_depth is not None:
        notes.append(f"the table has no depth; every value is taken as {pseudo_depth} reads")
    if regions.measure == "fragment":
        notes.append(
            "values are taken as shares of fragments that are not unmethylated, as the model has them; "
            "the table does not say what they are"
        )
    return _File(table.names, read, table.n_rows > 0, notes, table.example)


def _one_sample(path: Path, kind: Kind, regions: RegionSet, store: Store, regions_file: Path | None) -> _File:
    if kind in {"bismark", "bedmethyl"}:
        sums = (bismark_sums if kind == "bismark" else bedmethyl_sums)(path, regions)
        counts, found, notes, example = (
            (sums.methylated, sums.depth),
            sums.n_cpgs > 0,
            _renamed(sums.renamed),
            sums.example,
        )
    else:
        start_cpg, end_cpg = cpg_indices(regions, regions_file)
        if kind == "beta":
            _check_n_cpgs(path, regions)
            counts, example = beta_counts(path, start_cpg, end_cpg), f"{n_cpgs_of_beta(path)} CpGs"
        else:
            counts, example = pat_counts(path, start_cpg, end_cpg, regions.measure, regions.chrom), "fragments"
        found, notes = counts[1] > 0, []
    stored = StoredCounts(store, 1, len(regions))
    methylated, depth = (values.astype(np.float32)[None] for values in counts)
    stored.append(np.arange(len(regions)), methylated, depth)

    def read(samples: slice) -> tuple[Array, Array]:
        methylated, depth = stored.read(samples)
        return _fractions(methylated, depth), depth

    return _File([sample_name(path)], read, found, notes, example)


def _mixtures(path: Path, regions: RegionSet, stack: ExitStack) -> _File:
    file = stack.enter_context(open_mixtures(path))
    n, n_regions = file["mixed_methylation"].shape
    if n_regions != len(regions) or file["depth"].shape != (n, n_regions):
        raise InputError(
            f"{path}: has {n_regions} regions, the model has {len(regions)}",
            "a mixtures file has no coordinates; it must be made from the model's reference",
        )
    notes = []
    digest = file.attrs.get("reference_digest")
    if digest is None or digest != regions.reference_digest:
        notes.append(
            "the mixtures were made of another reference than the model's, or it is not known of which; "
            "their regions are taken to be the model's, in its order"
        )

    def read(samples: slice) -> tuple[Array, Array]:
        methylation, depth = file["mixed_methylation"][samples], file["depth"][samples].astype(np.float32)
        wrong = (np.isnan(methylation) != (depth == 0)) | (methylation < 0) | (methylation > 1)
        if wrong.any():
            row, region = np.argwhere(wrong)[0]
            raise InputError(
                f"{path}: mixture {samples.start + row}, region {region}: methylation {methylation[row, region]}, "
                f"depth {depth[row, region]:.0f}; expected 0-1, and NaN exactly where depth is 0"
            )
        return methylation, depth

    return _File(mixture_ids(n), read, np.ones(n_regions, dtype=bool), notes, "")


def _fractions(methylated: Array, depth: Array) -> Array:
    return np.divide(methylated, depth, out=np.full_like(depth, np.nan), where=depth > 0)


def _check_found(path: Path, file: _File, regions: RegionSet, genome: str | None) -> list[str]:
    n_found, n = int(file.found.sum()), len(regions)
    if n_found == 0 or n_found < _TOO_FEW * n:
        raise InputError(
            f"{path}: only {n_found} of the model's {_n(n, 'region')} are in it; "
            f"the file has for example {file.example}, the model {regions.name(0)}",
            f"is it of another genome build (the model: {regions.genome}; the file: {genome or 'not said'}), "
            "of another set of regions, or almost without reads?",
        )
    return [f"only {n_found} of {n} regions are in it"] if n_found < _FEW * n else []


def _check_n_cpgs(path: Path, regions: RegionSet) -> None:
    build = _N_CPGS.get(n_cpgs_of_beta(path))
    if build and _build(regions.genome) in set(_N_CPGS.values()) - {build}:
        raise InputError(
            f"{path}: has as many CpGs as {build}, the model is of {regions.genome}", "use a model of that genome"
        )


def _build(genome: str) -> str:
    return _SAME_BUILD.get(genome.lower(), genome.lower())


def _renamed(renamed: bool) -> list[str]:
    return ["chromosomes are named otherwise than the model's (with or without chr); matched all the same"] * renamed


def _checked_names(own: list[str], given: list[str] | None) -> list[str]:
    if given is not None and len(given) != len(own):
        raise InputError(f"{_n(len(given), 'name')} given for {_n(len(own), 'sample')}")
    names = own if given is None else given
    doubled = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if doubled:
        raise InputError(f"sample {doubled[0]} is there twice", "give each sample its own name")
    return names


def _n(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
