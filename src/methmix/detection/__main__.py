"""Measure the limit of detection of every tissue: one tissue spiked into a background, against blanks."""

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from methmix import cli, provenance
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


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.detection", __doc__ or "")
    cli.config_option(arguments)
    arguments.add_argument("--reference", type=Path, required=True, help="reference.h5 of the experiment")
    arguments.add_argument("--checkpoints", type=Path, nargs="+", required=True, help="checkpoint_best.pt of each arm")
    arguments.add_argument("--output", type=Path, required=True, help="folder for scores and tables")
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    experiment = load_experiment(options.config)
    if experiment.detection is None:
        raise InputError(f"{options.config}: missing key detection", "config/default.yaml has one to begin with")
    reference = read_reference(options.reference)
    scorers = make_scorers(reference, options.checkpoints)
    scores = score_dilutions(experiment.seed, experiment.detection, reference, scorers)
    write_results(options.output, experiment, experiment.detection, reference, scores)


def write_results(
    output: Path,
    experiment: Experiment,
    settings: DetectionSettings,
    reference: Reference,
    scores: DilutionScores,
) -> None:
    """Write ``scores.npz``, ``detection.csv``, ``limits.csv`` and ``detection.json``."""
    limits = limits_table(scores)
    content = _summary(experiment, settings, reference, scores, limits)
    write_scores(output / "scores.npz", scores)
    write_csv(output / "detection.csv", detection_table(scores))
    write_csv(output / "limits.csv", limits)
    write_text(output / "detection.json", json.dumps(content, indent=2) + "\n")
    for row in content["median_limits"]:
        logger.info("%s, depth %g, FPR %g: median limit %s", row["arm"], row["depth"], row["fpr"], row["shown"])


def _summary(
    experiment: Experiment,
    settings: DetectionSettings,
    reference: Reference,
    scores: DilutionScores,
    limits: pd.DataFrame,
) -> dict[str, Any]:
    rows = []
    for (arm, depth, fpr), group in limits.groupby(["arm", "depth", "fpr"], sort=False):
        median = float(group["limit"].median())
        rows.append(
            {
                "arm": arm,
                "depth": depth,
                "fpr": fpr,
                # JSON has no infinity.
                "limit": median if np.isfinite(median) else None,
                "shown": shown_limit(median, scores.spikes),
                "reached": int(np.isfinite(group["limit"]).sum()),
                "fpr_validation_threshold": {
                    "median": float(group["fpr_validation_threshold"].median()),
                    "highest": float(group["fpr_validation_threshold"].max()),
                },
            }
        )
    return {
        "settings": settings.model_dump(),
        "sensitivity": SENSITIVITY,
        "arms": scores.arms,
        "tissues": scores.tissues,
        "median_limits": rows,
        "background_donors": _background_donors(settings, reference),
        "shared_tissues": {split: reference.shared_tissues(split) for split in ("validation", "test")},  # type: ignore[arg-type]
        "notes": json.loads(reference.attributes["notes"]),
        "provenance": {
            "experiment": experiment.name,
            "seed": experiment.seed,
            "commit": provenance.commit(),
            "versions": provenance.versions(),
            "reference_digest": reference.content_digest,
        },
    }


def _background_donors(settings: DetectionSettings, reference: Reference) -> dict[str, list[str]]:
    """Name the donors behind the blanks: with few of them, the false-positive rate is theirs alone."""
    pools = {split: reference.pool(split) for split in BLANKS}
    return {
        split: [reference.donors[row] for name in settings.background for row in pool[name]]
        for split, pool in pools.items()
    }


if __name__ == "__main__":
    sys.exit(main())
