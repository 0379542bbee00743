"""From the settings to a reference with its donors split."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from methmix import provenance, seeds
from methmix.config.experiment import CountsReference, Experiment, SimulatedReference, UxmAtlasReference
from methmix.errors import InputError
from methmix.files import Reference
from methmix.reference.counts import read_counts
from methmix.reference.simulator import simulate
from methmix.reference.split import check_given_split, split_donors
from methmix.reference.uxm_atlas import draw_donors, read_uxm_atlas

_DATA_MARK = "METHMIX_DATA/"
# Where METHMIX_DATA/ is looked for without that variable: what `snakemake download` fills, and a folder that
# checkouts share.
_DATA_FOLDERS = ("data", "../shared/data")


def data_file(name: str) -> Path:
    """Resolve the path of an input file; a leading ``METHMIX_DATA/`` is replaced.

    Raises
    ------
    InputError
        The file does not exist.
    """
    if not name.startswith(_DATA_MARK):
        candidates = [Path(name)]
    else:
        given = os.environ.get("METHMIX_DATA")
        folders = [given] if given else list(_DATA_FOLDERS)
        candidates = [Path(folder) / name.removeprefix(_DATA_MARK) for folder in folders]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise InputError(
        f"{candidates[0]}: there is no such file",
        "fetch the public data with: snakemake download; or set METHMIX_DATA to a folder that has it"
        if name.startswith(_DATA_MARK)
        else "paths are relative to the working directory",
    )


def build_reference(experiment: Experiment) -> Reference:
    """Make the reference of an experiment.

    Raises
    ------
    InputError
        The input files or the settings do not allow it.
    """
    settings = experiment.reference
    rng = seeds.generator(experiment.seed, "reference", "donors")
    given_split = None
    inputs: dict[str, str] = {}
    notes: list[str] = []
    genome = "none (simulated)"
    match settings:
        case SimulatedReference():
            donors, tissues, regions, methylated, depth = simulate(settings, rng)
            notes.append("simulated: tissues and donors are drawn, no real sample is in this reference")
        case CountsReference():
            table = data_file(settings.file)
            sheet = data_file(settings.sample_sheet) if settings.sample_sheet else None
            inputs = {path.name: provenance.sha256(path) for path in (table, sheet) if path}
            genome = settings.genome
            donors, tissues, given_split, regions, methylated, depth = read_counts(settings, table, sheet)
        case UxmAtlasReference():
            table = data_file(settings.file)
            inputs = {table.name: provenance.sha256(table)}
            genome = settings.genome
            names, regions, means = read_uxm_atlas(table)
            donors, tissues, methylated, depth = draw_donors(names, means, settings, rng)
            notes.append(
                "donors are drawn: the atlas has tissue means only; donors are drawn around them with the "
                f"variation between real {settings.donor_variation} replicates, at pseudo-depth "
                f"{settings.pseudo_depth}; errors on real donors will be larger"
            )
    if len(set(tissues)) < 2:
        raise InputError(f"reference: expected at least two tissues, found {sorted(set(tissues))}")
    silent = (depth > 0).sum(axis=1) == 0
    if silent.any():
        raise InputError(f"reference: donor {donors[int(np.argmax(silent))]} has no reads in any region")
    seen = np.stack([(depth[[name == tissue for name in tissues]] > 0).any(axis=0) for tissue in sorted(set(tissues))])
    if not seen.all(axis=0).any():
        raise InputError(
            "reference: no overlap of regions: no region was observed in every tissue",
            "were the samples counted over the same regions, in the same genome build?",
        )
    if given_split is None:
        split_rng = seeds.generator(experiment.seed, "reference", "split")
        split = split_donors(donors, tissues, settings.split, split_rng)
    else:
        if settings.split.fold:
            raise InputError(
                f"reference.split.fold: {settings.split.fold}: the sample sheet says which donors are in which split",
                "remove its column split, or repeats.folds",
            )
        check_given_split(donors, tissues, given_split, settings.split)  # type: ignore[arg-type]
        split = given_split  # type: ignore[assignment]
    order = sorted(range(len(donors)), key=lambda i: (tissues[i], donors[i]))
    reference = Reference(
        methylated=methylated[order],
        depth=depth[order],
        donors=[donors[i] for i in order],
        tissues=[tissues[i] for i in order],
        split=[split[i] for i in order],
        regions=regions,
        attributes=_attributes(experiment, genome, inputs),
    )
    notes.extend(_split_notes(reference))
    reference.attributes["notes"] = json.dumps(notes)
    return reference


def _attributes(experiment: Experiment, genome: str, inputs: dict[str, str]) -> dict[str, Any]:
    return {
        "source": experiment.reference.source,
        "seed": experiment.seed,
        "genome": genome,
        "settings": experiment.reference.model_dump_json(),
        "sha256": json.dumps(inputs),
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
