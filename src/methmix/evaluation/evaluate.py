"""Evaluate one arm on the test mixtures."""

import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from methmix import provenance, seeds
from methmix.config.experiment import Experiment
from methmix.config.phases import BackgroundRecipe
from methmix.errors import InputError
from methmix.evaluation import tables
from methmix.evaluation.abundance import by_abundance
from methmix.evaluation.answers import answers_of, with_probability
from methmix.evaluation.groups import grouped
from methmix.evaluation.scores import Scores, with_intervals
from methmix.files.atomic import write_csv, write_text
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference

logger = logging.getLogger("methmix")

Array = npt.NDArray[np.float64]


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
    for name, mixtures in (("validation", validation), ("test", test)):
        if mixtures.attributes.get("reference_digest") != reference.content_digest:
            raise InputError(
                f"the {name} mixtures were made of another reference",
                "make them again: python -m methmix.mixtures",
            )
        if mixtures.attributes.get("split") != name:
            raise InputError(f"the {name} mixtures are those of split {mixtures.attributes.get('split')!r}")
    started = time.monotonic()
    answers = answers_of(arm, experiment, reference, validation, test, checkpoint)
    answer = with_probability(answers, validation)
    assert answer.probability is not None  # for the type checker: just given
    seconds = time.monotonic() - started
    true = test.proportions.astype(np.float64)
    background = _background(experiment, test)
    columns = [test.tissue_names.index(name) for name in background]
    scores = Scores(true, answer.proportions, answer.probability, answer.low, answer.high, background=columns)
    n_bootstrap, bootstrap_seed = experiment.evaluation.n_bootstrap, seeds.integer(experiment.seed, "bootstrap")
    record = answers.record
    content: dict[str, Any] = {
        "arm": arm,
        "phase": test.attributes["phase"],
        "split": "test",
        "n_mixtures": len(test),
        "background": background,
        **dict(with_intervals(scores, n_bootstrap, bootstrap_seed)),
        "train_seconds": record["train_seconds"],
        "peak_memory_mb": record.get("peak_memory_mb") or round(provenance.peak_memory_mb(), 1),
        "n_parameters": record["n_parameters"],
        "predict_seconds": round(seconds, 3),
        "choices": answers.choices,
        "presence_probability": "isotonic, fitted on validation" if answers.test.probability is None else "own",
        "notes": json.loads(reference.attributes["notes"]),
        "provenance": {
            "experiment": experiment.name,
            "seed": experiment.seed,
            "commit": provenance.commit(),
            "versions": provenance.versions(),
            "training": {k: record[k] for k in ("device", "host", "commit", "best_epoch", "warm_start") if k in record},
        },
    }
    if look_alikes := experiment.evaluation.look_alikes:
        merged = grouped(test.tissue_names, look_alikes, true, answer.proportions, answer.probability)
        content["grouped"] = {
            "groups": look_alikes,
            **dict(with_intervals(Scores(*merged), n_bootstrap, bootstrap_seed)),
        }
    write_text(output / "metrics.json", json.dumps(content, indent=2) + "\n")
    for name, table in {
        "predictions": tables.predictions(test, answer, answer.probability),
        "per_tissue": tables.per_tissue(reference, true, answer, answer.probability),
        "per_mixture": tables.per_mixture(test, true, answer.proportions),
        "by_abundance": by_abundance(true, answer.proportions, n_bootstrap, bootstrap_seed),
        "tradeoff": tables.tradeoff(true, answer),
    }.items():
        write_csv(output / f"{name}.csv", table)
    logger.info(
        "%s: MAE %.4f, spurious %.3f and missed %.3f per mixture; %s",
        arm,
        content["mae"],
        content["spurious_per_mixture"],
        content["missed_per_mixture"],
        output / "metrics.json",
    )


def _background(experiment: Experiment, test: Mixtures) -> list[str]:
    """Name the tissues of the background; none where the phase has no such thing."""
    recipe = experiment.mixtures.recipes.get(test.attributes["phase"])
    return sorted(recipe.composition) if isinstance(recipe, BackgroundRecipe) else []
