"""What the commands of ``python -m methmix.reference`` do; `methmix.reference.__main__` has their options."""

import argparse
import json
import logging
import shlex
from collections.abc import Callable

from methmix.config.load import load_experiment
from methmix.files.atomic import write_text
from methmix.files.reference import read_reference, write_reference
from methmix.reference.build import build_reference
from methmix.reference.download import content_sha256, download
from methmix.reference.fit_variation import fit, read_replicates
from methmix.reference.inputs import data_file
from methmix.reference.report import write_report

logger = logging.getLogger("methmix")


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


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "build": _build,
    "report": _report,
    "fit-variation": _fit_variation,
    "download": _download,
}
