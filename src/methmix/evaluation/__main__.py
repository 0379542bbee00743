"""Evaluate one arm or control on the test mixtures."""

import argparse
import sys
from pathlib import Path

from methmix import arms, cli

_TABLES = ("predictions", "per_tissue", "per_mixture", "by_abundance", "tradeoff")
_FILES = ("metrics.json", *(f"{name}.csv" for name in _TABLES))


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.evaluation", __doc__ or "")
    cli.config_option(arguments)
    arguments.add_argument("--arm", choices=arms.names(), required=True, help="what to evaluate")
    arguments.add_argument("--reference", type=Path, required=True, help="reference.h5 of the experiment")
    arguments.add_argument("--validation", type=Path, required=True, help="mixtures to choose and calibrate on")
    arguments.add_argument("--test", type=Path, required=True, help="mixtures to score")
    arguments.add_argument("--checkpoint", type=Path, help="checkpoint_best.pt; for a trained arm")
    cli.output_option(arguments, "folder for metrics and predictions", files=_FILES)
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    # Imported here, so that --help does not wait for the libraries.
    from methmix.evaluation.evaluate import evaluate_files

    evaluate_files(options)


if __name__ == "__main__":
    sys.exit(main())
