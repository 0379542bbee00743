"""Run the suite: make the situations, ask every method, compare with what is expected, and write the results."""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from methmix import arms, cli, provenance, seeds
from methmix.config.experiment import Experiment
from methmix.config.load import load_experiment
from methmix.config.phases import Recipe
from methmix.errors import InputError
from methmix.evaluation.controls import CONTROLS, Context
from methmix.evaluation.estimates import load_for, predict_mixtures
from methmix.files.atomic import all_or_none, write_csv, write_text
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference, read_reference
from methmix.mixtures.recipes import draw_proportions
from methmix.models.prediction import Array, Prediction
from methmix.robustness.answer_quality import Answers, quality, together
from methmix.robustness.expectations import expected
from methmix.robustness.robustness_page import robustness_page, words
from methmix.robustness.situation_mixtures import SituationMixer
from methmix.robustness.situations import Situation, all_situations
from methmix.rows import blocks

logger = logging.getLogger("methmix")

Method = Callable[[Mixtures], Prediction]
# Mixtures are made and answered in blocks, and only the answers are kept.
_BLOCK = 50
# Draws of a recipe from which the prior of presence is counted.
_DRAWS = 2000


def run_suite(options: argparse.Namespace) -> None:
    """Run what the command line names; `InputError` if the checkpoint is not of the sparse arm."""
    if options.mixtures < 1:
        raise InputError(f"--mixtures: {options.mixtures}: expected at least 1")
    experiment, reference = load_experiment(options.config), read_reference(options.reference)
    model, checkpoint = load_for(options.checkpoint, reference)
    arm, phase = checkpoint.arm["arm"], checkpoint.arm["phase"]
    if arm != arms.MAIN:
        raise InputError(
            f"{options.checkpoint}: is a checkpoint of arm {arm}, expected {arms.MAIN}",
            "name the checkpoint_best.pt of that arm",
        )
    if phase not in experiment.mixtures.recipes:
        raise InputError(
            f"{options.checkpoint}: is of {phase}, of which {options.config} has no recipe",
            "name the configuration of the experiment that it was trained in",
        )
    context = Context(reference, experiment, phase)
    methods: dict[str, Method] = {
        arm: partial(predict_mixtures, model),
        **{name: partial(CONTROLS[name], context) for name in arms.names("control", detection=True)},
    }
    found = measure(experiment.seed, reference, experiment.mixtures.recipes[phase], methods, options.mixtures)
    write_suite(options.output, _record(experiment, reference, phase, found))


def measure(
    seed: int, reference: Reference, recipe: Recipe, methods: Mapping[str, Method], n: int
) -> list[dict[str, Any]]:
    """Measure every method in every situation, with ``n`` mixtures of most.

    Every block of mixtures has a random stream of its own, named after what is in it: another situation, method or
    number of mixtures changes no other one.
    """
    mixer, names = SituationMixer(reference), reference.tissue_names
    prior = prior_presence(seed, recipe, names)
    situations = all_situations(recipe, len(names))
    found = []
    for situation in cli.progress(situations, "situations", len(situations)):
        answers = _answers(seed, mixer, situation, methods, n * situation.times)
        found.append(judged(situation, answers, prior))
    return found


def prior_presence(seed: int, recipe: Recipe, tissue_names: list[str]) -> Array:
    """Count how often each tissue is in the mixtures of a recipe, [n_tissues], 0-1."""
    drawn = draw_proportions(recipe, tissue_names, _DRAWS, seeds.generator(seed, "robustness", "prior"))
    return np.asarray((drawn > 0).mean(axis=0))


def _answers(
    seed: int, mixer: SituationMixer, situation: Situation, methods: Mapping[str, Method], n: int
) -> dict[str, Answers]:
    parts: dict[str, list[Answers]] = {name: [] for name in methods}
    own = ("robustness", situation.kind, situation.name)
    for rows in blocks(n, _BLOCK):
        laboratory = seeds.generator(seed, *own, "laboratory")
        mixtures = mixer.draw(situation, rows.stop - rows.start, seeds.generator(seed, *own, rows.start), laboratory)
        for name, method in methods.items():
            parts[name].append(Answers.of(method(mixtures), mixtures))
    return {name: together(of_method) for name, of_method in parts.items()}


def judged(situation: Situation, answers: Mapping[str, Answers], prior: Array) -> dict[str, Any]:
    """Measure the answers of all methods in a situation, and judge those of the main arm.

    ``mae_over_<control>`` and ``auc_minus_<control>`` compare it with a control in the mixtures that it answers.
    """
    main = answers[arms.MAIN]
    of_methods = {name: quality(of_method, prior) for name, of_method in answers.items()}
    compared = {}
    for name, of_method in answers.items():
        if name != arms.MAIN:
            one, other = (quality(own, prior) for own in (main.only(of_method.answered), of_method.only(main.answered)))
            compared[f"mae_over_{name}"] = one["mae"] / other["mae"] if other["mae"] else float("nan")
            compared[f"auc_minus_{name}"] = one["auc"] - other["auc"]
    values = of_methods[arms.MAIN] | compared
    verdicts = [expectation.judge(values[expectation.quantity]) for expectation in expected(situation)]
    return {
        "group": situation.kind,
        "situation": situation.name,
        "depth": situation.depth,
        "n": len(main.answered),
        "methods": of_methods,
        "compared": compared,
        "expectations": [verdict for verdict in verdicts if verdict is not None],
    }


def _record(experiment: Experiment, reference: Reference, phase: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    recipe = experiment.mixtures.recipes[phase]
    verdicts = [verdict["held"] for situation in found for verdict in situation["expectations"]]
    return {
        "phase": phase,
        "held": sum(verdicts),
        "not_held": len(verdicts) - sum(verdicts),
        "prior_presence": float(prior_presence(experiment.seed, recipe, reference.tissue_names).mean()),
        "situations": found,
        "shared_tissues": reference.shared_tissues("test"),
        "composition_known": reference.known_composition is not None,
        "notes": json.loads(reference.attributes["notes"]),
        "provenance": provenance.of_measurement(experiment.name, experiment.seed, reference.content_digest),
    }


def suite_table(found: list[dict[str, Any]]) -> pd.DataFrame:
    """Tabulate the suite, one row per situation and method; what is not held stands in the rows of the main arm."""
    rows = []
    for situation in found:
        broken = [verdict["quantity"] for verdict in situation["expectations"] if not verdict["held"]]
        head = {name: situation[name] for name in ("group", "situation", "depth", "n")}
        for method, values in situation["methods"].items():
            compared = situation["compared"] if method == arms.MAIN else {}
            not_held = "; ".join(broken) if method == arms.MAIN else ""
            rows.append({**head, "method": method, **values, **compared, "not_held": not_held})
    return pd.DataFrame(rows)


@all_or_none()
def write_suite(output: Path, record: dict[str, Any]) -> None:
    """Write ``robustness.json``, ``robustness.csv`` and ``report.html``; what is not held goes to standard output."""
    for situation in record["situations"]:
        title = f"{situation['group']}, {situation['situation']}"
        for verdict in situation["expectations"]:
            if not verdict["held"]:
                sys.stdout.write(f"not held: {title}: {words(verdict)}\n")
    write_csv(output / "robustness.csv", suite_table(record["situations"]))
    write_text(output / "robustness.json", json.dumps(_plain(record), indent=2, allow_nan=False) + "\n")
    write_text(output / "report.html", robustness_page(record))
    logger.info("%d expectations held, %d not held; %s", record["held"], record["not_held"], output / "report.html")


def _plain(value: Any) -> Any:
    """Replace what JSON has no number for by null."""
    if isinstance(value, dict):
        return {name: _plain(own) for name, own in value.items()}
    if isinstance(value, list):
        return [_plain(own) for own in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
