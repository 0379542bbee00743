"""Starting a training with the weights of an earlier phase: from easy mixtures to hard ones."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from methmix.config.arm import ArmSettings
from methmix.errors import InputError
from methmix.files.reference import Reference
from methmix.training.checkpoint import arm_of, check_same_data, load_checkpoint, weights_digest


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
    # Training goes on from what that phase has learnt, not from what was fitted to its mixtures in the end.
    weights = {name: value for name, value in found.model.items() if name != "head.readout.change"}
    return WarmStart(path, weights, weights_digest(found.model))
