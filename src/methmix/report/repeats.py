"""The same experiment several times: the ablation over seeds, and the folds pooled."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter

from methmix.arms import MAIN
from methmix.config.ablation import Variant
from methmix.errors import InputError
from methmix.evaluation.bootstrap import with_intervals
from methmix.evaluation.look_alikes import grouped
from methmix.pages.style import ARM_COLOURS, TRUTH
from methmix.report.results import ArmResult, read_arms
from methmix.scores import Scores

METRICS = {
    "mae": "mean absolute error",
    "spurious_per_mixture": "spurious tissues a mixture",
    "missed_per_mixture": "missed tissues a mixture",
    "prediction_ratio": "median predicted / true",
    "presence_ece": "calibration error (ECE)",
}
# Of each mixture, whatever the number of its entries.
PER_MIXTURE = ("spurious_per_mixture", "missed_per_mixture", "false_mass", "predicted_tissues")
_VARIANT_COLOUR = "#56b4e9"


def read_ablation(runs: list[Path], arms: list[str], variants: dict[str, Variant]) -> pd.DataFrame:
    """Read the metrics of arms and variants in every run.

    Returns
    -------
    DataFrame
        A row per arm or variant and run: ``what``, ``label``, ``variant`` (whether it is one), ``run``, ``seed``, and
        the metrics.

    Raises
    ------
    InputError
        A file is missing.
    """
    rows = []
    for run in runs:
        for name in (*arms, *variants):
            is_variant = name in variants
            path = run / ("ablation" if is_variant else "") / name / "evaluation" / "metrics.json"
            try:
                content = json.loads(path.read_text())
            except FileNotFoundError:
                raise InputError(f"{path}: there is no such file", "run: snakemake ablate_phase2") from None
            label = variants[name].label if is_variant else name
            row = {"what": name, "label": label, "variant": is_variant}
            row |= {"run": run.parent.name, "seed": content["provenance"]["seed"]}
            rows.append({**row, **{metric: content[metric] for metric in METRICS}})
    return pd.DataFrame(rows)


def ablation_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Give mean and spread (standard deviation over seeds) of each row, and what it differs from sparse, run by run.

    Returns
    -------
    DataFrame
        Index ``label``; for each metric ``<metric>_mean``, ``<metric>_sd``, and ``<metric>_minus_sparse`` with the
        lowest and highest difference of a run in ``..._low`` and ``..._high``.
    """
    summaries = {}
    sparse = table[table["what"] == MAIN].set_index("run")
    for _, rows in table.groupby("what", sort=False):
        label, by_run = rows["label"].iloc[0], rows.set_index("run")
        summary = {}
        for metric in METRICS:
            difference = by_run[metric] - sparse[metric]
            summary[f"{metric}_mean"], summary[f"{metric}_sd"] = by_run[metric].mean(), by_run[metric].std(ddof=1)
            summary[f"{metric}_minus_sparse"] = difference.mean()
            summary[f"{metric}_minus_sparse_low"] = difference.min()
            summary[f"{metric}_minus_sparse_high"] = difference.max()
        summaries[label] = summary
    return pd.DataFrame.from_dict(summaries, orient="index")


def ablation_figure(table: pd.DataFrame) -> Figure:
    """Draw each run as a dot and the mean as a bar, a row an arm or variant."""
    labels = list(dict.fromkeys(table["label"]))
    shown = ["mae", "spurious_per_mixture", "missed_per_mixture", "presence_ece"]
    figure = Figure(figsize=(13, 0.34 * len(labels) + 1.0))
    for axes, metric in zip(figure.subplots(1, len(shown), sharey=True), shown, strict=True):
        for at, label in enumerate(labels):
            rows = table[table["label"] == label]
            colour = _VARIANT_COLOUR if rows["variant"].iloc[0] else ARM_COLOURS.get(rows["what"].iloc[0], TRUTH)
            axes.barh(at, rows[metric].mean(), color=colour, alpha=0.45)
            axes.plot(rows[metric], [at] * len(rows), "o", color=TRUTH, markersize=3)
        reference = table[table["what"] == MAIN][metric].mean()
        axes.axvline(reference, color=TRUTH, linewidth=0.8, linestyle=":")
        if metric == "presence_ece":
            axes.set_xlim(0, 4 * table[table["what"].eq(MAIN) | table["variant"]][metric].median())
        elif metric != "missed_per_mixture":
            # Rows far out, such as the original arm, would hide the differences that matter.
            axes.set_xscale("log")
        if metric == "mae":
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
            axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=1))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_title(METRICS[metric], fontweight="normal")
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.5, -0.5)
    return figure


def pool_folds(
    runs: list[Path], arms: list[str], groups: dict[str, list[str]], n_bootstrap: int, seed: int
) -> dict[str, Any]:
    """Score the test mixtures of all folds together, and say how the folds differ.

    Returns
    -------
    dict
        ``arms``: for each the metrics over all mixtures with ``<metric>_ci95``; ``folds``: metric -> value in each
        fold; ``spread``: metric -> standard deviation between them; ``grouped``: the metrics with look-alikes joined.
        ``tested_again``: tissues with fewer donors than there are folds.
    """
    by_run = [read_arms(run, arms) for run in runs]
    content: dict[str, Any] = {}
    for number, arm in enumerate(arms):
        results = [run[number] for run in by_run]
        _same_tissues(runs, results)
        parts = [[getattr(r, name) for r in results] for name in ("true", "predicted", "probability", "low", "high")]
        if any(np.isnan(low).all() for low in parts[3]):
            parts = parts[:3]
        entry = _pooled(parts, n_bootstrap, seed)
        metrics = [name for name in entry if not name.endswith("_ci95")]
        entry["folds"] = {name: [r.metrics[name] for r in results] for name in metrics}
        entry["spread"] = {name: _spread(values) for name, values in entry["folds"].items()}
        if groups:
            joined = [grouped(r.tissues, groups, r.true, r.predicted, r.probability) for r in results]
            entry["grouped"] = _pooled([list(values) for values in zip(*joined, strict=True)], n_bootstrap, seed)
        content[arm] = entry
    donors = by_run[0][0].per_tissue.filter(regex="^donors_").sum(axis=1)
    return {
        "arms": content,
        "folds": [run.parent.name for run in runs],
        "groups": groups,
        "tested_again": [t for t, n in zip(by_run[0][0].tissues, donors, strict=True) if n < len(runs)],
    }


def _pooled(parts: list[list[np.ndarray]], n_bootstrap: int, seed: int) -> dict[str, Any]:
    """Score what each fold has of ``parts``, [n_mixtures, n_tissues] each, together.

    Mixture by mixture the folds have the same proportions and depths, of other donors. So a mixture's entries in all
    folds make one row, and a resample takes or leaves them together: as mixtures of their own they would seem more.
    """
    rows = [np.concatenate(values, axis=1) for values in parts]
    entry = dict(with_intervals(Scores(*rows), n_bootstrap, seed))
    for name in PER_MIXTURE:
        for key in (name, f"{name}_ci95"):
            entry[key] = (np.array(entry[key], dtype=float) / len(parts[0])).tolist()
    return entry


def folds_table(content: dict[str, Any]) -> pd.DataFrame:
    """Make the table: a row per arm and fold, one for all folds, and one for all with look-alikes joined."""
    rows = []
    for arm, entry in content["arms"].items():
        for number, name in enumerate(content["folds"]):
            rows.append({"arm": arm, "mixtures": name, **{m: entry["folds"][m][number] for m in METRICS}})
        rows.append({"arm": arm, "mixtures": "all folds", **{m: entry[m] for m in METRICS}})
        if "grouped" in entry:
            rows.append({"arm": arm, "mixtures": "all folds, grouped", **{m: entry["grouped"][m] for m in METRICS}})
    return pd.DataFrame(rows)


def folds_figure(content: dict[str, Any], arms: list[str]) -> Figure:
    """Draw each arm over all folds as a bar, each fold as a dot, and the score with look-alikes joined as a line."""
    shown = ["mae", "spurious_per_mixture", "missed_per_mixture", "prediction_ratio"]
    figure = Figure(figsize=(12, 0.34 * len(arms) + 1.1))
    for axes, metric in zip(figure.subplots(1, len(shown), sharey=True), shown, strict=True):
        for at, arm in enumerate(arms):
            entry, colour = content["arms"][arm], ARM_COLOURS.get(arm, TRUTH)
            axes.barh(at, entry[metric], color=colour, alpha=0.45)
            axes.plot(entry["folds"][metric], [at] * len(content["folds"]), "o", color=TRUTH, markersize=3)
            if "grouped" in entry:
                axes.plot([entry["grouped"][metric]] * 2, [at - 0.4, at + 0.4], color=colour, linewidth=2)
        if metric == "mae":
            axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=1))
        if metric == "prediction_ratio":
            axes.axvline(1, color=TRUTH, linewidth=0.8, linestyle=":")
            axes.set_xlim(0.85, 1.1)
        axes.set_title(METRICS[metric], fontweight="normal")
        axes.set_yticks(range(len(arms)), arms)
        axes.set_ylim(len(arms) - 0.5, -0.5)
    return figure


def _same_tissues(runs: list[Path], results: list[ArmResult]) -> None:
    for run, result in zip(runs, results, strict=True):
        if result.tissues != results[0].tissues:
            raise InputError(f"{run}: has other tissues than {runs[0]}", "folds must be of one reference")


def _spread(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.std(known, ddof=1)) if len(known) > 1 else None
