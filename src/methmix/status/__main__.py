"""Show what is done, running, failed and next in the folders of results; nothing is changed.

A step runs if its process is found on this host, if the owner of its training.lock is alive, or if SLURM says so of its
job; where that cannot be known from here, the state is unknown. Of a step that has failed, the end of its log is shown.
"""

import argparse
import sys
from pathlib import Path

from methmix import cli


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.status", __doc__ or "")
    arguments.add_argument(
        "results", nargs="*", type=Path, metavar="FOLDER", help="results/<name>; without one, all of results/"
    )
    arguments.add_argument("--json", action="store_true", help="print everything as JSON, one object per step")
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    # Imported here, so that --help is quick.
    from methmix.status.experiments import print_status

    print_status(options.results, options.json)


if __name__ == "__main__":
    sys.exit(main())
