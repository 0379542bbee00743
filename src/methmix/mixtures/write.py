"""Draw the mixtures of one phase and split, and write them to HDF5."""

from pathlib import Path
from typing import Any

from methmix import cli, seeds
from methmix.config.experiment import Experiment
from methmix.config.phases import Phase
from methmix.files.mixtures import MixturesWriter
from methmix.files.reference import Reference, Split
from methmix.mixtures.sampler import MixtureBatch, MixtureSampler

# Mixtures are drawn block by block, each block from its own random stream: memory does not grow with their
# number, and the first mixtures of a file stay the same if more are requested.
_BLOCK = 50


def n_mixtures(experiment: Experiment, split: Split) -> int:
    """Give the number of mixtures in the file of a split."""
    settings = experiment.mixtures
    return {"train": settings.n_train_preview, "validation": settings.n_validation, "test": settings.n_test}[split]


def write_mixtures(experiment: Experiment, reference: Reference, phase: Phase, split: Split, output: Path) -> None:
    """Draw the mixtures of a split and write them; the same seed gives the same bytes."""
    recipe = experiment.mixtures.recipes[phase]
    sampler = MixtureSampler(reference, split, recipe, experiment.mixtures.mean_depths)
    n = n_mixtures(experiment, split)
    attributes = {
        "phase": phase,
        "split": split,
        "seed": experiment.seed,
        "recipe": recipe.model_dump_json(),
        "reference_source": reference.attributes["source"],
        "reference_digest": reference.content_digest,
        "notes": reference.attributes["notes"],
    }
    starts = range(0, n, _BLOCK)
    with MixturesWriter.open(output, n, reference.regions, reference.tissue_names, attributes) as writer:
        for start in cli.progress(starts, f"{split} mixtures, blocks of {_BLOCK}", len(starts)):
            number = start // _BLOCK
            rng = seeds.generator(experiment.seed, "mixtures", phase, split, number)
            batch = sampler.sample(min(_BLOCK, n - start), rng)
            info = [
                _info(batch, row, reference, {"seed": experiment.seed, "block": number, "row": row})
                for row in range(len(batch.proportions))
            ]
            reads = batch.methylation.numpy(), batch.depth.numpy()
            writer.append(*reads, batch.proportions, batch.label_proportions, info)


def _info(batch: MixtureBatch, row: int, reference: Reference, seed: dict[str, int]) -> dict[str, Any]:
    tissues = reference.tissue_names
    labels = batch.label_proportions[row]
    present = [column for column, proportion in enumerate(labels) if proportion > 0]
    return {
        "donors": {tissues[t]: reference.donors[batch.donors[row, t]] for t in present},
        "proportions": {tissues[t]: float(labels[t]) for t in present},
        "mean_depth": float(batch.mean_depth[row]),
        "seed": seed,
    }
