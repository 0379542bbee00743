"""Checkpoints: a model with everything that is needed to use it elsewhere, to resume its training or to start another.

A checkpoint is a dictionary of tensors, numbers, strings and lists, so that ``torch.load(weights_only=True)``
reads it. The random state needs no place in it: each step derives its own streams from its number.
"""

import hashlib
import logging
from collections import Counter
from dataclasses import dataclass, field, fields
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
from methmix.files.reference import CPG_COLUMNS, SPLITS, Reference, digest
from methmix.files.seal import seal
from methmix.formats.identity import least_correlation
from methmix.models.deconvolver import Deconvolver
from methmix.models.registry import build_model
from methmix.training.canonical import canonical
from methmix.training.former_versions import present_weights
from methmix.training.model_folder import read_folder, write_folder
from methmix.training.soundness import check_finite
from methmix.training.training_costs import add_costs, without_costs, write_costs

logger = logging.getLogger("methmix")

_OTHER_VERSION = "it was written by another version of methmix, or changed: train again"
_OTHER_DATA = "use the checkpoint that was trained on this reference, or train again"


@dataclass
class Checkpoint:
    """State of a training: its configuration and data, where it stands, and its record.

    Parameters
    ----------
    tissue_names
        Order of the outputs.
    regions
        ``chrom`` (list of str), ``start``, ``end`` and, where the reference has them, ``start_cpg`` and ``end_cpg``
        (int64 tensors): order of the inputs. Further ``measure`` and ``modification`` (str), and, to recognise samples
        of another genome build, ``mean_methylation`` of all tissues (tensor) and ``least_correlation`` with it.
    reference_digest
        Digest of tissues and regions: data that the model can be used on.
    identity
        Digests of what determines the weights; a training is resumed only where all are the same.
    model, optimiser
        State dictionaries; the latter empty in ``checkpoint_best.pt``, which is for use, not for resuming.
    epoch_sums
        Sums of the unfinished epoch's training losses.
    best
        Validation metrics of the best epoch so far, and what its calibration rests on.
    record
        Where, how long and with what this was trained.
    """

    arm: dict[str, Any]
    seed: int
    tissue_names: list[str]
    regions: dict[str, Any]
    genome: str
    reference_digest: str
    identity: dict[str, str]
    model: dict[str, Tensor]
    optimiser: dict[str, Any]
    step: int = 0
    epoch_sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)
    finished: bool = False
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def measure(self) -> str:
        """What is counted in a region: ``cpg``, single calls; ``fragment``, whole reads."""
        return str(self.regions.get("measure", "cpg"))

    @property
    def modification(self) -> str:
        """What counts as methylated in the reference: ``5mC+5hmC`` (bisulfite, EM-seq) or ``5mC``."""
        return str(self.regions.get("modification", "5mC+5hmC"))

    @property
    def region_names(self) -> list[str]:
        """``chrom:start-end`` of each region."""
        columns = (self.regions["chrom"], self.regions["start"].tolist(), self.regions["end"].tolist())
        return [f"{chrom}:{start}-{end}" for chrom, start, end in zip(*columns, strict=True)]


def new_checkpoint(
    arm: ArmSettings, seed: int, reference: Reference, identity: dict[str, str], record: dict[str, Any]
) -> Checkpoint:
    """Make the state of a training before its first step."""
    columns = [name for name in ("start", "end", *CPG_COLUMNS) if name in reference.regions]
    profiles = reference.complete_profiles("train")
    return Checkpoint(
        arm=arm.model_dump(mode="json"),
        seed=seed,
        tissue_names=reference.tissue_names,
        regions={
            "chrom": [str(name) for name in reference.regions["chrom"]],
            **{name: torch.tensor(reference.regions[name].to_numpy(), dtype=torch.int64) for name in columns},
            "measure": reference.measure,
            "modification": reference.modification,
            "mean_methylation": torch.from_numpy(profiles.mean(axis=0)).float(),
            "least_correlation": least_correlation(profiles),
        },
        genome=str(reference.attributes.get("genome", "unknown")),
        reference_digest=reference.digest,
        identity=identity,
        model={},
        optimiser={},
        record=record,
    )


def donors(reference: Reference) -> dict[str, list[int]]:
    """Count the donors of each tissue in train, validation and test."""
    pairs = Counter(zip(reference.tissues, reference.split, strict=True))
    return {tissue: [pairs[tissue, split] for split in SPLITS] for tissue in reference.tissue_names}


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
            torch.save(canonical(_content(without_costs(checkpoint))), file)
        seal(temporary)


def publish_checkpoint(folder: Path, checkpoint: Checkpoint, card: str) -> None:
    """Write a checkpoint and its card as a folder, from which `load_checkpoint` reads it too."""
    write_folder(folder, _content(without_costs(checkpoint)), card)


def _content(checkpoint: Checkpoint) -> dict[str, Any]:
    return {"format_version": VERSIONS[-1], **{f.name: getattr(checkpoint, f.name) for f in fields(checkpoint)}}


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, file or folder, onto the CPU; InputError if it is missing, damaged or of another version."""
    if path.is_dir():
        return _checked(path, read_folder(path))
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint", "it is made by python -m methmix.training")
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
    names = ("head.prior", "head.intervals.outside", "limits.")
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


@dataclass(frozen=True)
class WarmStart:
    """Weights to start with, buffers included, their digest, and the checkpoint that they are of."""

    path: Path
    weights: dict[str, Tensor]
    digest: str


def read_start(path: Path, arm: ArmSettings, reference: Reference) -> WarmStart:
    """Read the best weights of the phase that ``training.warm_start`` of an arm names: from easy mixtures to hard ones.

    InputError unless they are of a finished training of that phase, the same arm, model and reference. Other donors are
    refused too: a model of the backbone ``reference`` would bring their profiles.
    """
    phase = arm.training.warm_start
    train_first = f"train the {arm.arm} arm of {phase} first"
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint, with which training.warm_start begins", train_first)
    found = load_checkpoint(path)
    for what, of_start, expected in (("phase", found.arm["phase"], phase), ("arm", found.arm["arm"], arm.arm)):
        if of_start != expected:
            raise InputError(
                f"{path}: is a checkpoint of {what} {of_start}, expected {expected}",
                "a training starts from the same arm in the phase that training.warm_start names",
            )
    own, other = (of.model.model_dump(mode="json") for of in (arm, arm_of(found)))
    # What is chosen from the donors need not be the same in both phases.
    stated = [key for key in sorted(own | other) if own.get(key) != "auto"]
    if differing := [key for key in stated if own.get(key) != other.get(key)]:
        differences = ", ".join(f"model.{key} {other.get(key)} there, {own.get(key)} here" for key in differing)
        raise InputError(f"{path}: is of another model: {differences}", "give both phases the same model")
    check_same_data(path, found, reference.tissue_names, reference.digest, "the reference")
    if found.identity["reference"] != reference.content_digest:
        raise InputError(f"{path}: was trained on other donors, or on another split of them", train_first)
    if not found.finished:
        raise InputError(f"{path}: that training is not finished", train_first)
    return WarmStart(path, found.model, weights_digest(found.model))


def weights_digest(weights: dict[str, Tensor]) -> str:
    """Digest the weights of a model, buffers included (16 hexadecimal digits)."""
    made = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        made.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode() + tensor.contiguous().numpy().tobytes())
    return made.hexdigest()[:16]


def last_checkpoint(folder: Path) -> Path:
    """Where the state of a training is saved at the end of an epoch, about every minute, and when it is stopped."""
    return folder / "checkpoints" / "checkpoint_last.pt"


def best_checkpoint(folder: Path) -> Path:
    """Where the model of the best epoch is saved."""
    return folder / "checkpoints" / "checkpoint_best.pt"


def resumable(folder: Path, identity: dict[str, str]) -> Checkpoint | None:
    """Read the state to resume from, if its identity is this one; a run that cannot be resumed is set aside."""
    path = last_checkpoint(folder)
    if not path.is_file():
        return None
    try:
        found = load_checkpoint(path)
    except InputError as error:
        reason = str(error)
    else:
        if differs := [name for name, value in identity.items() if found.identity.get(name) != value]:
            reason = f"it is another training, of other {', '.join(differs)}"
        elif found.best and not best_checkpoint(folder).is_file():
            reason = "its checkpoint_best.pt is missing"
        else:
            return found
    _set_aside(folder, reason)
    return None


def _set_aside(folder: Path, reason: str) -> None:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.replaced-{number}")).exists():
        number += 1
    aside.mkdir(parents=True)
    for part in ("checkpoints", "logs"):
        if (folder / part).exists():
            (folder / part).rename(aside / part)
    message = "the training in %s cannot be resumed: %s; it is kept in %s, and training starts anew"
    logger.warning(message, folder, reason, aside)
