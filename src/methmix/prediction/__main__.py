"""Deconvolve samples with a trained model: a table, a record and a page. For research use only, not for diagnosis."""

import argparse
import json
import logging
import sys
from contextlib import ExitStack
from pathlib import Path

import torch

from methmix import cli
from methmix.errors import InputError
from methmix.files.atomic import atomic_path
from methmix.files.reference import Reference, read_reference
from methmix.prediction.groups import check_groups, compare
from methmix.prediction.output import content, table
from methmix.prediction.page import render
from methmix.prediction.run import predict_samples
from methmix.prediction.sheet import Sample, files_of_sheet, read_sheet
from methmix.training.card import card_text, model_card
from methmix.training.checkpoint import Checkpoint, check_same_data, load_model

logger = logging.getLogger("methmix")


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.prediction", __doc__ or "")
    arguments.add_argument("--checkpoint", type=Path, required=True, help="checkpoint_best.pt of a trained model")
    arguments.add_argument("--describe", action="store_true", help="print what the model says of itself, and end")
    arguments.add_argument(
        "--samples", type=Path, nargs="+", metavar="FILE",
        help="counts tables, beta tables, Bismark coverage, bedMethyl, .beta, .pat.gz, or mixtures HDF5; all samples",
    )  # fmt: skip
    arguments.add_argument(
        "--sheet", type=Path, help="instead of --samples: TSV sample, file[, patient, date, name_in_file, group]"
    )
    arguments.add_argument("--output", type=Path, help="table (.csv); .json and .html are written beside it")
    arguments.add_argument("--reference", type=Path, help="reference.h5 to hold the model against")
    arguments.add_argument("--regions-file", type=Path, help="BED with CpG indices, for .beta and .pat.gz")
    arguments.add_argument("--genome", help="genome build of the samples, such as hg38")
    arguments.add_argument("--pseudo-depth", type=int, default=30, help="reads that a value of a beta table stands for")
    arguments.add_argument("--control-group", metavar="NAME", help="group of the sheet to compare the others with")
    arguments.add_argument(
        "--background", nargs="+", metavar="NAME", help="tissues that are not of interest in that, such as blood cells"
    )
    arguments.add_argument(
        "--unknown",
        action="store_true",
        help="estimate what samples that do not fit have beyond the known tissues",
    )
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    model, checkpoint = load_model(options.checkpoint)
    card = model_card(checkpoint, _reference(options, checkpoint))
    if options.describe:
        sys.stdout.write(card_text(card))
        return
    files, sheet = _inputs(options)
    outputs = _outputs(options.output)
    check_groups(sheet, checkpoint.tissue_names, options.control_group, options.background)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    with ExitStack() as stack:
        csv, record_file, page = (stack.enter_context(atomic_path(path)) for path in outputs)
        run = predict_samples(
            model,
            checkpoint,
            files,
            sheet,
            regions_file=options.regions_file,
            genome=options.genome,
            pseudo_depth=options.pseudo_depth,
            unknown=options.unknown,
        )
        groups = None
        if options.control_group:
            groups = compare(run, options.control_group, options.background, checkpoint.seed)
        record = content(run, card, groups)
        table(run).to_csv(csv, index=False)
        record_file.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n")
        page.write_text(render(run, record))
    logger.info("%d samples; the page is %s", len(run.results), outputs[2])


def _reference(options: argparse.Namespace, checkpoint: Checkpoint) -> Reference | None:
    if options.reference is None:
        return None
    reference = read_reference(options.reference)
    check_same_data(options.checkpoint, checkpoint, reference.tissue_names, reference.digest, str(options.reference))
    if reference.content_digest != checkpoint.identity.get("reference"):
        logger.warning(
            "%s: has the tissues and regions of the model, which was trained on other donors", options.reference
        )
    return reference


def _inputs(options: argparse.Namespace) -> tuple[list[Path], list[Sample] | None]:
    if (options.samples is None) == (options.sheet is None):
        raise InputError("expected --samples FILE ... or --sheet FILE, and not both", "--describe needs neither")
    if options.pseudo_depth < 1:
        raise InputError(f"--pseudo-depth: expected at least 1, found {options.pseudo_depth}")
    if options.sheet is None:
        return options.samples, None
    return files_of_sheet(options.sheet), read_sheet(options.sheet)


def _outputs(table: Path | None) -> tuple[Path, Path, Path]:
    if table is None or table.suffix != ".csv":
        raise InputError(
            f"--output: expected a name that ends in .csv, found {table}", ".json and .html are written beside it"
        )
    return table, table.with_suffix(".json"), table.with_suffix(".html")


if __name__ == "__main__":
    sys.exit(main())
