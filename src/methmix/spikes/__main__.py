"""Spike reads of held-out donors into real controls, and measure what each method finds at a stated specificity."""

import argparse
import sys
from pathlib import Path

from methmix import cli


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.spikes", __doc__ or "")
    cli.config_option(arguments)
    arguments.add_argument("--reference", type=Path, required=True, help="reference.h5 of the experiment")
    arguments.add_argument("--checkpoint", type=Path, required=True, help="checkpoint_best.pt of the sparse arm")
    arguments.add_argument("--depth", type=float, help="mean depth to thin to; by default what 90 %% of controls reach")
    arguments.add_argument("--repeats", type=int, default=3, help="divisions of the controls into panel and spiked")
    files = ("spikes.json", "spikes.csv", "report.html")
    cli.output_option(arguments, "folder to write to", files=files)
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    # Imported here, so that --help does not wait for the libraries.
    from methmix.spikes.spike_suite import run_spikes

    run_spikes(options)


if __name__ == "__main__":
    sys.exit(main())
