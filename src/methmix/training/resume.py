"""Whether a training can be resumed from what lies in its run folder."""

import logging
from pathlib import Path

from methmix.errors import InputError
from methmix.training.checkpoint import Checkpoint, load_checkpoint

logger = logging.getLogger("methmix")


def last_checkpoint(folder: Path) -> Path:
    """Where the state of a training is saved after every epoch, and when it is stopped."""
    return folder / "checkpoints" / "checkpoint_last.pt"


def best_checkpoint(folder: Path) -> Path:
    """Where the model of the best epoch is saved."""
    return folder / "checkpoints" / "checkpoint_best.pt"


def resumable(folder: Path, identity: dict[str, str]) -> Checkpoint | None:
    """Read the state to resume from; a run that cannot be resumed is kept under another name.

    Parameters
    ----------
    folder
        Run folder.
    identity
        Digests of what determines the weights; all must be those of the checkpoint.
    """
    path = last_checkpoint(folder)
    if not path.is_file():
        return None
    try:
        found = load_checkpoint(path)
    except InputError as error:
        _set_aside(folder, str(error))
        return None
    differs = [name for name, value in identity.items() if found.identity.get(name) != value]
    if differs:
        _set_aside(folder, f"it is another training, of other {', '.join(differs)}")
        return None
    if found.best and not best_checkpoint(folder).is_file():
        _set_aside(folder, "its checkpoint_best.pt is missing")
        return None
    return found


def _set_aside(folder: Path, reason: str) -> None:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.replaced-{number}")).exists():
        number += 1
    aside.mkdir(parents=True)
    for part in ("checkpoints", "logs"):
        if (folder / part).exists():
            (folder / part).rename(aside / part)
    logger.warning(
        "the training in %s cannot be resumed: %s; it is kept in %s, and training starts anew",
        folder,
        reason,
        aside,
    )
