"""Predict the samples of many files, block by block: memory does not grow with their number but for the results."""

import logging
from argparse import Namespace
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from methmix import cli, seeds
from methmix.errors import InputError
from methmix.formats.samples import SampleBlock, Samples, open_samples
from methmix.formats.store import CountsStore
from methmix.models.deconvolver import Deconvolver
from methmix.models.prediction import Array, Prediction
from methmix.normals.panel import Controls, Panel
from methmix.normals.panel_making import panel_of_counts
from methmix.normals.specificity import SPECIFICITIES
from methmix.prediction.against_normals import AboveNormals, beside_panel
from methmix.prediction.explanation import MOST_SAMPLES, explain
from methmix.prediction.goodness_of_fit import SHIFTED, Fit, fits_of, verdicts, words_of_shift
from methmix.prediction.presence_threshold import other_threshold, own_threshold, predict_at
from methmix.prediction.restrictions import excluded_regions, nnls_among, without_regions
from methmix.prediction.sample_results import Cohort, SampleResult, split
from methmix.prediction.thinning import predict_thinned
from methmix.prediction.unknown_component import add_unknown, check_unknown
from methmix.reference.inputs import data_file
from methmix.rows import Rows
from methmix.samples.aligned import chosen_blocks, reading_options, regions_of
from methmix.samples.sample_identity import Identity
from methmix.samples.sample_sheet import Sample, in_file
from methmix.training.state import Checkpoint

logger = logging.getLogger("methmix")

# Quantities that not every model estimates, by their names in `Prediction`.
_QUANTITIES = {
    "presence_probability": "presence probability",
    "low": "interval",
    "limit": "limit of detection",
    "misfit": "goodness of fit",
}


def predict_samples(
    model: Deconvolver, checkpoint: Checkpoint, files: list[Path], sheet: list[Sample] | None, options: Namespace,
    panel: Panel | None = None,
) -> Cohort:  # fmt: skip
    """Predict the samples of a sheet, in its order, or without one all samples of the files, as named there.

    ``options`` are those of the command: ``unknown`` for `add_unknown`, ``presence_threshold`` for `predict_at`,
    ``explain`` (None: up to `MOST_SAMPLES`) and ``background`` for `explain`, ``control_group`` and ``one_depth`` for
    `predict_thinned`, ``exclude_regions`` for `excluded_regions`, ``tissues`` for `nnls_among`, the others for
    `open_samples`. With a panel of normals, samples are compared with its controls.
    """
    if options.unknown:
        check_unknown(model, checkpoint.tissue_names)
    threshold = other_threshold(model, options.presence_threshold, panel is not None)
    regions = regions_of(checkpoint)
    paths = [data_file(str(file)) for file in files]
    reading = reading_options(options)
    identity = Identity.of(model, checkpoint)
    excluded = excluded_regions(options.exclude_regions, regions)
    cohort = Cohort(checkpoint.tissue_names, len(regions), notes=_notes(model, threshold, panel), panel=panel)
    cohort.background = options.background or ([] if panel is None else panel.attributes["background"])
    own = own_threshold(model) if panel is None else None
    cohort.presence_threshold = own if threshold is None else threshold
    at_threshold = partial(_predicted, model, threshold=threshold, panel=panel)
    asked = options.tissues or checkpoint.tissue_names
    kept = [number for number, name in enumerate(checkpoint.tissue_names) if name in asked]
    of_samples = partial(predict_block, model, threshold=threshold, kept=kept)
    with CountsStore(len(regions)) as poor_fits, CountsStore(len(regions)) as counts:
        for file, path in zip(cli.progress(files, "files", len(files)), paths, strict=True):
            logger.info("reading %s", file)
            with open_samples(path, regions, pseudo_depth=options.pseudo_depth, **reading) as samples:
                chosen = _chosen(cohort, file, samples, sheet)
                for block in chosen_blocks(samples, chosen):
                    block = without_regions(block, excluded)
                    of_block = [chosen[name] for name in block.names]
                    results = of_samples(block, of_block, samples.n_found, panel=panel, identity=identity)
                    cohort.results += results
                    if options.control_group or _explained(options, cohort, sheet):
                        counts.append(block.methylation, block.depth)
                    if options.unknown:
                        rows = [row for row, result in enumerate(results) if result.poor_fit]
                        poor_fits.append(block.methylation[rows], block.depth[rows])
        if excluded.any():
            cohort.notes.append(f"{int(excluded.sum())} of {len(regions)} regions are left out (--exclude-regions)")
        _judge(cohort)
        _warn(cohort, checkpoint.genome)
        if options.control_group:
            thin_panel = None if panel is None else partial(_panel_of, model, checkpoint, panel)
            predict_thinned(cohort, counts, of_samples, options, checkpoint.seed, thin_panel)
        if _explained(options, cohort, sheet):
            explain(cohort, counts, model, at_threshold, checkpoint.region_names)
        if options.unknown:
            add_unknown(cohort, model, poor_fits, at_threshold)
    if sheet is not None:
        place = {sample.name: number for number, sample in enumerate(sheet)}
        cohort.results.sort(key=lambda result: place[result.sample.name])
    return cohort


def _explained(options: Namespace, cohort: Cohort, sheet: list[Sample] | None) -> bool:
    """Whether the samples are explained; without a sheet, their number is known only when all have been read."""
    if options.explain is None:
        return len(cohort.results if sheet is None else sheet) <= MOST_SAMPLES
    return bool(options.explain)


def _predicted(
    model: Deconvolver, methylation: Rows, depth: Rows, threshold: float | None, panel: Panel | None
) -> Prediction:
    """Predict samples, beside a panel if there is one."""
    found = predict_at(model, methylation, depth, threshold)
    return found if panel is None else beside_panel(panel, model, found, methylation[:], depth[:], threshold)[0]


def _panel_of(model: Deconvolver, checkpoint: Checkpoint, panel: Panel, controls: Controls) -> Panel:
    """Make a panel of other controls for the same tissues of interest."""
    methylation, depth = controls.values()
    proportions = predict_at(model, methylation, depth).proportions
    rng = seeds.generator(checkpoint.seed, "normals", "one depth")
    return panel_of_counts(model, checkpoint, controls, proportions, panel.columns, rng)


def _chosen(cohort: Cohort, file: Path, samples: Samples, sheet: list[Sample] | None) -> dict[str, Sample]:
    """Choose the samples of a file by their names in it; note how well the file matches the model."""
    if sheet is None:
        chosen = {name: Sample(name, file) for name in samples.names}
    else:
        chosen = in_file([sample for sample in sheet if sample.file == file], file, samples.names)
    files = {result.sample.name: result.sample.file for result in cohort.results}
    for name in (sample.name for sample in chosen.values()):
        if name in files:
            raise InputError(f"{file}: sample {name} is in {files[name]} too", "give each its own name in a --sheet")
    n_found, notes = samples.n_found, samples.notes
    cohort.matching.append({"file": str(file), "n_samples": len(chosen), "n_regions_found": n_found, "notes": notes})
    return chosen


def predict_block(
    model: Deconvolver, block: SampleBlock, samples: list[Sample], regions_found: int, threshold: float | None = None,
    panel: Panel | None = None, identity: Identity | None = None, kept: Sequence[int] | None = None,
) -> list[SampleResult]:  # fmt: skip
    """Predict a block of samples, whose file has so many of the model's regions; ``threshold`` as for `predict_at`.

    NNLS is solved for the tissues that are ``kept`` alone; None for all.
    Those that are unlike what ``identity`` expects get no estimates.
    """
    found = predict_at(model, block.methylation, block.depth, threshold)
    # Of the reference tissues alone: what is like no control may still be a tumour.
    nothing = [fit.resembles_nothing for fit in fits_of(found, block.methylation)]
    above: Iterable[AboveNormals | None] = [None] * len(samples)
    if panel is not None:
        found, above = beside_panel(panel, model, found, block.methylation, block.depth, threshold)
    nnls: Iterable[Array | None] = [None] * len(samples)
    if model.profiles is not None:
        nnls = nnls_among(model.profiles.mean.cpu().numpy(), block, kept)
    n_observed = (block.depth > 0).sum(axis=1)
    mean_depth = block.depth.sum(axis=1, dtype=np.float64) / np.maximum(n_observed, 1)
    unlike = identity.unlike(block) if identity else [None] * len(samples)
    of_all = zip(
        samples, n_observed, mean_depth, split(found, block.depth), nnls, fits_of(found, block.methylation), above,
        unlike, nothing, strict=True,
    )  # fmt: skip
    results = []
    for sample, n, of_depth, prediction, of_nnls, fit, own, correlation, like_nothing in of_all:
        bare = SampleResult(sample, regions_found, int(n), float(of_depth), None, unlike=correlation)
        if prediction is not None:
            none = correlation is not None or like_nothing
            estimates = (None, None) if none else (prediction, of_nnls)
            bare = replace(bare, prediction=estimates[0], nnls=estimates[1], fit=fit, above_normals=own)
        results.append(bare)
    return results


def _judge(cohort: Cohort) -> None:
    """Give each sample the verdict on its fit among the others; note what most of them have in common."""
    fits = [result.fit or Fit() for result in cohort.results]
    found = verdicts(fits, shifts=cohort.panel is None)
    cohort.results = [replace(result, verdict=own) for result, own in zip(cohort.results, found, strict=True)]
    if SHIFTED in found:
        cohort.notes.append(words_of_shift(fits, found))
    if cohort.panel is not None and cohort.panel.left_out:
        cohort.notes.append(cohort.panel.words_of_left_out)
    known = set() if cohort.panel is None else set(cohort.panel.names)
    others = [own.sample.name for own in cohort.results if own.above_normals and not own.above_normals.crossfitted]
    if namesakes := [name for name in others if name in known]:
        some = ", ".join(namesakes[:5]) + (f" and {len(namesakes) - 5} more" if len(namesakes) > 5 else "")
        cohort.notes.append(
            f"{some}: named like a control of the panel of normals, but with other counts, so that each is compared "
            "with all controls: if it is that control, counted otherwise, it is in its own panel, and too little of it "
            "exceeds the controls"
        )


def _warn(cohort: Cohort, genome: str) -> None:
    silent = [result for result in cohort.results if result.prediction is None]
    for result in silent:
        logger.warning("sample %s: %s", result.sample.name, result.flags(cohort.n_regions)[0])
    if len(silent) == len(cohort.results):
        if any(result.unlike is not None for result in silent):
            first = next(result for result in silent if result.unlike is not None)
            raise InputError(
                f"no sample can be one of this model; {first.sample.name}, for example: "
                f"{first.flags(cohort.n_regions)[0]}",
                f"are the samples of another genome build than {genome}, or are columns swapped? "
                "python -m methmix.formats FILE --checkpoint C shows what is read of a file. A model of simulated "
                "donors is for simulated samples alone",
            )
        if any(result.fit for result in silent):
            raise InputError(
                f"no sample resembles any mixture of the reference tissues; {silent[0].sample.name}, for example: "
                f"{silent[0].flags(cohort.n_regions)[0]}",
                "are the values methylation (not its inverse), and counted over the model's regions?",
            )
        raise InputError(
            f"no sample has enough reads; {silent[0].sample.name}, for example, has reads in "
            f"{silent[0].regions_observed} of {cohort.n_regions} regions, {silent[0].mean_depth:.1f} on average",
            "are the samples counted over the model's regions?",
        )
    for matching in cohort.matching:
        for note in matching["notes"]:
            logger.warning("%s: %s", matching["file"], note)


def _notes(model: Deconvolver, threshold: float | None, panel: Panel | None) -> list[str]:
    """Name the quantities that a model does not estimate, and a presence threshold that is not its own."""
    missing = [words for name, words in _QUANTITIES.items() if name not in model.estimates]
    why = ""
    if "misfit" in model.estimates:
        why = ": too few small proportions were found in validation"
    elif not model.needs_depth:
        why = ": it does not use the depth of a sample"
    notes = [f"this model estimates no {', no '.join(missing)}{why}"] if missing else []
    if threshold is not None:
        otherwise = f"the model's own threshold is {own_threshold(model):g}"
        if panel is not None:
            otherwise = f"without it, tissues of interest are called at {100 * SPECIFICITIES[0]:g} % specificity"
        notes.append(
            f"only tissues with a presence probability of at least {threshold:g} have a proportion, as asked for by "
            f"--presence-threshold; {otherwise}, and limits of detection are not known at any other"
        )
    return notes
