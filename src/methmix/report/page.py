"""The comparison page: one file that opens offline."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from methmix import metrics
from methmix.report import cost, figures, presence, repeats
from methmix.report.results import ArmResult, serious
from methmix.report.style import embed, template

# Worked mixtures that a reader can choose from.
_WORKED = 30
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
) -> str:
    """Render the page.

    Parameters
    ----------
    results
        All arms.
    comparison
        Content of comparison.json.
    miami_figures
        Arm -> data URI of its Miami plot.
    jobs
        What the run's jobs used (`cost.read_jobs`); may be empty.
    """
    training, efficiency = figures.training(results), cost.figure(jobs)
    return template("comparison.html").render(
        comparison=comparison,
        provenance=comparison["provenance"],
        headings=[(label, title) for label, _, title in _TABLE.values()],
        rows=[_row(result) for result in results],
        difference=_difference(comparison.get("sparse_minus_original", {})),
        miami=miami_figures,
        trivial=[r.arm for r in results if r not in serious(results)],
        summary=embed(figures.summary(results)),
        scatter=embed(figures.scatter(results)),
        per_tissue=embed(figures.per_tissue(results)),
        shared=_shared(results[0]),
        presence=embed(presence.presence(results)),
        calibration={r.arm: embed(presence.calibration(r)) for r in results if r.arm in ("original", "sparse")},
        tradeoff=embed(presence.tradeoff(results)),
        intervals={r.arm: embed(drawn) for r in results if (drawn := presence.intervals(r))},
        coverage=[_coverage(r) for r in results if "interval_coverage_present" in r.metrics],
        grouped=_grouped(results),
        training=embed(training) if training else None,
        strata=embed(figures.strata(results)),
        worked=_worked(results),
        jobs=cost.rows(jobs),
        efficiency=embed(efficiency) if efficiency else None,
        test_shared=[row.tissue for row in results[0].per_tissue.itertuples() if "test" in str(row.shared_donors)],
        elapsed_seconds=float(jobs["end"].max() - jobs["start"].min()) if len(jobs) else 0.0,
        total_seconds=float(jobs["seconds"].sum()) if len(jobs) else 0.0,
        peak_memory=float(jobs["memory_mb"].max()) if len(jobs) else 0.0,
    )


def render_ablation(table: pd.DataFrame, summary: pd.DataFrame, figure: Figure) -> str:
    """Render the page of the ablation from what `methmix.report.repeats` makes."""
    runs = list(dict.fromkeys(table["run"]))
    mains = set(table["label"][~table["variant"]])
    rows = []
    for label, line in summary.iterrows():
        cells = []
        for name in repeats.METRICS:
            unit = "%" if name == "mae" else ""
            ends = " to ".join(_format(line[f"{name}_minus_sparse_{end}"], unit) for end in ("low", "high"))
            value = f"{_format(line[f'{name}_mean'], unit)} ± {_format(line[f'{name}_sd'], unit)}"
            cells.append((value, "" if label == "sparse" else f"minus sparse: {ends}"))
        rows.append({"name": label, "main": label in mains, "cells": cells})
    return template("repeats.html").render(
        title=f"{runs[0]}: what each ingredient of the sparse arm is worth",
        lead=f"Test mixtures of {len(runs)} runs with other donors, mixtures and initial weights: {', '.join(runs)}.",
        figure=embed(figure),
        headings=["", *repeats.METRICS.values()],
        rows=rows,
        legend="Mean ± standard deviation over the runs; below it the lowest and highest difference from sparse "
        "in the same run. In the figure a bar is the mean, a dot a run, the dotted line the sparse arm. Bold: the arms "
        "as configured; the others have one thing changed. Axes end where bars would hide the others.",
    )


def render_folds(content: dict[str, Any], table: pd.DataFrame, figure: Figure) -> str:
    """Render the page of the pooled folds from what `methmix.report.repeats` makes."""
    rows = []
    for row in table.to_dict("records"):
        whole = row["mixtures"] == "all folds"
        cells = []
        for name in repeats.METRICS:
            unit = "%" if name == "mae" else ""
            spread = content["arms"][row["arm"]]["spread"][name]
            cells.append((_format(row[name], unit), f"sd of folds {_format(spread, unit)}" if whole else ""))
        rows.append({"name": f"{row['arm']}, {row['mixtures']}", "main": whole, "cells": cells})
    groups = "; ".join(f"{name}: {' + '.join(members)}" for name, members in content["groups"].items())
    again = ", ".join(content["tested_again"])
    return template("repeats.html").render(
        title=f"{content['folds'][0]}: {len(content['folds'])} folds, each with other donors in the test",
        lead=f"The same arms on test mixtures of {', '.join(content['folds'])}.",
        figure=embed(figure),
        headings=["", *repeats.METRICS.values()],
        rows=rows,
        legend="In the figure a bar is over the mixtures of all folds, a dot a fold"
        + (f", a line all folds with look-alikes joined ({groups})" if groups else "")
        + "; axes end where bars would hide the others. The proportions and depths of the mixtures are the same in "
        "every fold; intervals are by resampling mixtures with all their folds."
        + (f" With fewer donors than folds, tested again with the same: {again}." if again else ""),
    )


def _row(result: ArmResult) -> dict[str, Any]:
    cells = []
    for name, (_, unit, _) in _TABLE.items():
        value, (low, high) = result.metrics[name], result.metrics[f"{name}_ci95"]
        cells.append({"value": _format(value, unit), "interval": f"{_format(low, unit)} to {_format(high, unit)}"})
    seconds = result.metrics["train_seconds"]
    return {
        "arm": result.arm,
        "cells": cells,
        "train": f"{seconds:.0f} s" if seconds else "none",
        "memory": f"{result.metrics['peak_memory_mb']:.0f} MB",
        "choices": ", ".join(f"{k} {v}" for k, v in result.metrics["choices"].items()),
    }


def _format(value: float | None, unit: str) -> str:
    if value is None or np.isnan(value):
        return "undefined"
    return f"{100 * value:.2f} %" if unit == "%" else f"{value:.3f}"


def _coverage(result: ArmResult) -> dict[str, str]:
    row = {"arm": result.arm}
    for name in ("coverage_present", "coverage_absent", "width_present"):
        value, (low, high) = result.metrics[f"interval_{name}"], result.metrics[f"interval_{name}_ci95"]
        row[name] = f"{_format(value, '%')} ({_format(low, '%')} to {_format(high, '%')})"
    return row


def _grouped(results: list[ArmResult]) -> dict[str, Any]:
    """Give the table of scores with look-alikes joined; empty if the experiment names none."""
    if "grouped" not in results[0].metrics:
        return {}
    names = ("mae", "spurious_per_mixture", "missed_per_mixture", "prediction_ratio", "presence_ece")
    return {
        "groups": results[0].metrics["grouped"]["groups"],
        "headings": [_TABLE[name][0] for name in names],
        "rows": [[r.arm, *(_format(r.metrics["grouped"][n], _TABLE[n][1]) for n in names)] for r in serious(results)],
    }


_DIFFERENCES = {
    "mae": ("MAE", "%"),
    "spurious_per_mixture": ("spurious per mixture", ""),
    "missed_per_mixture": ("missed per mixture", ""),
    "false_mass": ("false mass", "%"),
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
                "estimate": _format(differences[name]["estimate"], unit),
                "interval": f"{_format(low, unit)} to {_format(high, unit)}",
                "verdict": verdict,
            }
        )
    return rows


def _shared(result: ArmResult) -> list[str]:
    table = result.per_tissue
    return [f"{row.tissue} ({row.shared_donors})" for row in table.itertuples() if row.shared_donors != "none"]


def _worked(results: list[ArmResult]) -> list[dict[str, Any]]:
    """List single mixtures: true -> original -> sparse (-> the best control) for every tissue that matters."""
    arms = [r for r in results if r.arm in ("original", "sparse", "nnls_cut", "em")]
    first = results[0]
    worked = []
    for row in range(min(_WORKED, len(first.mixtures))):
        true = first.true[row]
        told = np.max([r.predicted[row] for r in arms], axis=0) if arms else true
        matters = [t for t in np.argsort(-true, kind="stable") if true[t] > 0 or told[t] >= metrics.PRESENT]
        worked.append(
            {
                "name": first.mixtures[row],
                "depth": f"{first.per_mixture['mean_depth'].iloc[row]:g}",
                "arms": [r.arm for r in arms],
                "tissues": [
                    {
                        "name": first.tissues[t],
                        "true": _percent(true[t]),
                        "cells": [
                            {
                                "text": _percent(r.predicted[row, t]),
                                "wrong": bool(true[t] == 0 and r.predicted[row, t] >= metrics.PRESENT),
                                "lost": bool(true[t] >= metrics.PRESENT > r.predicted[row, t]),
                            }
                            for r in arms
                        ],
                    }
                    for t in matters
                ],
            }
        )
    return worked


def _percent(value: float) -> str:
    return "0" if value == 0 else f"{100 * value:.1f} %"
