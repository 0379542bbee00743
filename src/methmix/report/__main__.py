"""Report the comparison of arms, the ablation, the folds, the limits of detection, or the learning-rate sweep."""

import argparse
import sys
from pathlib import Path

from methmix import cli
from methmix.arms import names


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
    folders = {
        "comparison": "results/<name>/<phase>, with a folder per arm",
        "detection": "what python -m methmix.detection has written; also written to",
    }
    for name, what in folders.items():
        commands[name].add_argument("--folder", type=Path, required=True, help=what)
    for name in ("sweep", "ablation", "folds"):
        what = "run folders of the sweep" if name == "sweep" else "results/<name>/<phase> of each run"
        commands[name].add_argument("--runs", type=Path, nargs="+", required=True, help=what)
    for name in ("comparison", "ablation", "folds"):
        cli.config_option(commands[name])
        commands[name].add_argument(
            "--arms", nargs="+", default=names(compared=True), help="arms in the order of the table"
        )
    for name in ("comparison", "sweep", "ablation", "folds"):
        commands[name].add_argument("--output", type=Path, required=True, help="folder to write to")
    commands["comparison"].add_argument("--jobs", type=Path, help="folder of Snakemake's benchmark files")
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    # Imported when it is known what is needed: --help must not wait for the numerical libraries.
    match options.command:
        case "comparison":
            from methmix.report.comparison_page import write_comparison

            write_comparison(options.config, options.folder, options.arms, options.jobs, options.output)
        case "ablation":
            from methmix.report.ablation_report import write_ablation

            write_ablation(options.config, options.runs, options.arms, options.output)
        case "folds":
            from methmix.report.folds_report import write_folds

            write_folds(options.config, options.runs, options.arms, options.output)
        case "detection":
            from methmix.report.detection_page import write_detection_page

            write_detection_page(options.folder)
        case "sweep":
            from methmix.report.learning_rates import write_sweep

            write_sweep(options.runs, options.output)


if __name__ == "__main__":
    sys.exit(main())
