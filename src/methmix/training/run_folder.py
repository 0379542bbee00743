"""The checkpoints of a run folder, and whether a training is resumed from them."""

import logging
from pathlib import Path

from torch import nn
from torch.optim import Optimizer

from methmix.errors import InputError, RunError, first_line
from methmix.training.checkpoint import load_checkpoint
from methmix.training.parallel import Ranks
from methmix.training.state import Checkpoint

logger = logging.getLogger("methmix")


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


def restore(path: Path, found: Checkpoint, model: nn.Module, optimiser: Optimizer, ranks: Ranks) -> None:
    """Load the state of a checkpoint, the file ``path``, into a model and its optimiser; the same on all ranks."""
    if found.step != ranks.of_first(found.step):
        raise RunError(
            f"{path}: rank {ranks.rank} sees another file than rank 0",
            "the nodes do not see the same files; results must be on a shared file system",
        )
    try:
        model.load_state_dict(found.model)
        optimiser.load_state_dict(found.optimiser)
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path}: cannot be resumed: {first_line(error)}"
        raise InputError(message, "remove the folder of the run, and train again") from None
