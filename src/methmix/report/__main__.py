"""Draw the comparison of arms, the ablation, the pooled folds, the limits of detection, or the learning-rate sweep."""

import argparse
import json
import logging
import sys
from pathlib import Path

import pandas as pd

from methmix import cli, seeds
from methmix.config.arms import effective_variants
from methmix.config.load import load_experiment
from methmix.errors import InputError
from methmix.evaluation.answers import ARMS
from methmix.files.atomic import write_csv, write_text
from methmix.pages import style
from methmix.report import ablation_page, comparison_page, detection, figures, folds_page, repeats
from methmix.report.comparison import comparison_json, comparison_table
from methmix.report.cost import read_jobs
from methmix.report.miami import miami
from methmix.report.results import read_arms

logger = logging.getLogger("methmix")


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.report", __doc__ or "")
    commands = cli.subcommands(
        arguments,
        {
            "comparison": "tables, Miami plots and the page of one phase",
            "detection": "figure and page of the limits of detection",
            "sweep": "which learning rate is best on validation",
            "ablation": "what each ingredient of the sparse arm is worth",
            "folds": "the test mixtures of several folds pooled",
        },
    )
    comparison = commands["comparison"]
    cli.config_option(comparison)
    comparison.add_argument("--folder", type=Path, required=True, help="results/<name>/<phase>, with a folder per arm")
    comparison.add_argument("--arms", nargs="+", default=list(ARMS), help="arms in the order of the table")
    comparison.add_argument("--jobs", type=Path, help="folder of Snakemake's benchmark files")
    comparison.add_argument("--output", type=Path, required=True, help="folder to write to")
    commands["detection"].add_argument(
        "--folder", type=Path, required=True, help="what python -m methmix.detection has written; also written to"
    )
    sweep = commands["sweep"]
    sweep.add_argument("--runs", type=Path, nargs="+", required=True, help="run folders of the sweep")
    sweep.add_argument("--output", type=Path, required=True, help="folder to write sweep.csv and sweep.png to")
    for name in ("ablation", "folds"):
        repeated = commands[name]
        cli.config_option(repeated)
        repeated.add_argument("--runs", type=Path, nargs="+", required=True, help="results/<name>/<phase> of each run")
        repeated.add_argument("--arms", nargs="+", default=list(ARMS), help="arms in the order of the table")
        repeated.add_argument("--output", type=Path, required=True, help="folder to write to")
    bodies = {
        "comparison": _comparison,
        "sweep": _sweep,
        "ablation": _ablation,
        "folds": _folds,
        "detection": _detection,
    }
    return cli.run(lambda options: bodies[options.command](options), arguments)


def _comparison(options: argparse.Namespace) -> None:
    experiment = load_experiment(options.config)
    results = read_arms(options.folder, options.arms)
    output: Path = options.output
    content = comparison_json(results, experiment.evaluation.n_bootstrap, seeds.integer(experiment.seed, "bootstrap"))
    phase = results[0].metrics["phase"]
    recipe = experiment.mixtures.recipes[phase].words
    note = "\n".join(filter(None, (f"A mixture: {recipe}.", "; ".join(results[0].metrics["notes"]))))
    images = {}
    for result in results:
        figure = miami(result.arm, result.tissues, result.true, result.predicted, note)
        style.save(figure, output / f"miami_{result.arm}.png")
        images[result.arm] = style.embed(figure)
    write_csv(output / "comparison.csv", comparison_table(results))
    write_text(output / "comparison.json", json.dumps(content, indent=2) + "\n")
    jobs = read_jobs(options.jobs, options.folder, phase, options.arms)
    write_text(output / "report.html", comparison_page.render(results, content, images, jobs, recipe))
    logger.info("the report is %s", output / "report.html")


def _ablation(options: argparse.Namespace) -> None:
    # As the folder of a run is named: results/<name>/<phase>.
    variants = effective_variants(load_experiment(options.config), options.runs[0].name)
    table = repeats.read_ablation(options.runs, options.arms, variants)
    summary, figure = repeats.ablation_summary(table), repeats.ablation_figure(table)
    write_csv(options.output / "ablation.csv", table)
    style.save(figure, options.output / "ablation.png")
    write_text(options.output / "report.html", ablation_page.render(table, summary, figure))
    logger.info("the report is %s", options.output / "report.html")


def _folds(options: argparse.Namespace) -> None:
    experiment = load_experiment(options.config)
    if len(options.runs) < 2:
        raise InputError("--runs: there is one fold only", "name further ones in the configuration: repeats.folds")
    settings, seed = experiment.evaluation, seeds.integer(experiment.seed, "bootstrap")
    content = repeats.pool_folds(options.runs, options.arms, settings.look_alikes, settings.n_bootstrap, seed)
    table = repeats.folds_table(content)
    figure = repeats.folds_figure(content, [arm for arm in options.arms if arm not in ("uniform", "all_absent")])
    write_csv(options.output / "folds.csv", table)
    write_text(options.output / "folds.json", json.dumps(content, indent=2) + "\n")
    style.save(figure, options.output / "folds.png")
    write_text(options.output / "report.html", folds_page.render(content, table, figure))
    logger.info("the report is %s", options.output / "report.html")


def _detection(options: argparse.Namespace) -> None:
    sensitivities, limits, record = detection.read_detection(options.folder)
    figure = detection.draw(sensitivities, limits, record)
    style.save(figure, options.folder / "detection.png")
    write_text(options.folder / "detection.html", detection.render(limits, record, figure))
    logger.info("the page is %s", options.folder / "detection.html")


def _sweep(options: argparse.Namespace) -> None:
    rows = []
    for run in options.runs:
        log = run / "logs" / "training_log.csv"
        if not log.is_file():
            raise InputError(f"{log}: there is no such file", "train first: python -m methmix.training")
        history = pd.read_csv(log)
        best = history.iloc[int(history["val/mae"].argmin())]
        # The folder says what was tried: .../<arm>/<learning rate>.
        rows.append(
            {
                "arm": run.parent.name,
                "learning_rate": float(run.name),
                **best[["epoch", "val/mae", "val/spurious_per_mixture", "seconds"]],
            }
        )
    table = pd.DataFrame(rows).sort_values(["arm", "learning_rate"])
    write_csv(options.output / "sweep.csv", table)
    style.save(figures.sweep(table), options.output / "sweep.png")
    for arm, of_arm in table.groupby("arm"):
        best = of_arm.iloc[int(of_arm["val/mae"].argmin())]
        logger.info("%s: best learning rate %g, validation MAE %.5f", arm, best["learning_rate"], best["val/mae"])


if __name__ == "__main__":
    sys.exit(main())
