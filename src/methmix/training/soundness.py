"""Whether a training is sound: no state with anything that is not finite is saved, and what has gone wrong is named."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import is_tensor

from methmix.errors import RunError
from methmix.files.checkpoint_file import not_finite
from methmix.training.state import Checkpoint


def not_finite_values(row: Mapping[str, Any]) -> list[str]:
    """Name the losses and values of validation in a row of the training log that are NaN or infinite.

    An accuracy is NaN where there is no entry to be right about.
    """
    measured = {name: v for name, v in row.items() if name.startswith(("train/", "val/"))}
    return [name for name, v in measured.items() if not name.endswith("accuracy") and not math.isfinite(v)]


def check_finite(path: Path, checkpoint: Checkpoint) -> None:
    """Check that weights, buffers, state of the optimiser, losses and values of the best epoch are finite."""
    of_optimiser = checkpoint.optimiser.get("state", {}).values()
    tensors = [checkpoint.model, *({k: v for k, v in state.items() if is_tensor(v)} for state in of_optimiser)]
    wrong = [name for name in map(not_finite, tensors) if name is not None]
    wrong += [
        *not_finite_values(checkpoint.best),
        *(n for n, v in checkpoint.epoch_sums.items() if not math.isfinite(v)),
    ]
    if wrong:
        remedy = "lower training.learning_rate; what was saved before is unchanged"
        raise RunError(f"{path}: is not written: {wrong[0]} of step {checkpoint.step} is not finite", remedy)


def failed_row(step: int, steps_per_epoch: int, found: Mapping[str, Any]) -> dict[str, Any]:
    """Make the row of the training log for an epoch that fails: of sums of losses, without validation, or as it is."""
    if "epoch" in found:
        return dict(found)
    epoch = (step - 1) // steps_per_epoch + 1
    return {"epoch": epoch, "step": step, **{f"train/{name}": value for name, value in found.items()}}


def gone_wrong(what: str, row: Mapping[str, Any], learning_rate: float, last: Path) -> RunError:
    """Say what has gone wrong, and what to do about it; ``last`` is where the last good state is, if there is one."""
    kept = f"the last good state is in {last}" if last.is_file() else "no state is saved"
    return RunError(
        f"the training has gone wrong in epoch {row['epoch']}: {what}",
        f"lower training.learning_rate (now {learning_rate:g}), or look for extreme values in the reference; {kept}",
    )
