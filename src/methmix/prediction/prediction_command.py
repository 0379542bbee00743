"""The command of a prediction: checks what was asked for, predicts, and writes the three outputs."""

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch

from methmix.errors import InputError
from methmix.files.atomic import all_or_none, write_csv, write_text
from methmix.files.reference import read_reference
from methmix.models.deconvolver import Deconvolver
from methmix.normals.panel import FEWEST, Panel
from methmix.normals.panel_file import check_counted, check_panel, read_panel, write_panel
from methmix.normals.panel_making import model_attributes, panel_of_sheet
from methmix.outputs import check_output, keep_inputs
from methmix.prediction.card import card_text, model_card
from methmix.prediction.confounding import compare_and_check
from methmix.prediction.deconvolve import predict_samples
from methmix.prediction.group_comparison import check_groups
from methmix.prediction.huggingface import readme
from methmix.prediction.multiqc import GENERAL, PROPORTIONS, multiqc_files
from methmix.prediction.output import record_of, render, table, wide
from methmix.prediction.patient_page import page_names, patient_folder, patient_pages
from methmix.prediction.restrictions import among_tissues, check_tissues
from methmix.prediction.sample_files import sample_files
from methmix.prediction.sample_results import Cohort
from methmix.prediction.thinning import check_one_depth
from methmix.provenance import sha256
from methmix.samples.aligned import check_readable
from methmix.samples.sample_sheet import Sample, files_of_sheet, read_sheet
from methmix.shipped import found
from methmix.training.checkpoint import check_same_data, load_model, publish_checkpoint
from methmix.training.model_folder import WEIGHTS_FILE
from methmix.training.state import Checkpoint

logger = logging.getLogger("methmix")

# What --normals may say instead of naming a file.
FROM_CONTROLS, NO_PANEL = "controls", "none"
# How the file of a panel that is made of the controls ends.
_PANEL = "_normals.h5"


def describe(options: argparse.Namespace) -> None:
    """Print the model card of a checkpoint whose weights fit its model, or write the model as a folder to publish."""
    if (options.format == "huggingface") != (options.output is not None):
        raise InputError("--describe: expected --format huggingface together with --output FOLDER, or neither")
    _, checkpoint = load_model(options.checkpoint)
    if options.format == "text":
        sys.stdout.write(card_text(_card(options, checkpoint)))
        return
    # Names of folders are left out of what is published; those of machines always are.
    checkpoint.record |= {"warm_start": {}}
    publish_checkpoint(options.output, checkpoint, readme(_card(options, checkpoint)))


def predict_and_write(options: argparse.Namespace) -> None:
    """Predict samples; write table, record and report, or nothing."""
    _check_usage(options)
    sheet = read_sheet(options.sheet) if options.sheet else None
    outputs = [options.output.with_suffix(suffix) for suffix in (".csv", ".json", ".html")]
    outputs.append(options.output.with_name(f"{options.output.stem}_wide.csv"))
    for path in outputs:
        check_output(path, is_file=True)
    if options.threads:
        torch.set_num_threads(options.threads)
    model, checkpoint = load_model(options.checkpoint)
    card = _card(options, checkpoint)
    panel = _handed_on(checkpoint, options)
    check_tissues(options.tissues, checkpoint.tissue_names, options.background or ())
    check_groups(sheet, checkpoint.tissue_names, options.control_group, options.background)
    check_one_depth(options.one_depth, options.control_group)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory(prefix="methmix.") as temporary:
        files = files_of_sheet(options.sheet) if options.sheet else sample_files(options.samples, Path(temporary))
        beside = (options.output.with_name(f"{options.output.stem}{end}") for end in (_PANEL, PROPORTIONS, GENERAL))
        keep_inputs(options, [*outputs, *beside], map(found, files))
        check_readable(files, checkpoint, options)
        made = None if panel else _panel_of_controls(model, checkpoint, sheet, options, Path(temporary))
        cohort = predict_samples(model, checkpoint, files, sheet, options, panel or made)
    among_tissues(cohort, options.tissues)
    groups = None
    if options.control_group:
        groups = compare_and_check(cohort, options.control_group, options.background, checkpoint.seed)
    _write(cohort, record_of(cohort, card, groups), outputs, made)
    if sheet:
        _only(patient_folder(options.output), page_names(cohort).values())
    logger.info("%d samples; report written to %s", len(cohort.results), outputs[2])


@all_or_none()
def _write(cohort: Cohort, record: dict[str, Any], outputs: list[Path], made: Panel | None) -> None:
    """Write all that is said of the samples, and the panel that was made of their controls."""
    csv_file, json_file, html_file, wide_file = outputs
    whole, folder = table(cohort, record), patient_folder(csv_file)
    write_csv(csv_file, whole)
    write_csv(wide_file, wide(whole))
    write_text(json_file, json.dumps(record, indent=2, allow_nan=False) + "\n")
    write_text(html_file, render(cohort, record, folder.name))
    for name, page in patient_pages(cohort, record, quote(f"../{html_file.name}")):
        write_text(folder / name, page)
    for ending, content in multiqc_files(record).items():
        path = csv_file.with_name(f"{csv_file.stem}{ending}")
        write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
    if made is not None:
        write_panel(csv_file.with_name(f"{csv_file.stem}{_PANEL}"), made)


def _only(folder: Path, names: Iterable[str]) -> None:
    """Remove pages of an earlier run, of patients that are no longer in the sheet."""
    folder.mkdir(exist_ok=True)
    for page in set(folder.glob("*.html")) - {folder / name for name in names}:
        page.unlink()


def _handed_on(checkpoint: Checkpoint, options: argparse.Namespace) -> Panel | None:
    """Read the panel of normals that is named, if one is; its background is that of the prediction too."""
    if (options.exclude_regions or options.tissues) and options.normals not in (None, NO_PANEL):
        raise InputError(
            f"--normals and --{'exclude-regions' if options.exclude_regions else 'tissues'}: expected one of them",
            "a panel of normals is for all tissues of a model, in all of its regions",
        )
    if options.normals in (None, FROM_CONTROLS, NO_PANEL):
        return None
    panel = read_panel(Path(options.normals))
    check_panel(Path(options.normals), panel, model_attributes(checkpoint))
    check_counted(Path(options.normals), panel, options.modification or checkpoint.modification)
    background = panel.attributes["background"]
    if options.background is not None and set(options.background) != set(background):
        raise InputError(
            f"--background: expected that of the panel {options.normals}, {' '.join(background)}; found "
            f"{' '.join(options.background)}",
            "leave --background out, or make a panel with this one",
        )
    options.background = background
    return panel


def _panel_of_controls(
    model: Deconvolver, checkpoint: Checkpoint, sheet: list[Sample] | None, options: argparse.Namespace, folder: Path
) -> Panel | None:
    """Make a panel of normals of the control group of the sheet, or none; ``folder`` is a temporary one.

    Without an option, one is made where a control group is named that is large enough, and the model can have one; not
    where regions are left out, since a control is recognised by its reads, or tissues.
    """
    asked = options.normals
    controls = [sample for sample in sheet or [] if sample.group and sample.group == options.control_group]
    if asked == FROM_CONTROLS and not controls:
        raise InputError(f"--normals {FROM_CONTROLS}: names no controls", "name them with --sheet and --control-group")
    restricted = options.exclude_regions or options.tissues
    possible = len(controls) >= FEWEST and model.profiles is not None and not restricted
    if asked == NO_PANEL or not controls or (asked is None and not possible):
        return None
    # As it is read when it is handed on, with its digest.
    write_panel(folder / _PANEL, panel_of_sheet(model, checkpoint, controls, options.background, options))
    return read_panel(folder / _PANEL)


def _card(options: argparse.Namespace, checkpoint: Checkpoint) -> dict[str, Any]:
    file = options.checkpoint / WEIGHTS_FILE if options.checkpoint.is_dir() else options.checkpoint
    digest = {"checkpoint": sha256(file)}
    if options.reference is None:
        return {**model_card(checkpoint), **digest}
    reference = read_reference(options.reference)
    check_same_data(options.checkpoint, checkpoint, reference.tissue_names, reference.digest, str(options.reference))
    if reference.content_digest != checkpoint.identity.get("reference"):
        what = "%s: has the tissues and regions of the model, which was trained on other donors"
        logger.warning(what, options.reference)
    return {**model_card(checkpoint, reference), **digest}


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
