"""The command that makes a panel of normals."""

import argparse

import torch

from methmix.errors import InputError
from methmix.normals.panel_file import write_panel
from methmix.normals.panel_making import panel_of_sheet
from methmix.samples.aligned import check_readable
from methmix.samples.sample_sheet import Sample, files_of_sheet, read_sheet
from methmix.training.checkpoint import load_model


def make_and_write(options: argparse.Namespace) -> None:
    """Make a panel of the controls in a sheet, and write it."""
    if options.output.suffix != ".h5":
        raise InputError(f"--output: expected a name that ends in .h5, found {options.output}")
    sheet = read_sheet(options.samples)
    files_of_sheet(options.samples)
    if options.control_group is not None:
        sheet = controls_of(sheet, options.control_group)
    model, checkpoint = load_model(options.checkpoint)
    check_readable(dict.fromkeys(sample.file for sample in sheet), checkpoint, options)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    write_panel(options.output, panel_of_sheet(model, checkpoint, sheet, options.background, options))


def controls_of(sheet: list[Sample], group: str) -> list[Sample]:
    """Select the controls of a sheet."""
    groups = sorted({sample.group for sample in sheet} - {""})
    if group not in groups:
        raise InputError(
            f"--control-group: the sheet has no group {group!r}", f"it has {', '.join(groups) or 'no groups'}"
        )
    return [sample for sample in sheet if sample.group == group]
