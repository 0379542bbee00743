"""From the settings to a reference with its donors split."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from methmix import provenance, seeds
from methmix.config.experiment import Experiment
from methmix.config.sources import (
    BetaTableReference,
    CountsReference,
    MarkerRegions,
    PatternH5Reference,
    ReferenceSettings,
    SimulatedReference,
    UxmAtlasReference,
    WgbstoolsReference,
)
from methmix.errors import InputError
from methmix.files.reference import Reference
from methmix.formats.regions import Measure
from methmix.reference.beta_table import read_betas
from methmix.reference.counts import read_counts
from methmix.reference.inputs import data_file
from methmix.reference.markers import select_markers
from methmix.reference.pattern_h5 import read_patterns
from methmix.reference.samples import Donors, merge_tissues
from methmix.reference.simulator import simulate
from methmix.reference.split import check_given_split, split_donors
from methmix.reference.uxm_atlas import draw_donors, read_uxm_atlas
from methmix.reference.wgbstools import read_wgbstools


def build_reference(experiment: Experiment) -> Reference:
    """Make the reference of an experiment.

    Raises
    ------
    InputError
        The input files or the settings do not allow it.
    """
    settings = experiment.reference
    donors, inputs, notes = _read(settings, seeds.generator(experiment.seed, "reference", "donors"))
    names = donors.names
    tissues = donors.tissues
    if not isinstance(settings, SimulatedReference | UxmAtlasReference):
        tissues = merge_tissues(tissues, settings.merge_tissues)
    if len(set(tissues)) < 2:
        raise InputError(f"reference: expected at least two tissues, found {sorted(set(tissues))}")
    if donors.splits is None:
        split_rng = seeds.generator(experiment.seed, "reference", "split")
        split = split_donors(names, tissues, settings.split, split_rng)
    else:
        if settings.split.fold:
            raise InputError(
                f"reference.split.fold: {settings.split.fold}: the sample sheet says which donors are in which split",
                "remove its column split, or repeats.folds",
            )
        split = donors.splits  # type: ignore[assignment]
        check_given_split(names, tissues, split, settings.split)
    order = sorted(range(len(names)), key=lambda i: (tissues[i], names[i]))
    reference = Reference(
        methylated=donors.methylated[order],
        depth=donors.depth[order],
        donors=[names[i] for i in order],
        tissues=[tissues[i] for i in order],
        split=[split[i] for i in order],
        regions=donors.regions,
        attributes=_attributes(experiment, inputs),
    )
    _check_observed(reference)
    if isinstance(settings.regions, MarkerRegions):
        k, n_regions = settings.regions.top_k_per_tissue, len(reference.regions)
        reference = select_markers(reference, k)
        notes.append(
            f"{len(reference.regions)} of {n_regions} regions are kept: for each tissue the {k} that tell it best "
            "in the training donors"
        )
        _check_observed(reference)
    notes.extend(_split_notes(reference))
    reference.attributes["notes"] = json.dumps(notes)
    return reference


def _read(settings: ReferenceSettings, rng: np.random.Generator) -> tuple[Donors, dict[str, Path], list[str]]:
    """Give the donors of a source, the files that were read, by name, and what the user should know of them."""
    match settings:
        case SimulatedReference():
            names, tissues, regions, methylated, depth = simulate(settings, rng)
            note = "simulated: tissues and donors are drawn, no real sample is in this reference"
            return Donors(names, tissues, None, regions, methylated, depth), {}, [note]
        case CountsReference() | BetaTableReference():
            table = data_file(settings.file)
            sheet = data_file(settings.sample_sheet) if settings.sample_sheet else None
            inputs = {path.name: path for path in (table, sheet) if path}
            if isinstance(settings, CountsReference):
                return read_counts(settings, table, sheet), inputs, []
            note = (
                f"depth is not known: the table has fractions, each is taken for {settings.pseudo_depth} reads and "
                "rounded to whole ones"
            )
            return read_betas(settings, table, sheet), inputs, [note]
        case UxmAtlasReference():
            table = data_file(settings.file)
            atlas, regions, means = read_uxm_atlas(table)
            names, tissues, methylated, depth = draw_donors(atlas, means, settings, rng)
            note = (
                "donors are drawn: the atlas has tissue means only; donors are drawn around them with the "
                f"variation between real {settings.donor_variation} replicates, at pseudo-depth "
                f"{settings.pseudo_depth}; errors on real donors will be larger"
            )
            return Donors(names, tissues, None, regions, methylated, depth), {table.name: table}, [note]
        case PatternH5Reference():
            paths = [data_file(name) for name in (settings.file, settings.metadata, settings.regions_bed)]
            donors, notes = read_patterns(*paths)
            return donors, {path.name: path for path in paths}, notes
        case WgbstoolsReference():
            sheet, bed = data_file(settings.sample_sheet), data_file(settings.regions_bed)
            donors, files = read_wgbstools(settings, sheet, bed)
            return donors, {sheet.name: sheet, bed.name: bed, **files}, []


def _measure(settings: ReferenceSettings) -> Measure:
    """Tell what is counted in a region."""
    if isinstance(settings, WgbstoolsReference):
        return settings.measure
    return "fragment" if isinstance(settings, UxmAtlasReference) else "cpg"


def _check_observed(reference: Reference) -> None:
    silent = (reference.depth > 0).sum(axis=1) == 0
    if silent.any():
        raise InputError(f"reference: donor {reference.donors[int(np.argmax(silent))]} has no reads in any region")
    tissues = np.array(reference.tissues)
    seen = np.stack([(reference.depth[tissues == tissue] > 0).any(axis=0) for tissue in reference.tissue_names])
    if not seen.all(axis=0).any():
        raise InputError(
            "reference: no overlap of regions: no region was observed in every tissue",
            "were the samples counted over the same regions, in the same genome build?",
        )


def _attributes(experiment: Experiment, inputs: dict[str, Path]) -> dict[str, Any]:
    settings = experiment.reference
    return {
        "source": settings.source,
        "seed": experiment.seed,
        "genome": "none (simulated)" if isinstance(settings, SimulatedReference) else settings.genome,
        "measure": _measure(settings),
        "settings": settings.model_dump_json(),
        "sha256": json.dumps({name: provenance.sha256(path) for name, path in inputs.items()}),
        "versions": json.dumps(provenance.versions()),
    }


def _split_notes(reference: Reference) -> list[str]:
    notes = []
    for split in ("validation", "test"):
        shared = reference.shared_tissues(split)  # type: ignore[arg-type]
        if shared:
            notes.append(
                f"{split} mixtures of {', '.join(shared)} take fresh reads of training donors, "
                f"there being too few donors: their {split} errors are optimistic"
            )
    return notes
