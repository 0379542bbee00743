"""Evaluate one arm or control on the test mixtures."""

import argparse
import sys
from pathlib import Path

from methmix import cli
from methmix.config.load import load_experiment
from methmix.evaluation.answers import ARMS, WITHOUT_NETWORK
from methmix.evaluation.evaluate import evaluate_arm
from methmix.files.mixtures import read_mixtures
from methmix.files.reference import read_reference


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.evaluation", __doc__ or "")
    cli.config_option(arguments)
    arguments.add_argument("--arm", choices=(*ARMS, WITHOUT_NETWORK), required=True, help="what to evaluate")
    arguments.add_argument("--reference", type=Path, required=True, help="reference.h5 of the experiment")
    arguments.add_argument("--validation", type=Path, required=True, help="mixtures to choose and calibrate on")
    arguments.add_argument("--test", type=Path, required=True, help="mixtures to score")
    arguments.add_argument("--checkpoint", type=Path, help="checkpoint_best.pt; for a trained arm")
    arguments.add_argument("--output", type=Path, required=True, help="folder for metrics and predictions")
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    evaluate_arm(
        options.arm,
        load_experiment(options.config),
        read_reference(options.reference),
        read_mixtures(options.validation),
        read_mixtures(options.test),
        options.checkpoint,
        options.output,
    )


if __name__ == "__main__":
    sys.exit(main())
