"""Report the comparison of arms, the ablation, the folds, the limits of detection, or the learning-rate sweep."""

import argparse
import sys
from pathlib import Path

from methmix import cli
from methmix.arms import names


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.report", __doc__ or "")
    commands = arguments.add_subparsers(dest="command", required=True)
    made = _add(commands, "comparison", "tables, Miami plots and the page of one phase", _comparison)
    cli.config_option(made)
    made.add_argument("--folder", type=Path, required=True, help="results/<name>/<phase>, with a folder per arm")
    _arms_option(made)
    made.add_argument("--jobs", type=Path, help="folder of Snakemake's benchmark files")
    made.add_argument("--output", type=Path, required=True, help="folder to write to")
    made = _add(commands, "detection", "figure and page of the limits of detection", _detection)
    made.add_argument(
        "--folder", type=Path, required=True, help="what python -m methmix.detection has written; also written to"
    )
    made = _add(commands, "sweep", "which learning rate is best on validation", _sweep)
    made.add_argument("--runs", type=Path, nargs="+", required=True, help="run folders of the sweep")
    made.add_argument("--output", type=Path, required=True, help="folder to write sweep.csv and sweep.png to")
    for name, what, body in (
        ("ablation", "what each ingredient of the sparse arm is worth", _ablation),
        ("folds", "the test mixtures of several folds pooled", _folds),
    ):
        made = _add(commands, name, what, body)
        cli.config_option(made)
        made.add_argument("--runs", type=Path, nargs="+", required=True, help="results/<name>/<phase> of each run")
        _arms_option(made)
        made.add_argument("--output", type=Path, required=True, help="folder to write to")
    return cli.run(lambda options: options.body(options), arguments)


def _add(commands, name, what, body):
    made = commands.add_parser(name, help=what)
    cli.add_common_options(made)
    made.set_defaults(body=body)
    return made


def _arms_option(to: argparse.ArgumentParser) -> None:
    to.add_argument("--arms", nargs="+", default=names(compared=True), help="arms in the order of the table")


# The modules that do the work are imported when they are needed: --help must not wait for numerical libraries.


def _comparison(options: argparse.Namespace) -> None:
    from methmix.report.comparison_page import write_comparison

    write_comparison(options.config, options.folder, options.arms, options.jobs, options.output)


def _ablation(options: argparse.Namespace) -> None:
    from methmix.report.ablation_report import write_ablation

    write_ablation(options.config, options.runs, options.arms, options.output)


def _folds(options: argparse.Namespace) -> None:
    from methmix.report.folds_report import write_folds

    write_folds(options.config, options.runs, options.arms, options.output)


def _detection(options: argparse.Namespace) -> None:
    from methmix.report.detection_page import write_detection_page

    write_detection_page(options.folder)


def _sweep(options: argparse.Namespace) -> None:
    from methmix.report.learning_rates import write_sweep

    write_sweep(options.runs, options.output)


if __name__ == "__main__":
    sys.exit(main())
