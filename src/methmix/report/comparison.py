"""The comparison of all arms on the test mixtures of one phase: tables, Miami plots and a page."""

import json
import logging
from collections import defaultdict
from pathlib import Path
from typing import Any

import pandas as pd

from methmix import provenance, seeds
from methmix.arms import MAIN
from methmix.config.load import load_experiment
from methmix.files.atomic import all_or_none, write_csv, write_text
from methmix.pages.miami import largest_proportion, miami
from methmix.pages.render import render
from methmix.pages.style import Image, image, save
from methmix.report import comparison_figures as figures
from methmix.report import interactive
from methmix.report.arm_differences import COMPARED, difference, over_draws, read_draws
from methmix.report.arm_results import ArmResult, read_arms, serious
from methmix.report.first_screen import first_screen, opponents
from methmix.report.interval_figures import intervals
from methmix.report.job_costs import efficiency, read_jobs, rows
from methmix.report.metric_labels import HEADLINE, chosen

logger = logging.getLogger("methmix")

# Metrics without a bootstrap interval.
_COSTS = ("train_seconds", "predict_seconds", "peak_memory_mb", "n_parameters")
# What else comparison.json has of the metrics of an arm.
_KEPT = ("choices", "grouped", "label_correlation")
_COLUMNS = chosen(
    "mae", "spurious_per_mixture", "missed_per_mixture", "false_mass", "exact_zero_absent", "prediction_ratio",
    "called_1_to_5", "presence_mcc", "presence_auroc", "presence_ece", "presence_ece_uncertain",
)  # fmt: skip
# From about this number on, Student's factor is near that of a normal distribution.
_ENOUGH_DRAWS = 8
# Section, figure, what it shows, caption: a further figure is a function and a line here.
_FIGURES = (
    ("abundance", figures.errors_by_abundance, "Mean absolute error by true proportion", "Lines: 95 % intervals."),
    ("background", figures.background, "Predicted against true background", ""),
    ("presence", figures.presence, "Calibration and precision-recall", ""),
    ("tradeoff", figures.tradeoff, "False-positive against missed tissues", ""),
    ("training", figures.training, "Training curves", ""),
)
_FIGURES_OF_ARMS = (
    ("presence", figures.calibration, "Calibration by depth and tissue"),
    ("intervals", intervals, "Intervals"),
)


@all_or_none()
def write_comparison(
    config: Path, folder: Path, arms: list[str], benchmarks: Path | None, draws: Path | None, output: Path
) -> None:
    """Write ``comparison.csv``, ``comparison.json``, Miami plots (PNG and SVG) and ``report.html`` of one phase.

    ``folder`` is ``results/<name>/<phase>``, with a folder per arm; ``benchmarks`` has Snakemake's benchmark files, and
    ``draws`` is the donors.json of several draws of donors, where there is one.
    """
    experiment = load_experiment(config)
    results = read_arms(folder, arms)
    phase, notes = results[0].metrics["phase"], results[0].metrics["notes"]
    bootstrap = experiment.evaluation.n_bootstrap, seeds.integer(experiment.seed, "bootstrap")
    content = comparison_json(results, *bootstrap, read_draws(draws, results))
    recipe = experiment.mixtures.recipes[phase].words
    note = "\n".join(filter(None, (f"Each mixture: {recipe}.", "; ".join(notes))))
    largest = largest_proportion(*(values for r in results for values in (r.true, r.predicted)))
    for result in results:
        figure = miami(result.arm, result.tissues, result.true, result.predicted, note, largest)
        for suffix in ("png", "svg"):
            save(figure, output / f"miami_{result.arm}.{suffix}")
    write_csv(output / "comparison.csv", comparison_table(results, content["arms"]))
    write_text(output / "comparison.json", json.dumps(content, indent=2) + "\n")
    jobs = read_jobs(benchmarks, folder, phase, arms)
    write_text(output / "report.html", comparison_page(results, content, jobs, recipe))
    logger.info("report written to %s", output / "report.html")


def comparison_table(results: list[ArmResult], arms: dict[str, Any]) -> pd.DataFrame:
    """Make the table: a row per arm, with each metric, its intervals, costs and notes.

    ``<metric>_low`` and ``_high`` are over mixtures of the same donors, ``<metric>_donors_low`` and ``_high`` over
    donors, where known; ``arms`` is that of comparison.json.
    """
    rows = []
    for result in results:
        row: dict[str, Any] = {"arm": result.arm}
        for name in _with_interval(result):
            low, high = result.metrics[f"{name}_ci95"]
            row |= {name: result.metrics[name], f"{name}_low": low, f"{name}_high": high}
            if ends := arms[result.arm].get(f"{name}_donors_ci95"):
                row |= {f"{name}_donors_low": ends[0], f"{name}_donors_high": ends[1]}
        row |= {name: result.metrics[name] for name in _COSTS}
        rows.append({**row, "notes": "; ".join(result.metrics["notes"])})
    return pd.DataFrame(rows)


def _with_interval(result: ArmResult) -> list[str]:
    return [name for name in result.metrics if f"{name}_ci95" in result.metrics]


def comparison_json(
    results: list[ArmResult], n_bootstrap: int, seed: int, draws: list[dict[str, Any]]
) -> dict[str, Any]:
    """Make the content of comparison.json; ``draws`` is that of donors.json, and empty where there is none."""
    by_name, first = {result.arm: result for result in results}, results[0].metrics
    content: dict[str, Any] = {
        "arms": {
            arm: {
                **{key: r.metrics[key] for name in _with_interval(r) for key in (name, f"{name}_ci95")},
                **{name: r.metrics[name] for name in (*_COSTS, *_KEPT) if name in r.metrics},
                **{key: value for key, value in r.metrics.items() if key.endswith("_donors_ci95")},
                **({"donor_draws": r.metrics["donor_draws"]} if "donor_draws" in r.metrics else {}),
                **over_draws(draws, arm),
            }
            for arm, r in by_name.items()
        }
    }
    for other in opponents(results):
        content[f"{MAIN}_minus_{other}"] = difference(by_name[MAIN], by_name[other], n_bootstrap, seed, draws)
    content["provenance"] = {
        **first["provenance"],
        **{name: first[name] for name in ("phase", "split", "n_mixtures")},
        "n_bootstrap": n_bootstrap,
        "over_donors": _how(first, draws),
        "notes": first["notes"],
        "commit": provenance.commit(),
        "training": {r.arm: r.metrics["provenance"]["training"] for r in results if not r.log.empty},
    }
    # JSON has no NaN.
    finite: dict[str, Any] = json.loads(json.dumps(content), parse_constant=lambda _: None)
    return finite


def _how(of_arm: dict[str, Any], draws: list[dict[str, Any]]) -> str:
    """Say how intervals over donors were computed."""
    if draws:
        advised = f" ({_ENOUGH_DRAWS} or more are advised)" if len(draws) < _ENOUGH_DRAWS else ""
        return f"Student intervals of the mean of {len(draws)} draws of donors{advised}"
    if "donor_draws" in of_arm:
        return f"jackknife over the {of_arm['donor_draws']} donors of the test mixtures"
    return f"not known (run snakemake donors_{of_arm['phase']})"


def comparison_page(results: list[ArmResult], comparison: dict[str, Any], jobs: pd.DataFrame, recipe: str) -> str:
    """Write the page; ``comparison`` is the content of comparison.json, ``recipe`` says how mixtures are made."""
    table = results[0].per_tissue[results[0].per_tissue["shared_donors"] != "none"]
    shared = dict(zip(table["tissue"], table["shared_donors"], strict=True))
    test_shared = [tissue for tissue, splits in shared.items() if "test" in splits]
    optimistic = f"test mixtures have training donors of {', '.join(test_shared)}: errors are optimistic"
    first = first_screen(
        results, comparison, [*comparison["provenance"]["notes"], *([optimistic] if test_shared else [])]
    )
    data = interactive.page_data(results, first["arms"])
    scripts = {"data": data, "specifications": interactive.specifications(results, comparison["arms"])}
    return render(
        "report/comparison.html",
        comparison=comparison,
        provenance=comparison["provenance"],
        recipe=recipe,
        results=results,
        serious=serious(results),
        first=first,
        columns=_COLUMNS,
        main_columns=HEADLINE,
        differences=COMPARED,
        pairs={other: comparison[f"{MAIN}_minus_{other}"] for other in opponents(results)},
        figures=_images(results, jobs),
        abundance_headings=figures.headings(results),
        abundance={result.arm: figures.classes(result) for result in serious(results)},
        jobs=rows(jobs),
        elapsed_seconds=jobs["end"].max() - jobs["start"].min(),
        total_seconds=jobs["seconds"].sum(),
        peak_memory=jobs["memory_mb"].max(),
        least_errors=figures.LEAST_ERRORS,
        shared=[f"{tissue} ({splits})" for tissue, splits in shared.items()],
        test_shared=test_shared,
        choices={name: sorted(set(data[name])) for name in ("depth", "number")},
        data=data,
        embedded={name: interactive.embedded(value) for name, value in scripts.items()},
        library=interactive.library(),
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
