"""Arms side by side: tables, and the paired difference of sparse and original."""

import json
from typing import Any

import numpy as np
import pandas as pd

from methmix import provenance
from methmix.arms import BASELINE, MAIN
from methmix.evaluation.bootstrap import interval, replicates
from methmix.report.arm_results import ArmResult
from methmix.scores import Scores

# Metrics without a bootstrap interval.
_COSTS = ("train_seconds", "predict_seconds", "peak_memory_mb", "n_parameters")


def comparison_table(results: list[ArmResult]) -> pd.DataFrame:
    """Make the table: a row per arm, with each metric, its interval (``<metric>_low``, ``_high``), costs and notes."""
    rows = []
    for result in results:
        row: dict[str, Any] = {"arm": result.arm}
        for name in _with_interval(result):
            low, high = result.metrics[f"{name}_ci95"]
            row |= {name: result.metrics[name], f"{name}_low": low, f"{name}_high": high}
        row |= {name: result.metrics[name] for name in _COSTS}
        rows.append({**row, "notes": "; ".join(result.metrics["notes"])})
    return pd.DataFrame(rows)


def _with_interval(result: ArmResult) -> list[str]:
    return [name for name in result.metrics if f"{name}_ci95" in result.metrics]


def comparison_json(results: list[ArmResult], n_bootstrap: int, seed: int) -> dict[str, Any]:
    """Make the content of comparison.json."""
    by_name, first = {result.arm: result for result in results}, results[0].metrics
    content: dict[str, Any] = {
        "arms": {
            arm: {
                **{key: r.metrics[key] for name in _with_interval(r) for key in (name, f"{name}_ci95")},
                **{name: r.metrics[name] for name in (*_COSTS, "choices", "grouped") if name in r.metrics},
            }
            for arm, r in by_name.items()
        }
    }
    if {MAIN, BASELINE} <= set(by_name):
        content["sparse_minus_original"] = _paired_difference(by_name[MAIN], by_name[BASELINE], n_bootstrap, seed)
    content["provenance"] = {
        **first["provenance"],
        **{name: first[name] for name in ("phase", "split", "n_mixtures")},
        "n_bootstrap": n_bootstrap,
        "notes": first["notes"],
        "commit": provenance.commit(),
        "training": {r.arm: r.metrics["provenance"]["training"] for r in results if not r.log.empty},
    }
    # JSON has no NaN.
    finite: dict[str, Any] = json.loads(json.dumps(content), parse_constant=lambda _: None)
    return finite


def _paired_difference(
    sparse: ArmResult, original: ArmResult, n_bootstrap: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Subtract the metrics of original from those of sparse, with intervals from a bootstrap over the same mixtures.

    ``distance_of_prediction_ratio_from_1`` is added, since a ratio is good when it is near 1, not when it is low.
    """
    pair = [Scores(r.true, r.predicted, r.probability, background=r.background) for r in (sparse, original)]
    estimates = [scores.estimate() for scores in pair]
    drawn = [replicates(scores, n_bootstrap, seed) for scores in pair]
    for values in (*estimates, *drawn):
        values["distance_of_prediction_ratio_from_1"] = np.abs(values["prediction_ratio"] - 1)
    return {
        name: {"estimate": float(value - estimates[1][name]), "ci95": interval(drawn[0][name] - drawn[1][name])}
        for name, value in estimates[0].items()
    }
