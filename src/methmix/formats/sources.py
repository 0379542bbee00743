"""One file of any known format, opened for reading by samples."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from methmix.errors import InputError
from methmix.files.mixtures import mixture_ids, open_mixtures
from methmix.formats.cpg_index import cpg_indices
from methmix.formats.cpgs import bedmethyl_sums, bismark_sums
from methmix.formats.kinds import Kind, first_line, kind_of, sample_name
from methmix.formats.regions import RegionSet, build_name
from methmix.formats.store import Array, Store, StoredCounts
from methmix.formats.tables import Table, read_beta_samples, read_counts_samples
from methmix.formats.wgbstools import beta_counts, n_cpgs_of_beta, pat_counts

# How many CpGs a genome has in all chromosomes and scaffolds of its UCSC release, and so a .beta file.
_N_CPGS = {28_217_448: "hg19", 29_401_795: "hg38"}


@dataclass(frozen=True)
class Source:
    """Samples of one file.

    Parameters
    ----------
    names
        Their names.
    read
        Gives methylation (0-1, NaN where depth is 0) and depth of some samples, float32 [samples, n_regions].
    found
        Regions for which the file has a row or a CpG with reads, [n_regions].
    notes
        What the user should know.
    example
        A place of the file, to show beside a region of the model.
    """

    names: list[str]
    read: Callable[[slice], tuple[Array, Array]]
    found: npt.NDArray[np.bool_]
    notes: list[str]
    example: str


def open_source(path: Path, regions: RegionSet, store: Store, regions_file: Path | None, pseudo_depth: int) -> Source:
    """Read a file into the store, or open it if it can be read by samples as it is; see `open_samples`.

    Raises
    ------
    InputError
        The file is of no known format, cannot be read, or cannot give what ``regions.measure`` asks for.
    """
    kind = kind_of(path)
    if regions.measure == "fragment" and kind in {"bismark", "bedmethyl", "beta"}:
        raise InputError(
            f"{path}: has counts of CpGs, but the model's values are shares of fragments, which these cannot tell",
            "give the .pat.gz of wgbstools, or use a model of mean methylation",
        )
    match kind:
        case "mixtures":
            return _mixtures(path, regions)
        case "counts":
            return _table(read_counts_samples(path, regions, store), regions, None)
        case "beta_table":
            return _table(read_beta_samples(path, regions, store, pseudo_depth), regions, pseudo_depth)
        case _:
            return _one_sample(path, kind, regions, store, regions_file)


def _table(table: Table, regions: RegionSet, pseudo_depth: int | None) -> Source:
    def read(samples: slice) -> tuple[Array, Array]:
        methylated, depth = table.counts.read(samples)
        methylation = _fractions(methylated, depth)
        # Fractions of a region that stands there twice are averaged, which is no more depth.
        return methylation, depth if pseudo_depth is None else np.minimum(depth, np.float32(pseudo_depth))

    notes = _renamed(table.renamed)
    doubled = int((table.n_rows > 1).sum())
    if doubled:
        done = "summed" if pseudo_depth is None else "averaged"
        notes.append(f"regions that stand there more than once: {doubled}; their rows are {done}")
    if pseudo_depth is not None:
        notes.append(f"the table has no depth; every value is taken as {pseudo_depth} reads")
    if regions.measure == "fragment":
        notes.append(
            "values are taken as shares of fragments that are not unmethylated, as the model has them; "
            "the table does not say what they are"
        )
    return Source(table.names, read, table.n_rows > 0, notes, table.example)


def _one_sample(path: Path, kind: Kind, regions: RegionSet, store: Store, regions_file: Path | None) -> Source:
    if kind in {"bismark", "bedmethyl"}:
        sums = (bismark_sums if kind == "bismark" else bedmethyl_sums)(path, regions)
        counts, found, notes = (sums.methylated, sums.depth), sums.n_cpgs > 0, _renamed(sums.renamed)
        example = sums.example
    else:
        start_cpg, end_cpg = cpg_indices(regions, regions_file)
        if kind == "beta":
            _check_genome_of_beta(path, regions)
            counts, example = beta_counts(path, start_cpg, end_cpg), f"{n_cpgs_of_beta(path)} CpGs"
        else:
            counts = pat_counts(path, start_cpg, end_cpg, regions.measure, regions.chrom)
            example = ", CpG ".join(first_line(path).split("\t")[:2])
        found, notes = counts[1] > 0, []
    stored = StoredCounts(store, 1, len(regions))
    stored.append(np.arange(len(regions)), *(values.astype(np.float32)[None] for values in counts))

    def read(samples: slice) -> tuple[Array, Array]:
        methylated, depth = stored.read(samples)
        return _fractions(methylated, depth), depth

    return Source([sample_name(path)], read, found, notes, example)


def _mixtures(path: Path, regions: RegionSet) -> Source:
    with open_mixtures(path) as file:
        n, n_regions = file["mixed_methylation"].shape
        depth_shape, digest = file["depth"].shape, file.attrs.get("reference_digest")
    if n_regions != len(regions) or depth_shape != (n, n_regions):
        raise InputError(
            f"{path}: has {n_regions} regions, the model has {len(regions)}",
            "a mixtures file has no coordinates; it must be made from the model's reference",
        )
    notes = []
    if digest is None or digest != regions.reference_digest:
        notes.append(
            "the mixtures were made of another reference than the model's, or it is not known of which; "
            "their regions are taken to be the model's, in its order"
        )

    def read(samples: slice) -> tuple[Array, Array]:
        with open_mixtures(path) as file:
            methylation, depth = file["mixed_methylation"][samples], file["depth"][samples].astype(np.float32)
        wrong = (np.isnan(methylation) != (depth == 0)) | (methylation < 0) | (methylation > 1)
        if wrong.any():
            row, region = np.argwhere(wrong)[0]
            raise InputError(
                f"{path}: mixture {samples.start + row}, region {region}: methylation {methylation[row, region]}, "
                f"depth {depth[row, region]:.0f}; expected 0-1, and NaN exactly where depth is 0"
            )
        return methylation, depth

    return Source(mixture_ids(n), read, np.ones(n_regions, dtype=bool), notes, "")


def _fractions(methylated: Array, depth: Array) -> Array:
    return np.divide(methylated, depth, out=np.full_like(depth, np.nan), where=depth > 0)


def _renamed(renamed: bool) -> list[str]:
    return ["chromosomes are named otherwise than the model's (with or without chr); matched all the same"] * renamed


def _check_genome_of_beta(path: Path, regions: RegionSet) -> None:
    build = _N_CPGS.get(n_cpgs_of_beta(path))
    if build and build_name(regions.genome) in set(_N_CPGS.values()) - {build}:
        raise InputError(
            f"{path}: has as many CpGs as {build}, the model is of {regions.genome}", "use a model of that genome"
        )
