"""Predictions of a part: without some regions, or among some tissues only."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from methmix.errors import InputError
from methmix.formats.bed import read_bed
from methmix.formats.genomes import bare_chrom
from methmix.formats.regions import Intervals, RegionSet
from methmix.formats.samples import SampleBlock
from methmix.nnls import normalise, weighted_nnls
from methmix.prediction.sample_results import Cohort, SampleResult

_OF_TISSUES = ("proportions", "presence_probability", "proportion_logits", "low", "high", "error", "limit")
_SCALED = {"proportions", "low", "high", "error", "limit"}


def excluded_regions(path: Path | None, regions: RegionSet) -> npt.NDArray[np.bool_]:
    """Find the regions of a model that overlap those of a BED file, [n_regions]; none without a file."""
    excluded = np.zeros(len(regions), dtype=bool)
    if path is None:
        return excluded
    bed = read_bed(path, cpg_indices=False)
    names = np.array([bare_chrom(name) for name in regions.chrom])
    for chrom, own in bed.groupby(bed["chrom"].map(bare_chrom)):
        rows = np.flatnonzero(names == chrom)
        intervals = Intervals(own["start"].to_numpy(), own["end"].to_numpy())
        excluded[rows[np.unique(intervals.overlapping(regions.start[rows], regions.end[rows])[0])]] = True
    if not excluded.any() or excluded.all():
        which = "all" if excluded.any() else "none"
        raise InputError(
            f"--exclude-regions: {path} overlaps {which} of the model's {len(regions)} regions",
            f"is it of the model's genome build, {regions.genome}?",
        )
    return excluded


def without_regions(block: SampleBlock, excluded: npt.NDArray[np.bool_]) -> SampleBlock:
    """Take the reads of some regions out of samples."""
    if not excluded.any():
        return block
    methylation = np.where(excluded, np.float32(np.nan), block.methylation)
    return SampleBlock(block.names, methylation, np.where(excluded, np.float32(0), block.depth))


def check_tissues(asked: Sequence[str] | None, tissues: Sequence[str], background: Sequence[str] = ()) -> None:
    """Check that at least two tissues are asked for, each once and each one of the model's, not all of background."""
    if asked is None:
        return
    if unknown := [name for name in asked if name not in tissues]:
        raise InputError(f"--tissues: the model has no {unknown[0]!r}", f"it has {', '.join(tissues)}")
    if len(set(asked)) < 2 or len(set(asked)) < len(asked):
        raise InputError("--tissues: expected at least two tissues, each once", f"the model has {', '.join(tissues)}")
    if set(asked) <= set(background):
        raise InputError(
            "--tissues: all of them are in --background, so that none is of interest", "name another tissue too"
        )


def nnls_among(
    profiles: npt.NDArray[Any], block: SampleBlock, kept: Sequence[int] | None = None
) -> npt.NDArray[np.float64]:
    """Solve for the proportions of some tissues alone, by their numbers; those of the others are 0.

    ``profiles`` are of all tissues, [n_tissues, n_regions]; returns proportions, [n_samples, n_tissues].
    """
    of = list(range(len(profiles)) if kept is None else kept)
    found = np.zeros((len(block.names), len(profiles)))
    found[:, of] = normalise(weighted_nnls(profiles[of], block.methylation, block.depth))
    return found


def among_tissues(cohort: Cohort, asked: Sequence[str] | None) -> None:
    """Reduce the results to some tissues: what the model finds of them, as proportions that sum to 1 among them.

    The model is trained for all tissues, and is not asked again: what it finds of the others is not moved to these.
    NNLS has been solved for these alone (`nnls_among`). A sample without any of them has no estimates.
    """
    if asked is None:
        return
    kept = [number for number, name in enumerate(cohort.tissues) if name in asked]
    cohort.tissues = [cohort.tissues[number] for number in kept]
    cohort.results = [_among(result, kept) for result in cohort.results]
    cohort.thinned = [_among(result, kept) for result in cohort.thinned]
    cohort.notes.append(
        f"proportions are among {', '.join(cohort.tissues)} alone (--tissues): those of the whole model, divided by "
        "their sum in each sample; nnls_proportion is solved for them alone, as if a sample had no others"
    )


def _among(result: SampleResult, kept: list[int]) -> SampleResult:
    found = result.prediction
    if found is None:
        return result
    total = float(found.proportions[kept].sum())
    if total <= 0:
        return replace(result, prediction=None, nnls=None, without_tissues=True)
    arrays: dict[str, Any] = {name: getattr(found, name) for name in _OF_TISSUES}
    own = {
        name: np.minimum(values[kept] / total, 1) if name in _SCALED else values[kept]
        for name, values in arrays.items()
        if values is not None
    }
    nnls = None if result.nnls is None else result.nnls[kept]
    return replace(result, prediction=replace(found, **own), nnls=nnls)
