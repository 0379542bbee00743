"""Arms side by side: tables, and the paired difference of sparse and original."""

import json
from typing import Any

import numpy as np
import pandas as pd

from methmix import provenance
from methmix.evaluation.scores import Scores, interval
from methmix.report.arm_results import ArmResult

# Metrics without a bootstrap interval.
_COSTS = ("train_seconds", "predict_seconds", "peak_memory_mb", "n_parameters")


def comparison_table(results: list[ArmResult]) -> pd.DataFrame:
    """Make the table with a row per arm.

    Each metric has its interval in ``<metric>_low`` and ``<metric>_high``; what the reader must know of the data is
    in ``notes``.
    """
    rows = []
    for result in results:
        row: dict[str, Any] = {"arm": result.arm}
        for name in metric_names(result):
            row[name] = result.metrics[name]
            low, high = result.metrics[f"{name}_ci95"]
            row[f"{name}_low"], row[f"{name}_high"] = low, high
        row.update({name: result.metrics[name] for name in _COSTS})
        row["notes"] = "; ".join(result.metrics["notes"])
        rows.append(row)
    return pd.DataFrame(rows)


def metric_names(result: ArmResult) -> list[str]:
    """List the metrics that have an interval."""
    return [name for name in result.metrics if f"{name}_ci95" in result.metrics]


def comparison_json(results: list[ArmResult], n_bootstrap: int, seed: int) -> dict[str, Any]:
    """Make the content of comparison.json."""
    by_name = {result.arm: result for result in results}
    content: dict[str, Any] = {
        "arms": {
            r.arm: {
                **{k: r.metrics[k] for name in metric_names(r) for k in (name, f"{name}_ci95")},
                **{name: r.metrics[name] for name in _COSTS},
                "choices": r.metrics["choices"],
                **({"grouped": r.metrics["grouped"]} if "grouped" in r.metrics else {}),
            }
            for r in results
        }
    }
    if {"sparse", "original"} <= set(by_name):
        content["sparse_minus_original"] = paired_difference(by_name["sparse"], by_name["original"], n_bootstrap, seed)
    first = results[0].metrics
    content["provenance"] = {
        **first["provenance"],
        "phase": first["phase"],
        "split": first["split"],
        "n_mixtures": first["n_mixtures"],
        "n_bootstrap": n_bootstrap,
        "notes": first["notes"],
        "commit": provenance.commit(),
        "training": {r.arm: r.metrics["provenance"]["training"] for r in results if not r.log.empty},
    }
    # JSON has no NaN.
    finite: dict[str, Any] = json.loads(json.dumps(content), parse_constant=lambda _: None)
    return finite


def paired_difference(sparse: ArmResult, original: ArmResult, n_bootstrap: int, seed: int) -> dict[str, dict[str, Any]]:
    """Compare two arms by a bootstrap over the same mixtures: metric of sparse minus metric of original.

    ``distance_of_prediction_ratio_from_1`` is added, since a ratio is good when it is near 1, not when it is low.
    """
    pair = [Scores(r.true, r.predicted, r.probability, background=r.background) for r in (sparse, original)]
    estimates = [scores.estimate() for scores in pair]
    replicates = [scores.replicates(n_bootstrap, seed) for scores in pair]
    name = "distance_of_prediction_ratio_from_1"
    for estimate, replicate in zip(estimates, replicates, strict=True):
        estimate[name] = abs(estimate["prediction_ratio"] - 1)
        replicate[name] = np.abs(replicate["prediction_ratio"] - 1)
    return {
        name: {
            "estimate": float(estimates[0][name] - estimates[1][name]),
            "ci95": interval(replicates[0][name] - replicates[1][name]),
        }
        for name in estimates[0]
    }
