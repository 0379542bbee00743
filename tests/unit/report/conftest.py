"""A comparison of four arms that is made up in memory, and a browser."""

import numpy as np
import pandas as pd
import pytest
from experiments import random_proportions

from methmix.evaluation.bootstrap import with_intervals
from methmix.evaluation.error_tables import by_abundance
from methmix.report.arm_results import ArmResult
from methmix.report.comparison import comparison_json, comparison_page
from methmix.report.job_costs import read_jobs
from methmix.scores import Scores

N, TISSUES = 80, [f"Tissue {letter}" for letter in "ABCDEFG"]
DEPTHS = np.repeat([10.0, 100.0], N // 2)
# Of sparse none, of the others so much of a uniform answer.
BLURRED = {"original": 0.15, "sparse": 0.0, "nnls": 0.3, "em": 0.05}


def _result(arm, blur):
    true, predicted = random_proportions(N, len(TISSUES))
    # What is small is set to 0, as the arms do.
    predicted = (1 - blur) * np.where(predicted > 0.03, predicted, 0) + blur / len(TISSUES)
    predicted /= predicted.sum(axis=1, keepdims=True)
    spread = 0.04 if arm == "sparse" else np.nan
    low, high = (predicted - spread).clip(0), (predicted + spread).clip(None, 1)
    given = [None if np.isnan(spread) else ends for ends in (low, high)]
    metrics = with_intervals(Scores(true, predicted, predicted, *given), 50, 1) | {
        "phase": "phase2", "split": "test", "n_mixtures": N, "notes": ["made up"], "background": [], "choices": {},
        "train_seconds": 0, "predict_seconds": 0, "peak_memory_mb": 1, "n_parameters": 1,
        "provenance": {"experiment": "mine", "seed": 1, "versions": {}, "training": {}},
    }  # fmt: skip
    per_tissue = {"tissue": TISSUES, "shared_donors": "none", "presence_ece": 0.1, "interval_coverage_present": 0.9}
    per_mixture = {"mean_depth": DEPTHS, "n_tissues": (true >= 0.01).sum(axis=1)}
    errors = {"spurious_per_mixture": [0.2, 0.1], "missed_per_mixture": [0.1, 0.2], "mae": [0.01, 0.02]}
    tradeoff = {"setting": "cut", "value": [0.0, 0.1], "chosen": [True, False], **errors}
    tables = *map(pd.DataFrame, (per_tissue, per_mixture)), by_abundance(true, predicted, 50, 1), pd.DataFrame(tradeoff)
    donors = np.where(true > 0.1, np.array([f"{tissue}-1" for tissue in TISSUES]), "")
    mixtures = [f"Mixture_{row}" for row in range(N)]
    values = true, predicted, predicted.clip(0, 1), low, high
    return ArmResult(arm, metrics, mixtures, TISSUES, *values, donors, *tables, pd.DataFrame())


@pytest.fixture(scope="session")
def results():
    return [_result(arm, blur) for arm, blur in BLURRED.items()]


@pytest.fixture(scope="session")
def comparison(results):
    return comparison_json(results, 50, 1, [])


@pytest.fixture(scope="session")
def page_file(results, comparison, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    jobs = read_jobs(None, folder, "phase2", [])
    path = folder / "report.html"
    path.write_text(comparison_page(results, comparison, jobs, "some <tissues>"))
    return path
