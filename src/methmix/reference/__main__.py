"""Make, describe and fetch references.

A reference holds every donor of every tissue, divided into train, validation and test before
anything is mixed.
"""

import argparse
import json
import logging
import os
import shlex
import sys
from pathlib import Path

from methmix import cli
from methmix.config.load import load_experiment
from methmix.files.atomic import write_text
from methmix.files.reference import read_reference, write_reference
from methmix.reference.build import build_reference
from methmix.reference.download import BASE_URL, content_sha256, download
from methmix.reference.inputs import data_file
from methmix.reference.reference_report import write_report
from methmix.reference.variation import fit, read_replicates

logger = logging.getLogger("methmix")


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

    fit_variation = commands["fit-variation"]
    fit_variation.add_argument(
        "--counts",
        required=True,
        help="counts table with donors named <tissue>-<number>; METHMIX_DATA/ may lead",
    )
    fit_variation.add_argument("--seed", type=int, default=1, help="seed of the redrawn donors")
    fit_variation.add_argument("--output", type=Path, required=True, help="the parameters to write, a JSON file")

    fetch = commands["download"]
    fetch.add_argument("--output", type=Path, default=Path("data"), help="folder to fill")
    fetch.add_argument(
        "--base-url",
        default=os.environ.get("METHMIX_MIRROR", BASE_URL),
        help="scheme and host, for a mirror; METHMIX_MIRROR does the same",
    )
    bodies = {"build": _build, "report": _report, "fit-variation": _fit_variation, "download": _download}
    return cli.run(lambda options: bodies[options.command](options), arguments)


def _build(options: argparse.Namespace) -> None:
    reference = build_reference(load_experiment(options.config))
    write_reference(options.output, reference)
    logger.info(
        "%s: %d donors of %d tissues, %d regions",
        options.output,
        len(reference.donors),
        len(reference.tissue_names),
        len(reference.regions),
    )
    for note in json.loads(reference.attributes["notes"]):
        logger.warning("%s", note)


def _report(options: argparse.Namespace) -> None:
    write_report(options.output, read_reference(options.reference))
    logger.info("wrote %s", options.output)


def _fit_variation(options: argparse.Namespace) -> None:
    table = data_file(options.counts)
    fitted = fit(read_replicates(table), options.seed)
    command = ["python", "-m", "methmix.reference", "fit-variation", "--counts", options.counts]
    if options.seed != 1:
        command += ["--seed", str(options.seed)]
    record = {
        "command": shlex.join([*command, "--output", str(options.output)]),
        "input": {"name": table.name, "sha256_uncompressed": content_sha256(table)},
        **fitted,
    }
    write_text(options.output, json.dumps(record, indent=1) + "\n")
    logger.info("wrote %s", options.output)


def _download(options: argparse.Namespace) -> None:
    paths = download(options.output, options.base_url)
    logger.info("%d files are in %s", len(paths), options.output)
    logger.warning("loyfer_uxm/ is for research use only: see https://github.com/nloyfer/UXM_deconv")


if __name__ == "__main__":
    sys.exit(main())
