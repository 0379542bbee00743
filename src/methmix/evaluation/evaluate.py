"""Evaluate one arm on the test mixtures."""

import argparse
import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np

from methmix import provenance, seeds
from methmix.config.experiment import Experiment
from methmix.config.load import load_experiment
from methmix.config.phases import BackgroundRecipe
from methmix.errors import InputError
from methmix.evaluation import error_tables
from methmix.evaluation.bootstrap import with_intervals
from methmix.evaluation.controls import Context
from methmix.evaluation.donor_intervals import donor_names, with_donor_intervals
from methmix.evaluation.estimates import Estimates, estimate, with_probability
from methmix.evaluation.label_error import label_correlation
from methmix.evaluation.look_alikes import grouped
from methmix.files.atomic import all_or_none, write_csv, write_text
from methmix.files.mixtures import Mixtures, matched, read_mixtures
from methmix.files.reference import Reference, read_reference
from methmix.memory import peak_memory_mb
from methmix.models.prediction import Prediction
from methmix.scores import Scores

logger = logging.getLogger("methmix")


def evaluate_files(options: argparse.Namespace) -> None:
    """Evaluate what a command line names (`methmix.evaluation.__main__`)."""
    experiment, reference = load_experiment(options.config), read_reference(options.reference)
    validation, test = read_mixtures(options.validation), read_mixtures(options.test)
    evaluate_arm(options.arm, experiment, reference, validation, test, options.checkpoint, options.output)


@all_or_none()
def evaluate_arm(
    arm: str,
    experiment: Experiment,
    reference: Reference,
    validation: Mixtures,
    test: Mixtures,
    checkpoint: Path | None,
    output: Path,
) -> None:
    """Evaluate an arm and write ``metrics.json`` and its tables, each as ``<name>.csv``.

    Everything is chosen and calibrated on ``validation``; ``test`` is only predicted and scored.
    """
    validation, test = (
        matched(mixtures, reference, f"the {split} mixtures")
        for split, mixtures in (("validation", validation), ("test", test))
    )
    for split, mixtures in (("validation", validation), ("test", test)):
        if (found := mixtures.attributes.get("split")) != split:
            raise InputError(
                f"the {split} mixtures are those of split {found!r}",
                "name the file of that split: --validation and --test are different mixtures",
            )
    phases = [mixtures.attributes.get("phase") for mixtures in (validation, test)]
    if phases[0] != phases[1] or phases[1] not in experiment.mixtures.recipes:
        raise InputError(
            f"the validation mixtures are of {phases[0]}, the test mixtures of {phases[1]}",
            "name two files of one phase of the experiment",
        )
    started = time.monotonic()
    context = Context(reference, experiment, test.attributes["phase"])
    estimates = estimate(arm, context, validation, test, checkpoint)
    prediction = with_probability(estimates, validation)
    seconds = round(time.monotonic() - started, 3)
    bootstrap = experiment.evaluation.n_bootstrap, seeds.integer(experiment.seed, "bootstrap")
    content = {
        "arm": arm,
        "phase": context.phase,
        "split": "test",
        "n_mixtures": len(test),
        **_metrics(experiment, test, prediction, bootstrap),
        "label_correlation": label_correlation(reference, test, prediction.proportions),
        **_record(context, estimates),
        "predict_seconds": seconds,
        "presence_probability": "own" if prediction is estimates.test else "isotonic, fitted on validation",
    }
    write_text(output / "metrics.json", json.dumps(content, indent=2) + "\n")
    true, predicted = test.proportions.astype(np.float64), prediction.proportions
    write_csv(output / "predictions.csv", error_tables.predictions(test, prediction))
    write_csv(output / "per_tissue.csv", error_tables.per_tissue(reference, true, prediction))
    write_csv(output / "per_mixture.csv", error_tables.per_mixture(test, true, predicted))
    write_csv(output / "by_abundance.csv", error_tables.by_abundance(true, predicted, *bootstrap))
    write_csv(output / "tradeoff.csv", error_tables.tradeoff(validation.proportions.astype(float), estimates.dial))
    summary = "%s: MAE %.4f, %.3f false-positive and %.3f missed tissues per mixture; %s"
    values = (content[name] for name in ("mae", "spurious_per_mixture", "missed_per_mixture"))
    logger.info(summary, arm, *values, output / "metrics.json")


def _metrics(
    experiment: Experiment, test: Mixtures, prediction: Prediction, bootstrap: tuple[int, int]
) -> dict[str, Any]:
    """Compute every metric with its intervals; also with look-alikes joined, if the experiment names some.

    The intervals are over mixtures, and over donors where these are real: other seeds draw others of a simulated one.
    """
    # Only some phases have a background.
    recipe = experiment.mixtures.recipes.get(test.attributes["phase"])
    background = sorted(recipe.composition) if isinstance(recipe, BackgroundRecipe) else []
    columns = [test.tissue_names.index(name) for name in background]
    given = prediction.proportions, prediction.presence_probability, prediction.low, prediction.high
    scores = Scores(test.proportions.astype(np.float64), *given, background=columns)
    content = {"background": background, **with_intervals(scores, *bootstrap)}
    if not experiment.reference.drawn_donors:
        content |= with_donor_intervals(scores, donor_names(test))
    if groups := experiment.evaluation.look_alikes:
        merged = grouped(test.tissue_names, groups, scores.true, scores.predicted, scores.probability)
        content["grouped"] = {"groups": groups, **with_intervals(Scores(*merged), *bootstrap)}
    return content


def _record(context: Context, estimates: Estimates) -> dict[str, Any]:
    """Record the cost of the training, and the provenance."""
    record = estimates.record
    of_training = ("device", "host", "commit", "best_epoch", "warm_start")
    return {
        # Of a checkpoint that was copied from where it was made, it is not known.
        "train_seconds": record.get("train_seconds"),
        "peak_memory_mb": record.get("peak_memory_mb") or round(peak_memory_mb(), 1),
        "n_parameters": record["n_parameters"],
        "choices": estimates.choices,
        "notes": json.loads(context.reference.attributes["notes"]),
        "provenance": {
            "experiment": context.experiment.name,
            "seed": context.experiment.seed,
            "commit": provenance.commit(),
            "versions": provenance.versions(),
            "training": {name: record[name] for name in of_training if name in record},
        },
    }
