"""The comparison page: one file that opens offline."""

from typing import Any

import pandas as pd

from methmix.arms import ARMS, names
from methmix.pages.style import embed, in_unit, template
from methmix.report import abundance, cost, figures, presence, worked
from methmix.report.results import ArmResult, serious

_TABLE = {
    "mae": ("MAE", "%", "mean absolute error over all tissues"),
    "spurious_per_mixture": ("spurious", "", "absent tissues predicted at 1 % or more, per mixture"),
    "missed_per_mixture": ("missed", "", "present tissues predicted below 1 %, per mixture"),
    "false_mass": ("false mass", "%", "summed prediction for absent tissues"),
    "exact_zero_absent": ("exact zeros", "%", "share of absent entries predicted exactly 0"),
    "prediction_ratio": ("pred. / true", "", "median over present tissues"),
    "presence_mcc": ("MCC", "", "Matthews correlation of calls at 1 %"),
    "presence_ece": ("ECE", "", "expected calibration error of the presence probability"),
}


def render(
    results: list[ArmResult],
    comparison: dict[str, Any],
    miami_figures: dict[str, str],
    jobs: pd.DataFrame,
    recipe: str,
) -> str:
    """Render the page.

    Parameters
    ----------
    results
        All arms.
    comparison
        Content of comparison.json.
    miami_figures
        ArmSettings -> data URI of its Miami plot.
    jobs
        What the run's jobs used (`cost.read_jobs`); may be empty.
    recipe
        What a mixture of the phase consists of, in words.
    """
    training, efficiency = figures.training(results), cost.figure(jobs)
    return template("comparison.html").render(
        comparison=comparison,
        provenance=comparison["provenance"],
        recipe=recipe,
        headings=[(label, title) for label, _, title in _TABLE.values()],
        rows=[_row(result) for result in results],
        difference=_difference(comparison.get("sparse_minus_original", {})),
        miami=miami_figures,
        trained=names("trained"),
        trivial=names("trivial"),
        legends={r.arm: ARMS[r.arm].legend for r in results if r.arm in ARMS},
        summary=embed(figures.summary(results)),
        scatter=embed(figures.scatter(results)),
        per_tissue=embed(figures.per_tissue(results)),
        shared=_shared(results[0]),
        abundance=embed(abundance.figure(results)),
        abundance_headings=abundance.headings(results),
        abundance_rows=abundance.rows(results),
        background=abundance.background(results),
        presence=embed(presence.presence(results)),
        calibration={r.arm: embed(presence.calibration(r)) for r in results if r.arm in names("trained")},
        tradeoff=embed(presence.tradeoff(results)),
        intervals={r.arm: embed(drawn) for r in results if (drawn := presence.intervals(r))},
        coverage=[_coverage(r) for r in results if "interval_coverage_present" in r.metrics],
        grouped=_grouped(results),
        training=embed(training) if training else None,
        strata=embed(figures.strata(results)),
        worked=worked.mixtures(results),
        jobs=cost.rows(jobs),
        efficiency=embed(efficiency) if efficiency else None,
        test_shared=[row.tissue for row in results[0].per_tissue.itertuples() if "test" in str(row.shared_donors)],
        elapsed_seconds=float(jobs["end"].max() - jobs["start"].min()) if len(jobs) else 0.0,
        total_seconds=float(jobs["seconds"].sum()) if len(jobs) else 0.0,
        peak_memory=float(jobs["memory_mb"].max()) if len(jobs) else 0.0,
    )


def _row(result: ArmResult) -> dict[str, Any]:
    cells = []
    for name, (_, unit, _) in _TABLE.items():
        value, (low, high) = result.metrics[name], result.metrics[f"{name}_ci95"]
        cells.append({"value": in_unit(value, unit), "interval": f"{in_unit(low, unit)} to {in_unit(high, unit)}"})
    seconds = result.metrics["train_seconds"]
    return {
        "arm": result.arm,
        "cells": cells,
        "train": f"{seconds:.0f} s" if seconds else "none",
        "memory": f"{result.metrics['peak_memory_mb']:.0f} MB",
        "choices": ", ".join(f"{k} {v}" for k, v in result.metrics["choices"].items()),
    }


def _coverage(result: ArmResult) -> dict[str, str]:
    row = {"arm": result.arm}
    for name in ("coverage_present", "coverage_absent", "width_present"):
        value, (low, high) = result.metrics[f"interval_{name}"], result.metrics[f"interval_{name}_ci95"]
        row[name] = f"{in_unit(value, '%')} ({in_unit(low, '%')} to {in_unit(high, '%')})"
    return row


def _grouped(results: list[ArmResult]) -> dict[str, Any]:
    """Give the table of scores with look-alikes joined; empty if the experiment names none."""
    if "grouped" not in results[0].metrics:
        return {}
    names = ("mae", "spurious_per_mixture", "missed_per_mixture", "prediction_ratio", "presence_ece")
    return {
        "groups": results[0].metrics["grouped"]["groups"],
        "headings": [_TABLE[name][0] for name in names],
        "rows": [[r.arm, *(in_unit(r.metrics["grouped"][n], _TABLE[n][1]) for n in names)] for r in serious(results)],
    }


_DIFFERENCES = {
    "mae": ("MAE", "%"),
    "spurious_per_mixture": ("spurious per mixture", ""),
    "missed_per_mixture": ("missed per mixture", ""),
    "false_mass": ("false mass", "%"),
    "background_mae": ("MAE of the background", "%"),
    "distance_of_prediction_ratio_from_1": ("distance of predicted / true from 1", ""),
}


def _difference(differences: dict[str, Any]) -> list[dict[str, str]]:
    rows = []
    for name, (label, unit) in _DIFFERENCES.items():
        if name not in differences:
            continue
        low, high = differences[name]["ci95"]
        verdict = "sparse is better" if high < 0 else "original is better" if low > 0 else "no clear difference"
        rows.append(
            {
                "label": label,
                "estimate": in_unit(differences[name]["estimate"], unit),
                "interval": f"{in_unit(low, unit)} to {in_unit(high, unit)}",
                "verdict": verdict,
            }
        )
    return rows


def _shared(result: ArmResult) -> list[str]:
    table = result.per_tissue
    return [f"{row.tissue} ({row.shared_donors})" for row in table.itertuples() if row.shared_donors != "none"]
