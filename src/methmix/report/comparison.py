"""The comparison of all arms on the test mixtures of one phase: tables, Miami plots and a page."""

import json
import logging
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from methmix import metrics, provenance, seeds
from methmix.arms import BASELINE, MAIN, names
from methmix.config.load import load_experiment
from methmix.evaluation.bootstrap import interval, replicates
from methmix.files.atomic import write_csv, write_text
from methmix.pages.render import render
from methmix.pages.style import Image, embed, image, save
from methmix.report import comparison_figures as figures
from methmix.report.arm_results import ArmResult, read_arms, serious
from methmix.report.job_costs import efficiency, read_jobs, rows
from methmix.report.metric_labels import HEADLINE, chosen
from methmix.report.miami import largest_proportion, miami
from methmix.scores import Scores

logger = logging.getLogger("methmix")

# Metrics without a bootstrap interval.
_COSTS = ("train_seconds", "predict_seconds", "peak_memory_mb", "n_parameters")
_COLUMNS = chosen(
    "mae", "spurious_per_mixture", "missed_per_mixture", "false_mass", "exact_zero_absent", "prediction_ratio",
    "called_1_to_5", "presence_mcc", "presence_auroc", "presence_ece", "presence_ece_uncertain",
)  # fmt: skip
_DIFFERENCES = chosen(
    "mae", "spurious_per_mixture", "missed_per_mixture", "false_mass", "background_mae",
    "distance_of_prediction_ratio_from_1",
)  # fmt: skip
# Mixtures that a reader of the page can choose from.
_WORKED = 30
# Section, figure, what it shows, caption: a further figure is a function and a line here.
_FIGURES = (
    ("arms", figures.summary, "Arms compared in four metrics", ""),
    ("scatter", figures.scatter, "Predicted against true proportions", "Red, left of 0: absent but called."),
    ("abundance", figures.errors_by_abundance, "Mean absolute error by true proportion", "Lines: 95 % intervals."),
    ("background", figures.background, "Predicted against true background", ""),
    ("tissues", figures.per_tissue, "Errors by tissue", ""),
    ("tissues", figures.strata, "Errors by depth and number of tissues", ""),
    ("presence", figures.presence, "Calibration and precision-recall", ""),
    ("tradeoff", figures.tradeoff, "False-positive against missed tissues", ""),
    ("training", figures.training, "Training curves", ""),
)
_FIGURES_OF_ARMS = (
    ("presence", figures.calibration, "Calibration by depth and tissue"),
    ("intervals", figures.intervals, "Intervals"),
)


def write_comparison(config: Path, folder: Path, arms: list[str], benchmarks: Path | None, output: Path) -> None:
    """Write ``comparison.csv``, ``comparison.json``, ``miami_<arm>.png`` and ``report.html`` of one phase.

    ``folder`` is ``results/<name>/<phase>``, with a folder per arm; ``benchmarks`` has Snakemake's benchmark files.
    """
    experiment = load_experiment(config)
    results = read_arms(folder, arms)
    phase, notes = results[0].metrics["phase"], results[0].metrics["notes"]
    content = comparison_json(results, experiment.evaluation.n_bootstrap, seeds.integer(experiment.seed, "bootstrap"))
    recipe = experiment.mixtures.recipes[phase].words
    note = "\n".join(filter(None, (f"Each mixture: {recipe}.", "; ".join(notes))))
    plots, largest = {}, largest_proportion(*(values for r in results for values in (r.true, r.predicted)))
    for result in results:
        figure = miami(result.arm, result.tissues, result.true, result.predicted, note, largest)
        save(figure, output / f"miami_{result.arm}.png")
        plots[result.arm] = Image(embed(figure), f"Miami plot of {result.arm}")
    write_csv(output / "comparison.csv", comparison_table(results))
    write_text(output / "comparison.json", json.dumps(content, indent=2) + "\n")
    jobs = read_jobs(benchmarks, folder, phase, arms)
    write_text(output / "report.html", _page(results, content, plots, jobs, recipe))
    logger.info("report written to %s", output / "report.html")


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
    every: list[dict[str, Any]] = [*estimates, *drawn]
    for values in every:
        values["distance_of_prediction_ratio_from_1"] = np.abs(values["prediction_ratio"] - 1)
    return {
        name: {"estimate": float(value - estimates[1][name]), "ci95": interval(drawn[0][name] - drawn[1][name])}
        for name, value in estimates[0].items()
    }


def _page(
    results: list[ArmResult], comparison: dict[str, Any], plots: dict[str, Image], jobs: pd.DataFrame, recipe: str
) -> str:
    table = results[0].per_tissue[results[0].per_tissue["shared_donors"] != "none"]
    shared = dict(zip(table["tissue"], table["shared_donors"], strict=True))
    return render(
        "report/comparison.html",
        comparison=comparison,
        provenance=comparison["provenance"],
        recipe=recipe,
        results=results,
        serious=serious(results),
        columns=_COLUMNS,
        main_columns=HEADLINE,
        differences=_DIFFERENCES,
        figures=_images(results, jobs),
        plots=plots,
        abundance_headings=figures.headings(results),
        abundance={result.arm: figures.classes(result) for result in serious(results)},
        worked=_worked_mixtures(results),
        jobs=rows(jobs),
        elapsed_seconds=jobs["end"].max() - jobs["start"].min(),
        total_seconds=jobs["seconds"].sum(),
        peak_memory=jobs["memory_mb"].max(),
        least_errors=figures.LEAST_ERRORS,
        shared=[f"{tissue} ({splits})" for tissue, splits in shared.items()],
        test_shared=[tissue for tissue, splits in shared.items() if "test" in splits],
    )


def _images(results: list[ArmResult], jobs: pd.DataFrame) -> dict[str, list[Image]]:
    """Draw all figures; section -> its images."""
    images = defaultdict(list, cost=image(efficiency(jobs), "Resources used / requested"))
    for section, draw, alt, caption in _FIGURES:
        images[section] += image(draw(results), alt, caption)
    for section, draw_arm, alt in _FIGURES_OF_ARMS:
        for result in results:
            images[section] += image(draw_arm(result), f"{alt} of {result.arm}")
    return images


def _worked_mixtures(results: list[ArmResult]) -> list[dict[str, Any]]:
    """List the first mixtures, each with the tissues that it contains or that one of the selected arms calls."""
    first, arms = results[0], [r for r in results if r.arm in names("trained", "control", selected=True)]
    worked = []
    for row, mixture in enumerate(first.mixtures[:_WORKED]):
        true, predicted = first.true[row], np.stack([result.predicted[row] for result in arms])
        shown = (true > 0) | metrics.called(predicted).any(axis=0)
        tissues = [
            {"name": first.tissues[t], "true": _short(true[t]), "cells": [_cell(true[t], p) for p in predicted[:, t]]}
            for t in np.argsort(-true, kind="stable")
            if shown[t]
        ]
        depth = f"{first.per_mixture['mean_depth'].iloc[row]:g}"
        worked.append({"name": mixture, "depth": depth, "arms": [result.arm for result in arms], "tissues": tissues})
    return worked


def _cell(true: np.floating, predicted: np.floating) -> dict[str, str]:
    both = np.array([true]), np.array([predicted])
    kind = "wrong" if metrics.spurious(*both)[0] else "lost" if metrics.missed(*both)[0] else ""
    return {"text": _short(float(predicted)), "kind": kind}


def _short(value: float) -> str:
    return "0" if value == 0 else f"{100 * value:.1f} %"
