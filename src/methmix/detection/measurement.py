"""Measure the limits of detection and write them."""

import argparse
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from methmix import provenance
from methmix.config.experiment import DetectionSettings, Experiment
from methmix.config.load import load_experiment
from methmix.detection.dilution import DilutionScores, score_dilutions, write_scores
from methmix.detection.scorers import Scorer, make_scorers
from methmix.detection.sensitivity import (
    detection_table,
    donor_rates,
    limits_table,
    shown_limit,
    thresholds_of,
)
from methmix.detection.stated_limits import background_name, check_stated_limits
from methmix.errors import InputError
from methmix.files.atomic import all_or_none, write_csv, write_text
from methmix.files.mixtures import matched, read_mixtures
from methmix.files.reference import Reference, Split, read_reference
from methmix.metrics import SENSITIVITY
from methmix.reference.unseen_donors import unseen_donors

logger = logging.getLogger("methmix")

# Of real donors: where those of the backgrounds are from, and of the other backgrounds.
_SPLITS: tuple[Split, ...] = ("test", "validation")


def measure_files(options: argparse.Namespace) -> None:
    """Measure what the command line names; `InputError` if the experiment has no detection section."""
    experiment = load_experiment(options.config)
    if experiment.detection is None:
        raise InputError(f"{options.config}: missing key detection", "config/default.yaml has one to begin with")
    reference = read_reference(options.reference)
    validation = matched(read_mixtures(options.validation), reference, "the validation mixtures")
    scorers = make_scorers(reference, experiment, options.checkpoints, validation)
    measure(options.output, experiment, experiment.detection, reference, scorers)


def measure(
    output: Path,
    experiment: Experiment,
    settings: DetectionSettings,
    reference: Reference,
    scorers: Mapping[str, Scorer],
) -> None:
    """Measure, and write ``scores.npz``, ``detection.csv``, ``limits.csv`` and ``detection.json``."""
    scores, stated = {}, {}
    for donors, source in unseen_donors(reference, experiment.seed).items():
        scores[donors] = score_dilutions(experiment.seed, settings, reference, source, scorers)
        stated[donors] = check_stated_limits(experiment.seed, settings, reference, source, scorers)
    tables = {
        name: pd.concat(make(part).assign(donors=donors) for donors, part in scores.items())
        for name, make in {"detection": detection_table, "limits": limits_table}.items()
    }
    first = next(iter(scores.values()))
    content = {
        "settings": settings.model_dump(),
        "sensitivity": SENSITIVITY,
        "arms": first.arms,
        "tissues": first.tissues,
        "background": background_name(settings),
        "cuts": {arm: scorer.cut for arm, scorer in scorers.items()},
        "donors": {donors: part.blanks["background"].shape[-2] for donors, part in scores.items()},
        "median_limits": _median_limits(tables["limits"], first.spikes),
        "false_positive_rate": [row for donors, part in scores.items() for row in _donor_rates(donors, part, settings)],
        "stated_limit": _records(stated["drawn"]),
        "stated_limit_test_donors": _records(stated["test"]) if "test" in stated else [],
        "background_donors": _background_donors(reference, settings) if "test" in scores else {},
        "shared_tissues": {split: reference.shared_tissues(split) for split in _SPLITS} if "test" in scores else {},
        "notes": json.loads(reference.attributes["notes"]),
        "provenance": provenance.of_measurement(experiment.name, experiment.seed, reference.content_digest),
    }
    with all_or_none():
        write_scores(output / "scores.npz", scores)
        for name, table in tables.items():
            write_csv(output / f"{name}.csv", table)
        write_text(output / "detection.json", json.dumps(content, indent=2, allow_nan=False) + "\n")


def _background_donors(reference: Reference, settings: DetectionSettings) -> dict[str, list[str]]:
    """Name the real donors of the backgrounds: with few of them, the results hold for these alone."""
    return {
        split: [reference.donors[row] for name in settings.background for row in reference.pool(split)[name]]
        for split in _SPLITS
    }


def _median_limits(limits: pd.DataFrame, spikes: Any) -> list[dict[str, Any]]:
    """Summarise the limits of all tissues, for each source of donors, threshold, arm and depth."""
    rows = []
    keys = ["donors", "threshold", "fpr", "arm", "depth"]
    for key, group in limits.groupby(keys, sort=False, dropna=False):
        row: dict[str, Any] = dict(zip(keys, key, strict=True))
        median = float(group["limit"].median())
        row |= {"limit": median, "shown": shown_limit(median, spikes)}
        row["reached"] = int(np.isfinite(group["limit"]).sum())
        row["fpr_attained"] = float(group["fpr_attained"].mean())
        logger.info("%s donors, %s, %s, depth %g: median limit %s", *key[:2], *key[3:], row["shown"])
        rows.append({name: _json(value) for name, value in row.items()})
    return rows


def _donor_rates(donors: str, scores: DilutionScores, settings: DetectionSettings) -> list[dict[str, Any]]:
    """List the false-positive rates of the background donors, over all absent tissues."""
    rows = []
    for threshold in thresholds_of(scores):
        for (arm, depth, donor), rate in np.ndenumerate(donor_rates(scores, threshold)):
            if np.isnan(rate):
                continue
            row: dict[str, Any] = {"donors": donors, "background": background_name(settings), "arm": scores.arms[arm]}
            row |= {"threshold": threshold.kind, "fpr": _json(threshold.rate), "depth": float(scores.depths[depth])}
            rows.append({**row, "donor": donor + 1, "rate": float(rate)})
    return rows


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): _json(value) for name, value in row.items()} for row in table.to_dict("records")]


def _json(value: Any) -> Any:
    """Turn what JSON has not, infinity and NaN, into null."""
    return None if isinstance(value, float) and not np.isfinite(value) else value
