"""Write the mixtures of one phase and one split to HDF5."""

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from methmix import cli, seeds
from methmix.config.experiment import Experiment
from methmix.config.load import load_experiment
from methmix.errors import InputError
from methmix.files.mixtures import MixturesWriter
from methmix.files.reference import SPLITS, Reference, Split, read_reference
from methmix.mixtures.sampler import MixtureBatch, MixtureSampler

logger = logging.getLogger("methmix")

# Mixtures are drawn block by block, each block from its own random stream: memory does not grow with their
# number, and the first mixtures of a file stay the same if more are asked for.
_BLOCK = 50


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.mixtures", __doc__ or "")
    cli.config_option(arguments)
    arguments.add_argument("--reference", type=Path, required=True, help="reference.h5 of the experiment")
    arguments.add_argument("--phase", required=True, help="a phase of mixtures.recipes, for example phase2")
    arguments.add_argument("--split", required=True, choices=SPLITS, help="donors of which split to mix")
    arguments.add_argument("--output", type=Path, required=True, help="mixtures HDF5 to write")
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    experiment = load_experiment(options.config)
    if options.phase not in experiment.mixtures.recipes:
        raise InputError(
            f"--phase {options.phase}: {options.config} has recipes for {', '.join(experiment.mixtures.recipes)}"
        )
    reference = read_reference(options.reference)
    write_mixtures(experiment, reference, options.phase, options.split, options.output)
    logger.info("wrote %s", options.output)


def n_mixtures(experiment: Experiment, split: Split) -> int:
    """Tell how many mixtures the file of a split has."""
    settings = experiment.mixtures
    return {
        "train": settings.n_train_preview,
        "validation": settings.n_validation,
        "test": settings.n_test,
    }[split]


def write_mixtures(experiment: Experiment, reference: Reference, phase: Any, split: Split, output: Path) -> None:
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
    with MixturesWriter.open(output, n, len(reference.regions), reference.tissue_names, attributes) as writer:
        for start in cli.progress(starts, f"{split} mixtures, blocks of {_BLOCK}", len(starts)):
            number = start // _BLOCK
            rng = seeds.generator(experiment.seed, "mixtures", phase, split, number)
            batch = sampler.sample(min(_BLOCK, n - start), rng)
            info = [
                _info(batch, row, reference, {"seed": experiment.seed, "block": number, "row": row})
                for row in range(len(batch.proportions))
            ]
            writer.append(batch.methylation.numpy(), batch.depth.numpy(), batch.proportions, info)


def _info(batch: MixtureBatch, row: int, reference: Reference, seed: dict[str, int]) -> dict[str, Any]:
    tissues = reference.tissue_names
    present = [column for column, share in enumerate(batch.proportions[row]) if share > 0]
    return {
        "donors": {tissues[t]: reference.donors[batch.donors[row, t]] for t in present},
        "proportions": {tissues[t]: float(batch.proportions[row, t]) for t in present},
        "mean_depth": float(batch.mean_depth[row]),
        "seed": seed,
    }


if __name__ == "__main__":
    sys.exit(main())
