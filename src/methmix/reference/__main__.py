"""Make, describe and fetch references: all donors of all tissues, split before anything is mixed."""

import argparse
import logging
import os
import sys
from pathlib import Path

from methmix import cli
from methmix.reference.public_files import BASE_URL

logger = logging.getLogger("methmix")


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.reference", __doc__ or "")
    commands = cli.subcommands(
        arguments,
        {
            "build": "Make the reference of an experiment and split its donors.",
            "report": "Describe a reference: donors, depth, purity, similarity of tissues.",
            "fit-variation": "Fit the variation between donors to real replicates.",
            "download": "Fetch the public data of the shipped experiments; needs internet.",
        },
    )
    build = commands["build"]
    cli.config_option(build)
    cli.output_option(build, "the reference to write, an HDF5 file", is_file=True)

    report = commands["report"]
    report.add_argument("--reference", type=Path, required=True, help="the reference, from: build")
    cli.output_option(report, "the page; figures and donors.csv go beside it", is_file=True)

    fit = commands["fit-variation"]
    fit.add_argument(
        "--counts", required=True, help="counts table with donors named <tissue>-<number>; METHMIX_DATA/ may lead"
    )
    fit.add_argument("--seed", type=int, default=1, help="seed of the redrawn donors")
    cli.output_option(fit, "the parameters to write, a JSON file", is_file=True)

    fetch = commands["download"]
    cli.output_option(fetch, "folder to fill", required=False, default=Path("data"))
    mirror = os.environ.get("METHMIX_MIRROR", BASE_URL)
    fetch.add_argument("--base-url", default=mirror, help="scheme and host, for a mirror, as METHMIX_MIRROR")
    bodies = {"build": _build, "report": _report, "fit-variation": _fit_variation, "download": _download}
    return cli.run(lambda options: bodies[options.command](options), arguments)


# What does the work is imported only when it is to be done: --help and wrong usage need no numerical library, and the
# result of one command does not depend on the code of another.
def _build(options: argparse.Namespace) -> None:
    from methmix.config.load import load_experiment
    from methmix.reference.build import write_built

    write_built(load_experiment(options.config), options.output)


def _report(options: argparse.Namespace) -> None:
    from methmix.files.reference import read_reference
    from methmix.reference.reference_report import write_report

    write_report(options.output, read_reference(options.reference))


def _fit_variation(options: argparse.Namespace) -> None:
    from methmix.reference.fit_variation import write_fit

    write_fit(options.counts, options.seed, options.output)


def _download(options: argparse.Namespace) -> None:
    from methmix.reference.download import download

    download(options.output, options.base_url)
    logger.warning("loyfer_uxm/ is for research use only: see https://github.com/nloyfer/UXM_deconv")


if __name__ == "__main__":
    sys.exit(main())
