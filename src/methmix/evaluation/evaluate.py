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
from methmix.config.recipes import BackgroundRecipe
from methmix.errors import InputError
from methmix.evaluation import error_tables
from methmix.evaluation.bootstrap import with_intervals
from methmix.evaluation.controls import Context
from methmix.evaluation.estimates import Estimates, estimate, with_probability
from methmix.evaluation.look_alikes import grouped
from methmix.files.atomic import write_csv, write_text
from methmix.files.mixtures import Mixtures, read_mixtures
from methmix.files.reference import Reference, read_reference
from methmix.models.prediction import Prediction
from methmix.scores import Scores

logger = logging.getLogger("methmix")


def evaluate_files(options: argparse.Namespace) -> None:
    """Evaluate what a command line names (`methmix.evaluation.__main__`)."""
    evaluate_arm(
        options.arm,
        load_experiment(options.config),
        read_reference(options.reference),
        read_mixtures(options.validation),
        read_mixtures(options.test),
        options.checkpoint,
        options.output,
    )


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

    Whatever is chosen or calibrated is chosen on ``validation``; ``test`` is only predicted and scored.

    Raises
    ------
    InputError
        Files do not belong together, or a trained arm has no checkpoint.
    """
    for split, mixtures in (("validation", validation), ("test", test)):
        _check(split, mixtures, reference)
    started = time.monotonic()
    context = Context(reference, experiment, test.attributes["phase"])
    estimates = estimate(arm, context, validation, test, checkpoint)
    prediction = with_probability(estimates, validation)
    seconds = time.monotonic() - started
    content = {
        "arm": arm,
        "phase": context.phase,
        "split": "test",
        "n_mixtures": len(test),
        **_metrics(experiment, test, prediction),
        **_costs(estimates, seconds),
        "choices": estimates.choices,
        "presence_probability": "own" if prediction is estimates.test else "isotonic, fitted on validation",
        "notes": json.loads(reference.attributes["notes"]),
        "provenance": _provenance(experiment, estimates),
    }
    write_text(output / "metrics.json", json.dumps(content, indent=2) + "\n")
    tables = error_tables.all_tables(reference, test, prediction, estimates.dial, *_bootstrap(experiment))
    for name, table in tables.items():
        write_csv(output / f"{name}.csv", table)
    logger.info(
        "%s: MAE %.4f, %.3f false-positive and %.3f missed tissues per mixture; %s",
        arm,
        content["mae"],
        content["spurious_per_mixture"],
        content["missed_per_mixture"],
        output / "metrics.json",
    )


def _check(split: str, mixtures: Mixtures, reference: Reference) -> None:
    if mixtures.attributes.get("reference_digest") != reference.content_digest:
        raise InputError(
            f"the {split} mixtures were made of another reference", "make them again: python -m methmix.mixtures"
        )
    if mixtures.attributes.get("split") != split:
        raise InputError(f"the {split} mixtures are those of split {mixtures.attributes.get('split')!r}")


def _bootstrap(experiment: Experiment) -> tuple[int, int]:
    """Give the number of resamples, and their seed."""
    return experiment.evaluation.n_bootstrap, seeds.integer(experiment.seed, "bootstrap")


def _metrics(experiment: Experiment, test: Mixtures, prediction: Prediction) -> dict[str, Any]:
    """Compute every metric with its interval, and those with look-alikes joined where the experiment names some."""
    background = _background(experiment, test)
    scores = Scores(
        test.proportions.astype(np.float64),
        prediction.proportions,
        prediction.presence_probability,
        prediction.low,
        prediction.high,
        background=[test.tissue_names.index(name) for name in background],
    )
    content: dict[str, Any] = {"background": background, **dict(with_intervals(scores, *_bootstrap(experiment)))}
    if groups := experiment.evaluation.look_alikes:
        merged = grouped(test.tissue_names, groups, scores.true, scores.predicted, scores.given("probability"))
        content["grouped"] = {"groups": groups, **dict(with_intervals(Scores(*merged), *_bootstrap(experiment)))}
    return content


def _background(experiment: Experiment, test: Mixtures) -> list[str]:
    """Name the tissues of the background; none where the phase has no such thing."""
    recipe = experiment.mixtures.recipes.get(test.attributes["phase"])
    return sorted(recipe.composition) if isinstance(recipe, BackgroundRecipe) else []


def _costs(estimates: Estimates, seconds: float) -> dict[str, Any]:
    record = estimates.record
    return {
        "train_seconds": record["train_seconds"],
        "peak_memory_mb": record.get("peak_memory_mb") or round(provenance.peak_memory_mb(), 1),
        "n_parameters": record["n_parameters"],
        "predict_seconds": round(seconds, 3),
    }


def _provenance(experiment: Experiment, estimates: Estimates) -> dict[str, Any]:
    of_training = ("device", "host", "commit", "best_epoch", "warm_start")
    return {
        "experiment": experiment.name,
        "seed": experiment.seed,
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "training": {name: estimates.record[name] for name in of_training if name in estimates.record},
    }
