"""Checkpoints: a model with everything that is needed to use it elsewhere, to resume its training or to start another.

A checkpoint is a dictionary of tensors, numbers, strings and lists, so that ``torch.load(weights_only=True)``
reads it.
"""

import hashlib
import sys
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from methmix.config.arm import ArmSettings, MlpSettings
from methmix.config.load import arm_of_record
from methmix.errors import InputError
from methmix.files.atomic import atomic_path
from methmix.files.checkpoint_file import VERSIONS, read_checkpoint_file
from methmix.files.reference import digest
from methmix.files.seal import seal
from methmix.models.deconvolver import Deconvolver
from methmix.models.registry import build_model
from methmix.training.former_versions import present_weights
from methmix.training.model_folder import read_folder, write_folder
from methmix.training.soundness import check_finite
from methmix.training.state import Checkpoint
from methmix.training.training_costs import add_costs, without_costs, write_costs

_OTHER_VERSION = "it was written by another version of methmix, or changed: train again"
_OTHER_DATA = "use the checkpoint that was trained on this reference, or train again"


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically, what it has cost beside it; the same state gives the same bytes.

    RunError, and nothing is written, if a weight, a buffer, the state of the optimiser or a value of the best epoch is
    not finite.
    """
    check_finite(path, checkpoint)
    write_costs(path.parent, checkpoint)
    with atomic_path(path) as temporary:
        with temporary.open("wb") as file:
            # Into an open file: to a path, torch would write its name too, which is a temporary one.
            torch.save(_canonical(_content(without_costs(checkpoint))), file)
        seal(temporary)


def publish_checkpoint(folder: Path, checkpoint: Checkpoint, card: str) -> None:
    """Write a checkpoint and its card as a folder, from which `load_checkpoint` reads it too."""
    write_folder(folder, _content(without_costs(checkpoint)), card)


def _content(checkpoint: Checkpoint) -> dict[str, Any]:
    return {"format_version": VERSIONS[-1], **{f.name: getattr(checkpoint, f.name) for f in fields(checkpoint)}}


def _canonical(content: Any) -> Any:
    """Rebuild nested dictionaries, lists and tuples, equal texts as one object, tensors on the CPU.

    Pickle writes an object that stands in two places once, and two that are equal twice: without this, a training that
    was resumed would have other bytes than one that was not.
    """
    match content:
        case dict():
            return {_canonical(name): _canonical(value) for name, value in content.items()}
        case list() | tuple():
            return type(content)(map(_canonical, content))
        case str():
            return sys.intern(str(content))
        case Tensor():
            return content.detach().cpu()
    return content


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, file or folder, onto the CPU; InputError if it is missing, damaged or of another version."""
    if path.is_dir():
        return _checked(path, read_folder(path))
    checkpoint = _checked(path, read_checkpoint_file(path))
    add_costs(path, checkpoint)
    return checkpoint


def _checked(path: Path, content: dict[str, Any]) -> Checkpoint:
    """Check what is left to check of a checkpoint's content: that it belongs together."""
    checkpoint = Checkpoint(**{f.name: content[f.name] for f in fields(Checkpoint)})
    checkpoint.model = present_weights(checkpoint.model)
    if digest(checkpoint.tissue_names, checkpoint.region_names) != checkpoint.reference_digest:
        raise InputError(
            f"{path}: tissues or regions were changed after training",
            "use the checkpoint as it was written, or train again",
        )
    return checkpoint


def load_model(path: Path) -> tuple[Deconvolver, Checkpoint]:
    """Read a checkpoint and rebuild its model, in evaluation mode."""
    checkpoint = load_checkpoint(path)
    try:
        arm = arm_of(checkpoint)
    except InputError as error:
        raise InputError(f"{path}: {error}", _OTHER_VERSION) from None
    shape = (len(checkpoint.tissue_names), len(checkpoint.regions["chrom"]))
    _check_widths(path, arm, checkpoint)
    model = build_model(arm, torch.zeros(shape), seed=0)
    state = model.state_dict()
    if other := [
        name for name, tensor in checkpoint.model.items() if name in state and tensor.dtype != state[name].dtype
    ]:
        raise _other_weights(path, arm, f"{other[0]} is {checkpoint.model[other[0]].dtype}")
    try:
        model.load_state_dict({**_uncalibrated(model), **checkpoint.model})
    except RuntimeError as error:
        raise _other_weights(path, arm, str(error)) from None
    return model.eval(), checkpoint


def _other_weights(path: Path, arm: ArmSettings, reason: str) -> InputError:
    return InputError(
        f"{path}: the weights are not those of its {arm.arm} model: {' '.join(reason.split())}",
        _OTHER_VERSION,
    )


def _check_widths(path: Path, arm: ArmSettings, checkpoint: Checkpoint) -> None:
    """Check, before a model is built, that it is not larger than its weights."""
    found = {tuple(tensor.shape) for tensor in checkpoint.model.values()}
    if isinstance(arm.model, MlpSettings):
        sizes = pairwise([len(checkpoint.regions["chrom"]), *arm.model.hidden_sizes])
        expected = [(width, size) for size, width in sizes]
    else:
        expected = [(arm.model.head_size, 4 * arm.model.head_size)]
    if missing := [shape for shape in expected if shape not in found]:
        raise _other_weights(path, arm, f"its configuration has a layer of {missing[0]} weights")


def _uncalibrated(model: Deconvolver) -> dict[str, Tensor]:
    """Give what an earlier version's checkpoint lacks: the state of a model that is not calibrated."""
    names = ("head.readout.change", "head.prior", "head.intervals.outside", "limits.")
    return {name: value for name, value in model.state_dict().items() if name.startswith(names)}


def arm_of(checkpoint: Checkpoint) -> ArmSettings:
    """Read the configuration of a checkpoint's arm; InputError if this version of methmix does not know a key."""
    return arm_of_record(checkpoint.arm)


def check_same_data(
    path: Path, checkpoint: Checkpoint, tissue_names: list[str], reference_digest: str, what: str
) -> None:
    """Check that a checkpoint is for the tissues and regions of some data."""
    if checkpoint.tissue_names != tissue_names:
        only_model = ", ".join(sorted(set(checkpoint.tissue_names) - set(tissue_names))) or "none"
        only_data = ", ".join(sorted(set(tissue_names) - set(checkpoint.tissue_names))) or "none"
        raise InputError(
            f"{path}: is a model of other tissues than {what}: "
            f"only in the model: {only_model}; only in the data: {only_data}",
            _OTHER_DATA,
        )
    if checkpoint.reference_digest != reference_digest:
        n_regions = len(checkpoint.regions["chrom"])
        message = f"{path}: is a model of another region set than {what} (the model has {n_regions} regions)"
        raise InputError(message, _OTHER_DATA)


def weights_digest(weights: dict[str, Tensor]) -> str:
    """Digest the weights of a model, buffers included (16 hexadecimal digits)."""
    made = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        made.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode() + tensor.contiguous().numpy().tobytes())
    return made.hexdigest()[:16]
