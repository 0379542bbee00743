"""Make a reference, with its donors split, from the settings of an experiment."""

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from methmix import provenance, seeds
from methmix.config.experiment import Experiment
from methmix.config.sources import (
    ArrayAtlasReference,
    BetaTableReference,
    CountsReference,
    DonorFilesReference,
    MarkerRegions,
    PatternH5Reference,
    SimulatedReference,
    UxmAtlasReference,
)
from methmix.errors import InputError
from methmix.files.reference import SPLITS, Reference, Split, write_reference
from methmix.reference.donor_files import read_donor_files
from methmix.reference.donor_identity import check_donors, check_regions
from methmix.reference.donors import DonorCounts, merge_tissues, read_table_donors
from methmix.reference.pattern_h5 import read_pattern_donors
from methmix.reference.profiles import select_markers
from methmix.reference.simulator import simulate_donors
from methmix.reference.split import check_given_split, split_donors
from methmix.reference.uxm_atlas import read_atlas_donors
from methmix.rows import first_true

logger = logging.getLogger("methmix")

# Part of the regions in which a donor has reads, at least; with fewer, something must be wrong, as for a sample.
_TOO_FEW = 0.05

# A source: its settings -> what reads or draws its donors.
_SOURCES: dict[type, Callable[[Any, np.random.Generator], DonorCounts]] = {
    SimulatedReference: simulate_donors,
    CountsReference: lambda settings, _: read_table_donors(settings),
    BetaTableReference: lambda settings, _: read_table_donors(settings),
    UxmAtlasReference: read_atlas_donors,
    ArrayAtlasReference: read_atlas_donors,
    PatternH5Reference: lambda settings, _: read_pattern_donors(settings),
    DonorFilesReference: lambda settings, _: read_donor_files(settings),
}


def build_reference(experiment: Experiment) -> Reference:
    """Make the reference of an experiment, its donors split."""
    settings = experiment.reference
    donors = _SOURCES[type(settings)](settings, seeds.generator(experiment.seed, "reference", "donors"))
    tissues = merge_tissues(donors.tissues, getattr(settings, "merge_tissues", {}))
    if len(set(tissues)) < 2:
        raise InputError(
            f"reference: expected at least two tissues, found {sorted(set(tissues))}", "add donors of another tissue"
        )
    _check_spelling(tissues)
    split = _split(experiment, donors, tissues)
    order = sorted(range(len(donors.names)), key=lambda i: (tissues[i], donors.names[i]))
    reference = Reference(
        methylated=donors.methylated[order],
        depth=donors.depth[order],
        donors=[donors.names[i] for i in order],
        tissues=[tissues[i] for i in order],
        split=[split[i] for i in order],
        regions=donors.regions,
        attributes=_attributes(experiment, donors.inputs),
        known_composition=_composition(donors, tissues, order),
    )
    _check_observed(reference)
    notes = donors.notes
    if not type(settings).drawn_donors:
        notes += check_donors(reference)
    notes += check_regions(reference, str(reference.attributes["genome"]))
    if isinstance(settings.regions, MarkerRegions):
        k, n_regions = settings.regions.top_k_per_tissue, len(reference.regions)
        reference = select_markers(reference, k)
        notes.append(
            f"{len(reference.regions)} of {n_regions} regions are kept: the {k} most informative marker regions of "
            "each tissue in the training donors"
        )
        _check_observed(reference)
    notes.extend(_split_notes(reference))
    reference.attributes["notes"] = json.dumps(notes)
    return reference


def write_built(experiment: Experiment, output: Path) -> None:
    """Make the reference of an experiment, write it, and log what the user should know."""
    reference = build_reference(experiment)
    write_reference(output, reference)
    n_donors, n_tissues = len(reference.donors), len(reference.tissue_names)
    logger.info("%s: %d donors of %d tissues, %d regions", output, n_donors, n_tissues, len(reference.regions))
    for note in json.loads(reference.attributes["notes"]):
        logger.warning("%s", note)


def _check_spelling(tissues: list[str]) -> None:
    """Refuse tissues that differ in upper and lower case or spaces alone: they would be two."""
    first: dict[str, str] = {}
    for tissue in tissues:
        plain = re.sub(r"[\s_]+", "", tissue.casefold())
        if first.setdefault(plain, tissue) != tissue:
            raise InputError(
                f"reference: tissues {first[plain]!r} and {tissue!r} differ in their spelling alone",
                "write a tissue in the same way for all its donors, or join the two by reference.merge_tissues",
            )


def _split(experiment: Experiment, donors: DonorCounts, tissues: list[str]) -> list[Split]:
    settings = experiment.reference.split
    if donors.splits is None:
        return split_donors(donors.names, tissues, settings, seeds.generator(experiment.seed, "reference", "split"))
    if settings.fold:
        raise InputError(
            f"reference.split.fold: {settings.fold}: the sample sheet states which donors are in which split",
            "remove its column split, or repeats.folds",
        )
    split = cast(list[Split], donors.splits)
    check_given_split(donors.names, tissues, split, settings)
    return split


def _composition(donors: DonorCounts, tissues: list[str], order: list[int]) -> npt.NDArray[np.float32] | None:
    """Put what is known of the donors' composition in the order of donors and of (maybe merged) tissues."""
    if donors.composition is None:
        return None
    merged = dict(zip(donors.tissues, tissues, strict=True))
    columns = np.array([merged[name] for name in sorted(merged)])
    of_merged = [donors.composition[:, columns == name].sum(axis=1) for name in sorted(set(columns))]
    return np.stack(of_merged, axis=1)[order].astype(np.float32)


def _check_observed(reference: Reference) -> None:
    n_observed, n = (reference.depth > 0).sum(axis=1), len(reference.regions)
    if (row := first_true((n_observed == 0) | (n_observed < _TOO_FEW * n))) is not None:
        raise InputError(
            f"reference: donor {reference.donors[row]} has reads in {n_observed[row]} of {n} regions; expected at "
            f"least {100 * _TOO_FEW:g} %",
            "is its file of another genome build, or of other regions? count its reads over these, or remove the donor",
        )
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
        "genome": getattr(settings, "genome", "none (simulated)"),
        "measure": getattr(settings, "measure", "fragment" if settings.source == "uxm_atlas" else "cpg"),
        "modification": getattr(settings, "modification", "5mC+5hmC"),
        "settings": settings.model_dump_json(),
        "licence": settings.licence,
        "terms_of_use": settings.terms_of_use,
        "sha256": json.dumps({name: provenance.sha256(path) for name, path in inputs.items()}),
        "versions": json.dumps(provenance.versions()),
    }


def _split_notes(reference: Reference) -> list[str]:
    lent = {split: reference.shared_tissues(split) for split in SPLITS}
    return [
        f"{split} mixtures of {', '.join(tissues)} take fresh reads of training donors, "
        f"there being too few donors: their {split} errors are optimistic"
        for split, tissues in lent.items()
        if tissues
    ]
