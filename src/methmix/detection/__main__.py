"""Measure the limit of detection of every tissue: one tissue spiked into a background, against blanks."""

import argparse
import sys
from pathlib import Path

from methmix import cli


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.detection", __doc__ or "")
    cli.config_option(arguments)
    arguments.add_argument("--reference", type=Path, required=True, help="reference.h5 of the experiment")
    arguments.add_argument("--checkpoints", type=Path, nargs="+", required=True, help="checkpoint_best.pt of each arm")
    arguments.add_argument(
        "--validation", type=Path, required=True, help="validation mixtures, for the cuts of controls"
    )
    files = ("scores.npz", "detection.csv", "limits.csv", "detection.json")
    cli.output_option(arguments, "folder for scores and tables", files=files)
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    # Imported here, so that --help does not wait for the libraries.
    from methmix.detection.measurement import measure_files

    measure_files(options)


if __name__ == "__main__":
    sys.exit(main())
