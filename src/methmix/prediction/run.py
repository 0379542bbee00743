"""Predict the samples of many files, block by block: memory does not grow with their number but for the results."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from methmix import cli
from methmix.errors import InputError
from methmix.formats.regions import RegionSet
from methmix.formats.samples import SampleBlock, Samples, open_samples
from methmix.models.deconvolver import Deconvolver
from methmix.models.prediction import predict
from methmix.nnls import normalise, weighted_nnls
from methmix.prediction.results import Array, Run, results_of
from methmix.prediction.sheet import Sample, in_file
from methmix.prediction.spool import Spool
from methmix.prediction.unknown import add_unknown, check_unknown
from methmix.reference.inputs import data_file
from methmix.training.checkpoint import Checkpoint

logger = logging.getLogger("methmix")

_BLOCK = 128


def region_set(checkpoint: Checkpoint) -> RegionSet:
    """Give the regions of a model, which samples are lined up with.

    Raises
    ------
    InputError
        A region is there twice.
    """
    regions = checkpoint.regions
    cpgs = {name: regions[name].numpy() if name in regions else None for name in ("start_cpg", "end_cpg")}
    return RegionSet(
        chrom=regions["chrom"],
        start=regions["start"].numpy(),
        end=regions["end"].numpy(),
        genome=checkpoint.genome,
        measure="fragment" if checkpoint.measure == "fragment" else "cpg",
        reference_digest=checkpoint.identity.get("reference"),
        **cpgs,
    )


def predict_samples(
    model: Deconvolver,
    checkpoint: Checkpoint,
    files: Sequence[Path],
    sheet: list[Sample] | None = None,
    *,
    regions_file: Path | None = None,
    genome: str | None = None,
    pseudo_depth: int = 30,
    unknown: bool = False,
) -> Run:
    """Predict samples.

    Parameters
    ----------
    model, checkpoint
        As `load_model` gives them.
    files
        Where the samples are (`data_file`).
    sheet
        Which ones of the files, and in which order; by default all, under the names they have there.
    regions_file, genome, pseudo_depth
        As for `open_samples`.
    unknown
        Whether samples that do not fit may have a share of a component that the reference lacks (`add_unknown`).

    Raises
    ------
    InputError
        A file cannot be used (`open_samples`), a sample is not in its file or there twice, or the reads of no sample
        tell anything; or the model cannot tell which samples do not fit (`check_unknown`).
    """
    if unknown:
        check_unknown(model, checkpoint.tissue_names)
    regions = region_set(checkpoint)
    run = Run(checkpoint.tissue_names, len(regions), notes=_not_told(model))
    with Spool.open(len(regions)) as flagged:
        for file in cli.progress(files, "files", len(files)):
            logger.info("reading %s", file)
            with open_samples(
                [data_file(str(file))], regions, regions_file=regions_file, genome=genome, pseudo_depth=pseudo_depth
            ) as samples:
                if sheet is None:
                    chosen = {name: Sample(name, file) for name in samples.names}
                else:
                    chosen = in_file([sample for sample in sheet if sample.file == file], file, samples.names)
                _refuse_doubled(run, chosen)
                matching = samples.matching
                run.matching.append(
                    {
                        "file": str(file),
                        "n_samples": len(chosen),
                        "n_regions_found": matching.n_found,
                        "notes": matching.notes,
                    }
                )
                for block in _chosen(samples, chosen):
                    found = predict(model, block.methylation, block.depth)
                    names = [chosen[name] for name in block.names]
                    results = results_of(names, found, block.depth, matching.n_found, _nnls(model, block))
                    run.results += results
                    if unknown:
                        rows = [row for row, result in enumerate(results) if result.does_not_fit]
                        flagged.append(block.methylation[rows], block.depth[rows])
        _warn(run)
        if unknown:
            add_unknown(run, model, flagged)
    if sheet is not None:
        place = {sample.name: number for number, sample in enumerate(sheet)}
        run.results.sort(key=lambda result: place[result.sample.name])
    return run


def _chosen(samples: Samples, chosen: dict[str, Sample]) -> Iterator[SampleBlock]:
    """Yield the blocks of a file with nothing but the chosen samples in them."""
    n_blocks = -(-len(samples.names) // _BLOCK)
    for block in cli.progress(samples.blocks(_BLOCK), "samples", n_blocks):
        rows = [row for row, name in enumerate(block.names) if name in chosen]
        if len(rows) == len(block.names):
            yield block
        elif rows:
            yield SampleBlock([block.names[row] for row in rows], block.methylation[rows], block.depth[rows])


def _nnls(model: Deconvolver, block: SampleBlock) -> Array | None:
    """Deconvolve by plain depth-weighted least squares on the model's own profiles, if it has them."""
    if model.profiles is None:
        return None
    return normalise(weighted_nnls(model.profiles.mean.cpu().numpy(), block.methylation, block.depth))


def _refuse_doubled(run: Run, chosen: dict[str, Sample]) -> None:
    known = {result.sample.name: result.sample.file for result in run.results}
    for sample in chosen.values():
        if sample.name in known:
            raise InputError(
                f"{sample.file}: sample {sample.name} is in {known[sample.name]} too",
                "give each its own name in a --sheet",
            )


def _warn(run: Run) -> None:
    silent = [result for result in run.results if result.proportions is None]
    for result in silent:
        logger.warning("sample %s: %s: no numbers are given", result.sample.name, result.flags(run.n_regions)[0])
    if len(silent) == len(run.results):
        raise InputError(
            f"no sample has enough reads to say anything; {silent[0].sample.name}, for example, has reads in "
            f"{silent[0].regions_observed} of {run.n_regions} regions, {silent[0].mean_depth:.1f} on average",
            "are the samples counted over the model's regions?",
        )
    for matching in run.matching:
        for note in matching["notes"]:
            logger.warning("%s: %s", matching["file"], note)


def _not_told(model: Deconvolver) -> list[str]:
    """Say what a model cannot."""
    if "misfit" in model.estimates:
        if "limit" in model.estimates:
            return []
        return ["the limit of detection of this model is not known: too few small shares were found in validation"]
    if model.needs_depth:
        return ["this model tells no presence probability, no interval, no limit of detection and no goodness of fit"]
    return ["this model does not know how deep a sample is: it tells no interval, no limit of detection and no "
            "goodness of fit"]  # fmt: skip
