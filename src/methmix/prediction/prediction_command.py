"""The command of a prediction: checks what was asked for, predicts, and writes the three outputs."""

import argparse
import json
import logging
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from methmix.errors import InputError
from methmix.files.atomic import atomic_path
from methmix.files.reference import read_reference
from methmix.prediction.card import card_text, model_card
from methmix.prediction.deconvolve import predict_samples
from methmix.prediction.group_comparison import check_groups, compare
from methmix.prediction.output import record_of, render, table, wide
from methmix.prediction.restrictions import among_tissues, check_tissues
from methmix.prediction.sample_files import sample_files
from methmix.prediction.sample_sheet import files_of_sheet, read_sheet
from methmix.training.checkpoint import Checkpoint, check_same_data, load_model

logger = logging.getLogger("methmix")


def describe(options: argparse.Namespace) -> None:
    """Print the model card of a checkpoint whose weights fit its model."""
    _, checkpoint = load_model(options.checkpoint)
    sys.stdout.write(card_text(_card(options, checkpoint)))


def predict_and_write(options: argparse.Namespace) -> None:
    """Predict samples; write table, record and report, or nothing."""
    _check_usage(options)
    sheet = read_sheet(options.sheet) if options.sheet else None
    outputs = [options.output.with_suffix(suffix) for suffix in (".csv", ".json", ".html")]
    outputs.append(options.output.with_name(f"{options.output.stem}_wide.csv"))
    if options.threads:
        torch.set_num_threads(options.threads)
    model, checkpoint = load_model(options.checkpoint)
    card = _card(options, checkpoint)
    check_tissues(options.tissues, checkpoint.tissue_names)
    check_groups(sheet, checkpoint.tissue_names, options.control_group, options.background)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    with ExitStack() as stack:
        csv_file, json_file, html_file, wide_file = (stack.enter_context(atomic_path(path)) for path in outputs)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="methmix.")))
        files = files_of_sheet(options.sheet) if options.sheet else sample_files(options.samples, folder)
        cohort = predict_samples(model, checkpoint, files, sheet, options)
        among_tissues(cohort, options.tissues)
        groups = None
        if options.control_group:
            groups = compare(cohort, options.control_group, options.background, checkpoint.seed)
        record = record_of(cohort, card, groups)
        whole = table(cohort, record)
        whole.to_csv(csv_file, index=False)
        wide(whole).to_csv(wide_file, index=False)
        json_file.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n")
        html_file.write_text(render(cohort, record))
    logger.info("%d samples; report written to %s", len(cohort.results), outputs[2])


def _card(options: argparse.Namespace, checkpoint: Checkpoint) -> dict[str, Any]:
    if options.reference is None:
        return model_card(checkpoint)
    reference = read_reference(options.reference)
    check_same_data(options.checkpoint, checkpoint, reference.tissue_names, reference.digest, str(options.reference))
    if reference.content_digest != checkpoint.identity.get("reference"):
        what = "%s: has the tissues and regions of the model, which was trained on other donors"
        logger.warning(what, options.reference)
    return model_card(checkpoint, reference)


def _check_usage(options: argparse.Namespace) -> None:
    if (options.samples is None) == (options.sheet is None):
        raise InputError("expected --samples FILE ... or --sheet FILE, and not both", "--describe needs neither")
    if options.unknown and options.tissues:
        raise InputError("--unknown and --tissues: expected one of them", "leave one of the two out")
    if options.threads is not None and options.threads < 1:
        raise InputError(f"--threads: expected at least 1, found {options.threads}")
    if options.pseudo_depth < 1:
        raise InputError(f"--pseudo-depth: expected at least 1, found {options.pseudo_depth}")
    if options.output is None or options.output.suffix != ".csv":
        hint = ".json, .html and _wide.csv are written beside it"
        raise InputError(f"--output: expected a name that ends in .csv, found {options.output}", hint)
