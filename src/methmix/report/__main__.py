"""Report the comparison of arms, the ablation, folds and draws of donors, or the limits of detection."""

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
            "ablation": "the effect of each ingredient of the sparse arm",
            "folds": "the test mixtures of several folds pooled",
            "donors": "the arms over several draws of donors",
        },
    )
    comparison, detection, ablation, folds, donors = commands.values()
    comparison.add_argument("--folder", type=Path, required=True, help="results/<name>/<phase>, with a folder per arm")
    detection.add_argument(
        "--folder", type=Path, required=True, dest="output", help="output of methmix.detection; also written to"
    )
    for command in (ablation, folds, donors):
        command.add_argument("--runs", type=Path, nargs="+", required=True, help="results/<name>/<phase> of each run")
    for command in (comparison, ablation, folds, donors):
        cli.config_option(command)
        command.add_argument("--arms", nargs="+", default=names(compared=True), help="arms in the order of the table")
    for name in ("comparison", "ablation", "folds", "donors"):
        files = (f"{name}.csv", f"{name}.json", "report.html")
        cli.output_option(commands[name], "folder to write to", files=files)
    comparison.add_argument("--jobs", type=Path, help="folder of Snakemake's benchmark files")
    comparison.add_argument("--draws", type=Path, help="donors.json of several draws of donors; it need not exist")
    bodies = dict(zip(commands, (_comparison, _detection, _ablation, _folds, _donors), strict=True))
    return cli.run(lambda options: bodies[options.command](options), arguments)


# Each command imports its own module, so that --help does not wait for numerical libraries.


def _comparison(options: argparse.Namespace) -> None:
    from methmix.report.comparison import write_comparison

    write_comparison(options.config, options.folder, options.arms, options.jobs, options.draws, options.output)


def _detection(options: argparse.Namespace) -> None:
    from methmix.report.detection_page import write_detection_page

    write_detection_page(options.output)


def _ablation(options: argparse.Namespace) -> None:
    from methmix.report.ablation import write_ablation

    write_ablation(options.config, options.runs, options.arms, options.output)


def _folds(options: argparse.Namespace) -> None:
    from methmix.report.folds import write_folds

    write_folds(options.config, options.runs, options.arms, options.output)


def _donors(options: argparse.Namespace) -> None:
    from methmix.report.donor_draws import write_donors

    write_donors(options.config, options.runs, options.arms, options.output)


if __name__ == "__main__":
    sys.exit(main())
