"""Make, describe and fetch references.

A reference holds every donor of every tissue, divided into train, validation and test before
anything is mixed.
"""

import argparse
import os
import sys
from pathlib import Path

from methmix import cli
from methmix.reference.public_files import BASE_URL


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.reference", __doc__ or "")
    commands = cli.subcommands(
        arguments,
        {
            "build": "Make the reference of an experiment and split its donors.",
            "report": "Describe a reference: donors, depth, purity, which tissues are alike.",
            "fit-variation": "Fit the variation between donors to real replicates.",
            "download": "Fetch the public data of the shipped experiments; needs internet.",
        },
    )
    build = commands["build"]
    cli.config_option(build)
    build.add_argument("--output", type=Path, required=True, help="the reference to write, an HDF5 file")

    report = commands["report"]
    report.add_argument("--reference", type=Path, required=True, help="the reference, from: build")
    report.add_argument(
        "--output", type=Path, required=True, help="the page to write; figures and donors.csv go beside it"
    )

    fit = commands["fit-variation"]
    fit.add_argument(
        "--counts", required=True, help="counts table with donors named <tissue>-<number>; METHMIX_DATA/ may lead"
    )
    fit.add_argument("--seed", type=int, default=1, help="seed of the redrawn donors")
    fit.add_argument("--output", type=Path, required=True, help="the parameters to write, a JSON file")

    fetch = commands["download"]
    fetch.add_argument("--output", type=Path, default=Path("data"), help="folder to fill")
    fetch.add_argument(
        "--base-url",
        default=os.environ.get("METHMIX_MIRROR", BASE_URL),
        help="scheme and host, for a mirror; METHMIX_MIRROR does the same",
    )
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    # Imported only now: --help and wrong usage need no numerical library.
    from methmix.reference.commands import COMMANDS

    COMMANDS[options.command](options)


if __name__ == "__main__":
    sys.exit(main())
