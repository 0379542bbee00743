"""The comparison of all arms on the test mixtures of one phase: tables, Miami plots and a page."""

import json
import logging
from collections import defaultdict
from pathlib import Path
from typing import Any

import pandas as pd

from methmix import seeds
from methmix.config.load import load_experiment
from methmix.files.atomic import write_csv, write_text
from methmix.pages.render import render
from methmix.pages.style import Image, embed, image, save
from methmix.report import arm_figures, certainty_figures
from methmix.report.arm_results import ArmResult, read_arms, serious
from methmix.report.comparison import comparison_json, comparison_table
from methmix.report.job_costs import efficiency, read_jobs, rows
from methmix.report.metric_labels import HEADLINE, chosen
from methmix.report.miami import miami
from methmix.report.worked_mixtures import worked_mixtures

logger = logging.getLogger("methmix")

_COLUMNS = chosen(
    "mae", "spurious_per_mixture", "missed_per_mixture", "false_mass", "exact_zero_absent", "prediction_ratio",
    "presence_mcc", "presence_ece",
)  # fmt: skip
_DIFFERENCES = chosen(
    "mae", "spurious_per_mixture", "missed_per_mixture", "false_mass", "background_mae",
    "distance_of_prediction_ratio_from_1",
)  # fmt: skip
# Section, figure, what it shows, caption: a further figure is a function and a line here.
_FIGURES = (
    ("arms", arm_figures.summary, "Arms compared in four metrics", ""),
    ("scatter", arm_figures.scatter, "Predicted against true proportions", "Red, left of 0: absent but called."),
    ("abundance", arm_figures.errors_by_abundance, "Mean absolute error by true proportion", "Lines: 95 % intervals."),
    ("background", arm_figures.background, "Predicted against true background", ""),
    ("tissues", arm_figures.per_tissue, "Errors by tissue", ""),
    ("tissues", arm_figures.strata, "Errors by depth and number of tissues", ""),
    ("presence", certainty_figures.presence, "Calibration and precision-recall", ""),
    ("tradeoff", certainty_figures.tradeoff, "False-positive against missed tissues", ""),
    ("training", arm_figures.training, "Training curves", ""),
)
_FIGURES_OF_ARMS = (
    ("presence", certainty_figures.calibration, "Calibration by depth and tissue"),
    ("intervals", certainty_figures.intervals, "Intervals"),
)


def write_comparison(config: Path, folder: Path, arms: list[str], benchmarks: Path | None, output: Path) -> None:
    """Write ``comparison.csv``, ``comparison.json``, ``miami_<arm>.png`` and ``report.html`` of one phase.

    Parameters
    ----------
    config
        The experiment.
    folder
        ``results/<name>/<phase>``, with a folder per arm.
    arms
        In the order of the table.
    benchmarks
        Folder of Snakemake's benchmark files, if there is one.
    output
        Folder to write to.
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
        figures=_figures(results, jobs),
        plots=plots,
        abundance_headings=arm_figures.headings(results),
        abundance={result.arm: arm_figures.classes(result) for result in serious(results)},
        worked=worked_mixtures(results),
        jobs=rows(jobs),
        elapsed_seconds=jobs["end"].max() - jobs["start"].min(),
        total_seconds=jobs["seconds"].sum(),
        peak_memory=jobs["memory_mb"].max(),
        least_errors=certainty_figures.LEAST_ERRORS,
        shared=[f"{tissue} ({splits})" for tissue, splits in shared.items()],
        test_shared=[tissue for tissue, splits in shared.items() if "test" in splits],
    )


def _figures(results: list[ArmResult], jobs: pd.DataFrame) -> dict[str, list[Image]]:
    """Draw all figures; section -> its images."""
    figures = defaultdict(list, cost=image(efficiency(jobs), "Resources used / requested"))
    for section, draw, alt, caption in _FIGURES:
        figures[section] += image(draw(results), alt, caption)
    for section, draw_arm, alt in _FIGURES_OF_ARMS:
        for result in results:
            figures[section] += image(draw_arm(result), f"{alt} of {result.arm}")
    return figures
