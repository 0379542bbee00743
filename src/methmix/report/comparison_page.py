"""The comparison of all arms on the test mixtures of one phase: tables, Miami plots and a page."""

import json
import logging
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from methmix import metrics, seeds
from methmix.arms import names
from methmix.config.load import load_experiment
from methmix.files.atomic import write_csv, write_text
from methmix.pages.render import render
from methmix.pages.style import Image, embed, image, save
from methmix.report import comparison_figures as figures
from methmix.report.arm_results import ArmResult, read_arms, serious
from methmix.report.comparison import comparison_json, comparison_table
from methmix.report.job_costs import efficiency, read_jobs, rows
from methmix.report.metric_labels import HEADLINE, chosen
from methmix.report.miami import miami

logger = logging.getLogger("methmix")

_COLUMNS = chosen(
    "mae", "spurious_per_mixture", "missed_per_mixture", "false_mass", "exact_zero_absent", "prediction_ratio",
    "presence_mcc", "presence_ece",
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
    plots = {}
    for result in results:
        figure = miami(result.arm, result.tissues, result.true, result.predicted, note)
        save(figure, output / f"miami_{result.arm}.png")
        plots[result.arm] = Image(embed(figure), f"Miami plot of {result.arm}")
    write_csv(output / "comparison.csv", comparison_table(results))
    write_text(output / "comparison.json", json.dumps(content, indent=2) + "\n")
    jobs = read_jobs(benchmarks, folder, phase, arms)
    write_text(output / "report.html", _page(results, content, plots, jobs, recipe))
    logger.info("report written to %s", output / "report.html")


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
    arms = [result for result in results if result.arm in names("trained", "control", selected=True)]
    return [_mixture(results[0], arms, row) for row in range(min(_WORKED, len(results[0].mixtures)))]


def _mixture(first: ArmResult, arms: list[ArmResult], row: int) -> dict[str, Any]:
    true, predicted = first.true[row], [result.predicted[row] for result in arms]
    shown = np.any([true > 0, *map(metrics.called, predicted)], axis=0)
    return {
        "name": first.mixtures[row],
        "depth": f"{first.per_mixture['mean_depth'].iloc[row]:g}",
        "arms": [result.arm for result in arms],
        "tissues": [
            {"name": first.tissues[t], "true": _short(true[t]), "cells": [_cell(true[t], p[t]) for p in predicted]}
            for t in np.argsort(-true, kind="stable")
            if shown[t]
        ],
    }


def _cell(true: float, predicted: float) -> dict[str, str]:
    kind = "wrong" if metrics.spurious(true, predicted) else "lost" if metrics.missed(true, predicted) else ""
    return {"text": _short(predicted), "kind": kind}


def _short(value: float) -> str:
    return "0" if value == 0 else f"{100 * value:.1f} %"
