"""Measure whether a model is overconfident: few regions, many tissues, shifts, foreign DNA, no tissue."""

import argparse
import sys
from pathlib import Path

from methmix import cli

# Mixtures of each situation; proportions of a few percent of their entries can be measured.
_MIXTURES = 100


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.robustness", __doc__ or "")
    cli.config_option(arguments)
    arguments.add_argument("--reference", type=Path, required=True, help="reference.h5 of the experiment")
    arguments.add_argument("--checkpoint", type=Path, required=True, help="checkpoint_best.pt of the sparse arm")
    arguments.add_argument("--mixtures", type=int, default=_MIXTURES, help="mixtures of each situation")
    files = ("robustness.json", "robustness.csv", "report.html")
    cli.output_option(arguments, "folder to write to", files=files)
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    # Imported here, so that --help does not wait for the libraries.
    from methmix.robustness.suite import run_suite

    run_suite(options)


if __name__ == "__main__":
    sys.exit(main())
