"""Measure computing costs, as ratios within one run. No result depends on them. For Linux."""

import argparse
import sys
from pathlib import Path

from methmix import cli


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.benchmark", __doc__ or "")
    cli.config_option(arguments)
    arguments.add_argument("--output", type=Path, required=True, help="folder to write benchmark.json and .html to")
    arguments.add_argument("--full", action="store_true", help="more repetitions and larger sizes")
    arguments.add_argument("--device", choices=["auto", "cpu"], default="auto", help="auto: a GPU if there is one")
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    # Imported here, so that --help does not load torch.
    from methmix.benchmark.measure import benchmark

    benchmark(options.config, options.output, "full" if options.full else "quick", options.device)


if __name__ == "__main__":
    sys.exit(main())
