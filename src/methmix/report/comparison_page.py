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
from methmix.report.abundance_panels import classes, errors_by_abundance, headings
from methmix.report.arm_figures import background, per_tissue, scatter, strata, summary, training
from methmix.report.arm_results import ArmResult, read_arms, serious
from methmix.report.comparison import comparison_json, comparison_table
from methmix.report.interval_figures import intervals
from methmix.report.job_costs import efficiency, read_jobs, rows
from methmix.report.metric_labels import HEADLINE, chosen
from methmix.report.miami import miami
from methmix.report.presence_figures import LEAST_ERRORS, calibration, presence, tradeoff
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
    ("arms", summary, "Arms compared in four metrics", ""),
    ("scatter", scatter, "Predicted against true proportions", "Red, left of 0: absent entries that are called."),
    ("abundance", errors_by_abundance, "Mean absolute error by true proportion", "Lines: 95 % intervals."),
    ("background", background, "Predicted against true background", ""),
    ("tissues", per_tissue, "Errors by tissue", ""),
    ("tissues", strata, "Errors by depth and number of tissues", ""),
    ("presence", presence, "Calibration and precision-recall", ""),
    ("tradeoff", tradeoff, "False-positive against missed tissues", ""),
    ("training", training, "Training curves", ""),
)
_FIGURES_OF_ARMS = (
    ("presence", calibration, "Calibration by depth and tissue"),
    ("intervals", intervals, "Intervals"),
)


def write_comparison(config: Path, folder: Path, arms: list[str], benchmarks: Path | None, output: Path) -> None:
    """Compare the arms of one phase.

    Parameters
    ----------
    config
        The experiment.
    folder
        ``results/<name>/<phase>``, with a folder per arm.
    arms
        In the order of the table.
    benchmarks
        Folder of Snakemake's benchmark files.
    output
        Folder for ``comparison.csv``, ``comparison.json``, ``miami_<arm>.png`` and ``report.html``.
    """
    experiment = load_experiment(config)
    results = read_arms(folder, arms)
    phase, notes = results[0].metrics["phase"], results[0].metrics["notes"]
    content = comparison_json(results, experiment.evaluation.n_bootstrap, seeds.integer(experiment.seed, "bootstrap"))
    recipe = experiment.mixtures.recipes[phase].words
    plots = {}
    for result in results:
        note = "\n".join(filter(None, (f"A mixture: {recipe}.", "; ".join(notes))))
        figure = miami(result.arm, result.tissues, result.true, result.predicted, note)
        save(figure, output / f"miami_{result.arm}.png")
        plots[result.arm] = Image(embed(figure), f"Miami plot of {result.arm}")
    write_csv(output / "comparison.csv", comparison_table(results))
    write_text(output / "comparison.json", json.dumps(content, indent=2) + "\n")
    jobs = read_jobs(benchmarks, folder, phase, arms)
    write_text(output / "report.html", page(results, content, plots, jobs, recipe))
    logger.info("report written to %s", output / "report.html")


def page(
    results: list[ArmResult], comparison: dict[str, Any], plots: dict[str, Image], jobs: pd.DataFrame, recipe: str
) -> str:
    """Render the page.

    Parameters
    ----------
    results
        All arms.
    comparison
        Content of comparison.json.
    plots
        Arm -> its Miami plot.
    jobs
        What the run's jobs used (`read_jobs`); may be empty.
    recipe
        What a mixture of the phase consists of, in words.
    """
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
        abundance_headings=headings(results),
        abundance={result.arm: classes(result) for result in serious(results)},
        worked=worked_mixtures(results),
        jobs=rows(jobs),
        elapsed_seconds=jobs["end"].max() - jobs["start"].min(),
        total_seconds=jobs["seconds"].sum(),
        peak_memory=jobs["memory_mb"].max(),
        least_errors=LEAST_ERRORS,
        shared=[f"{tissue} ({splits})" for tissue, splits in shared.items()],
        test_shared=[tissue for tissue, splits in shared.items() if "test" in splits],
    )


def _figures(results: list[ArmResult], jobs: pd.DataFrame) -> dict[str, list[Image]]:
    """Draw the figures of each section."""
    figures = defaultdict(list, cost=image(efficiency(jobs), "Resources used / requested"))
    for section, draw, alt, caption in _FIGURES:
        figures[section] += image(draw(results), alt, caption)
    for section, draw_arm, alt in _FIGURES_OF_ARMS:
        for result in results:
            figures[section] += image(draw_arm(result), f"{alt} of {result.arm}")
    return figures
