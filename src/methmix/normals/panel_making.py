"""Making a panel of normals of the controls in a samples sheet, for the model of a checkpoint."""

import logging
from argparse import Namespace
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from methmix import provenance, seeds
from methmix.errors import InputError
from methmix.formats.samples import SampleBlock, open_samples
from methmix.mixtures.drawn_donors import draw_donors
from methmix.models.deconvolver import Deconvolver
from methmix.models.prediction import Array, predict
from methmix.normals.panel import FEWEST, FEWEST_REGIONS, Controls, Panel, counts_of, make_panel
from methmix.reference.admixture import Admixture
from methmix.reference.inputs import data_file
from methmix.samples.aligned import chosen_blocks, reading_options, regions_of
from methmix.samples.sample_identity import Identity
from methmix.samples.sample_sheet import Sample, in_file
from methmix.tissue_profiles import Profiles
from methmix.training.batches import plan_donors
from methmix.training.checkpoint import weights_digest
from methmix.training.state import Checkpoint

logger = logging.getLogger("methmix")

# Without --background, the tissues that the model gives at least so much of the median control.
_CONSISTS_OF = 0.05


def panel_of_sheet(
    model: Deconvolver, checkpoint: Checkpoint, sheet: Sequence[Sample], background: Sequence[str] | None,
    options: Namespace,
) -> Panel:  # fmt: skip
    """Make a panel of the samples of a sheet, all of which are controls; ``options`` are those of `open_samples`.

    Parameters
    ----------
    background
        Tissues that the controls consist of; None: those that the model gives 5 % or more of the median control.
    """
    if model.profiles is None:
        raise InputError(
            "a panel of normals needs a model with the profiles of its tissues, and this one has none",
            "use the checkpoint of a sparse arm with model.backbone: reference",
        )
    names = checkpoint.tissue_names
    for name in background or []:
        if name not in names:
            hint = f"it knows {', '.join(sorted(names))}"
            raise InputError(f"--background: {name!r} is no tissue of the model", hint)
    check_number(len(sheet))
    controls, proportions = read_controls(model, checkpoint, sheet, options)
    check_number(len(controls.names))
    if background is None:
        usual = np.median(proportions, axis=0)
        background = [name for name, part in zip(names, usual, strict=True) if part >= _CONSISTS_OF]
    columns = [place for place, name in enumerate(names) if name not in background]
    if columns and not proportions.sum(axis=0)[[place for place in range(len(names)) if place not in columns]].any():
        raise InputError(
            f"--background: the model finds none of {', '.join(background) or 'no tissue'} in the controls",
            "name the tissues that plasma of healthy people consists of, such as blood cells",
        )
    if not columns or len(columns) == len(names):
        raise InputError(
            f"--background: expected some of the tissues of the model, not {'all' if not columns else 'none'}",
            f"it knows {', '.join(names)}",
        )
    left_out: list[str] = []
    while (panel := _of_some(model, checkpoint, controls, proportions, columns, left_out)).odd_controls:
        left_out += panel.odd_controls
    panel.attributes.update(modification=options.modification or checkpoint.modification, left_out=left_out)
    _report(panel)
    return panel


def _of_some(
    model: Deconvolver, checkpoint: Checkpoint, controls: Controls, proportions: Array, columns: list[int],
    left_out: Sequence[str],
) -> Panel:  # fmt: skip
    """Make a panel of the controls but for some, by their names."""
    kept = np.array([row for row, name in enumerate(controls.names) if name not in left_out], dtype=np.intp)
    if left_out and len(kept) < FEWEST:
        raise InputError(
            f"a panel of normals: expected at least {FEWEST} controls that are alike, found {len(kept)}; unlike them: "
            f"{', '.join(left_out)}",
            "are these patients, or prepared or counted otherwise? correct the sheet, or predict without a panel "
            "(--normals none)",
        )
    rng = seeds.generator(checkpoint.seed, "normals")
    return panel_of_counts(model, checkpoint, controls.chosen(kept), proportions[kept], columns, rng)


def panel_of_counts(
    model: Deconvolver, checkpoint: Checkpoint, controls: Controls, proportions: Array, columns: list[int],
    rng: np.random.Generator,
) -> Panel:  # fmt: skip
    """Make a panel of controls that are read already, for a model with profiles.

    Parameters
    ----------
    proportions
        What the model makes of the controls, [n_controls, n_tissues].
    columns
        Places of the tissues of interest.
    rng
        Draws the spiked controls.
    """
    assert model.profiles is not None  # for the type checker
    # Their order in the sheet decides nothing, as spikes are drawn for one after the other.
    controls = controls.chosen(np.argsort(controls.digests()))
    names = checkpoint.tissue_names
    others = [place for place in range(len(names)) if place not in columns]
    composition = proportions[:, others].mean(axis=0)
    attributes = {
        **model_attributes(checkpoint),
        "columns": columns,
        "background": [names[place] for place in others],
        "background_composition": (composition / composition.sum()).tolist(),
        "commit": provenance.commit(),
        "versions": provenance.versions(),
    }
    prior = float(torch.as_tensor(getattr(model.head, "prior", 0.0)).sigmoid())
    tissues = [names[place] for place in columns]
    admixture = Admixture.of_record(checkpoint.record.get("admixture", {}), model.profiles.mean)
    drawn = partial(_drawn, model.profiles, admixture, np.array(columns))
    return make_panel(controls, model.profiles.mean[columns], tissues, drawn, prior, rng, attributes)


def _drawn(
    profiles: Profiles, admixture: Admixture, columns: npt.NDArray[np.int64], tissue: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[Array, Array]:  # fmt: skip
    """Draw donors of some of the tissues of interest, as the model was trained and calibrated on.

    What looks like other tissues in a donor is taken to be blood, as in a tumour: of it nothing exceeds the controls.
    """
    plan = plan_donors(columns[tissue], admixture, None, rng)
    drawn = profiles.mean.new_empty(len(tissue), profiles.mean.shape[1])
    pure = plan._replace(foreign=np.zeros_like(plan.foreign))
    draw_donors(profiles.mean, profiles.spread, pure, drawn)
    return drawn.double().cpu().numpy(), 1 - plan.foreign.sum(axis=1).astype(np.float64)


def check_number(n: int) -> None:
    """Check that there are enough controls for a panel."""
    if n < FEWEST:
        raise InputError(
            f"a panel of normals: expected at least {FEWEST} controls, found {n}",
            "with fewer, their variation cannot be estimated: predict without a panel (--normals none)",
        )


def model_attributes(checkpoint: Checkpoint) -> dict[str, str]:
    """Describe the model that a panel is of, as it must be for a panel to be used with it."""
    return {
        "genome": checkpoint.genome,
        "region_set": checkpoint.reference_digest[:16],
        "model": weights_digest(checkpoint.model),
    }


def read_controls(
    model: Deconvolver, checkpoint: Checkpoint, sheet: Sequence[Sample], options: Namespace
) -> tuple[Controls, Array]:
    """Read the controls, and what the model makes of them, [n_controls, n_tissues].

    Those with reads in less than half of the regions are left out, with a warning.
    """
    regions = regions_of(checkpoint)
    reading = reading_options(options)
    identity = Identity.of(model, checkpoint)
    names: list[str] = []
    patients: list[str] = []
    methylated: list[npt.NDArray[np.int64]] = []
    depth: list[npt.NDArray[np.int64]] = []
    proportions: list[Array] = []
    for file in dict.fromkeys(sample.file for sample in sheet):
        own = [sample for sample in sheet if sample.file == file]
        logger.info("reading %s", file)
        path = data_file(str(file))
        with open_samples(path, regions, pseudo_depth=options.pseudo_depth, **reading) as samples:
            chosen = in_file(own, Path(file), samples.names)
            for block in chosen_blocks(samples, chosen):
                _check_identity(identity, block, chosen)
                counts = counts_of(torch.from_numpy(block.methylation), torch.from_numpy(block.depth))
                names += [chosen[name].name for name in block.names]
                patients += [chosen[name].patient for name in block.names]
                for rows, values in zip((methylated, depth), counts, strict=True):
                    rows.append(values)
                proportions.append(predict(model, block.methylation, block.depth).proportions)
    controls = Controls(names, np.concatenate(methylated), np.concatenate(depth), patients)
    n_observed = (controls.depth > 0).sum(axis=1)
    enough = n_observed >= FEWEST_REGIONS * len(regions)
    for row in np.nonzero(~enough)[0]:
        what = "control %s is left out of the panel: it has reads in %d of %d regions; expected at least %g %%"
        logger.warning(what, names[row], n_observed[row], len(regions), 100 * FEWEST_REGIONS)
    kept = np.nonzero(enough)[0]
    controls = controls.chosen(kept)
    _check_distinct(controls)
    return controls, np.concatenate(proportions)[kept]


def _check_distinct(controls: Controls) -> None:
    first: dict[str, str] = {}
    for name, digest in zip(controls.names, controls.digests(), strict=True):
        if first.setdefault(digest, name) != name:
            raise InputError(
                f"controls {first[digest]} and {name} of the panel have the same counts",
                "each control must be in the sheet once",
            )


def _check_identity(identity: Identity | None, block: SampleBlock, chosen: Mapping[str, Sample]) -> None:
    for name, correlation in zip(block.names, identity.unlike(block) if identity else [], strict=False):
        if correlation is not None:
            raise InputError(
                f"control {chosen[name].name} ({chosen[name].file}) does not resemble the reference tissues: its "
                f"methylation correlates with their mean by {correlation:.2f}; expected more than 0.3",
                "is it of another genome build than the model, or are columns swapped? python -m methmix.formats FILE "
                "says what it is",
            )


def _report(panel: Panel) -> None:
    logger.info(
        "panel of normals: %d controls, which consist of %s; %d tissues of interest, shrinkage %g; mean excess of "
        "controls %.2f %%", len(panel), ", ".join(panel.attributes["background"]), len(panel.tissues), panel.shrinkage,
        100 * float(panel.crossfitted.amounts.sum(dim=1).mean()),
    )  # fmt: skip
    if panel.left_out:
        logger.warning("%s", panel.words_of_left_out)
    for specificity in panel.specificities:
        logger.info("%s", specificity.words)
