"""Measure the limits of detection and write them."""

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from methmix import provenance
from methmix.config.experiment import DetectionSettings, Experiment
from methmix.config.load import load_experiment
from methmix.detection.dilution import BLANKS, DilutionScores, score_dilutions, write_scores
from methmix.detection.limits import detection_table, limits_table, shown_limit
from methmix.detection.scorers import make_scorers
from methmix.errors import InputError
from methmix.files.atomic import write_csv, write_text
from methmix.files.reference import Reference, read_reference
from methmix.metrics import SENSITIVITY

logger = logging.getLogger("methmix")


def measure_files(options: argparse.Namespace) -> None:
    """Measure what the command line names; `InputError` if the experiment has no detection section."""
    experiment = load_experiment(options.config)
    if experiment.detection is None:
        raise InputError(f"{options.config}: missing key detection", "config/default.yaml has one to begin with")
    reference = read_reference(options.reference)
    scorers = make_scorers(reference, experiment, options.checkpoints)
    scores = score_dilutions(experiment.seed, experiment.detection, reference, scorers)
    write_results(options.output, experiment, experiment.detection, reference, scores)


def write_results(
    output: Path, experiment: Experiment, settings: DetectionSettings, reference: Reference, scores: DilutionScores
) -> None:
    """Write ``scores.npz``, ``detection.csv``, ``limits.csv`` and ``detection.json``."""
    limits = limits_table(scores)
    content = {
        "settings": settings.model_dump(),
        "sensitivity": SENSITIVITY,
        "arms": scores.arms,
        "tissues": scores.tissues,
        "median_limits": _median_limits(limits, scores),
        # If the blanks are of few donors, the false-positive rate holds for these alone.
        "background_donors": {
            split: [reference.donors[row] for name in settings.background for row in reference.pool(split)[name]]
            for split in BLANKS
        },
        "shared_tissues": {split: reference.shared_tissues(split) for split in BLANKS},
        "notes": json.loads(reference.attributes["notes"]),
        "provenance": {
            "experiment": experiment.name,
            "seed": experiment.seed,
            "commit": provenance.commit(),
            "versions": provenance.versions(),
            "reference_digest": reference.content_digest,
        },
    }
    write_scores(output / "scores.npz", scores)
    write_csv(output / "detection.csv", detection_table(scores))
    write_csv(output / "limits.csv", limits)
    write_text(output / "detection.json", json.dumps(content, indent=2) + "\n")


def _median_limits(limits: pd.DataFrame, scores: DilutionScores) -> list[dict[str, Any]]:
    """Summarise the limits of all tissues, for each arm, depth and false-positive rate."""
    rows = []
    for (arm, depth, fpr), group in limits.groupby(["arm", "depth", "fpr"], sort=False):
        median, elsewhere = float(group["limit"].median()), group["fpr_validation_threshold"]
        shown = shown_limit(median, scores.spikes)
        logger.info("%s, depth %g, FPR %g: median limit %s", arm, depth, fpr, shown)
        limit = median if np.isfinite(median) else None  # JSON has no infinity.
        row: dict[str, Any] = {"arm": arm, "depth": depth, "fpr": fpr, "limit": limit, "shown": shown}
        row["reached"] = int(np.isfinite(group["limit"]).sum())
        row["fpr_validation_threshold"] = {"median": float(elsewhere.median()), "highest": float(elsewhere.max())}
        rows.append(row)
    return rows
