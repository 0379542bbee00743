"""How a training proceeds: validation after every epoch, and its log as CSV and in TensorBoard."""

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter

from methmix.errors import InputError
from methmix.files.atomic import write_text
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.models.deconvolver import Deconvolver
from methmix.models.losses import LOSSES, TOTAL
from methmix.models.prediction import batches, predict
from methmix.scores import Scores

_BOTH = (*(name for name in LOSSES if name != TOTAL), "presence_accuracy", TOTAL)
_VALIDATION = ("mae", "predicted_tissues", "spurious_per_mixture")
TAGS = (
    "train/learning_rate",
    *(f"train/{name}" for name in _BOTH),
    *(f"val/{name}" for name in (*_BOTH, *_VALIDATION)),
)
COLUMNS = ("epoch", "step", *TAGS, "seconds", "slurm_job_id", "node")


def check_mixtures(mixtures: Mixtures, reference: Reference, phase: str) -> None:
    """Check that an epoch may be chosen on these mixtures: they are of this reference, split and phase."""
    if mixtures.attributes.get("reference_digest") != reference.content_digest:
        message = "the validation mixtures were made of another reference"
        raise InputError(message, "make them again: python -m methmix.mixtures")
    made_for = (mixtures.attributes.get("split"), mixtures.attributes.get("phase"))
    if made_for != ("validation", phase):
        raise InputError(
            f"the validation mixtures are of split {made_for[0]!r}, {made_for[1]!r}; expected 'validation', {phase!r}",
            "an epoch must not be chosen on other mixtures, least of all on those of the test",
        )


def validate(model: Deconvolver, mixtures: Mixtures) -> dict[str, float]:
    """Compute the ``val/`` values of a row of the training log; the model is left in evaluation mode."""
    true = mixtures.proportions
    predicted = predict(model, mixtures.methylation, mixtures.depth).proportions
    scores = Scores(true, predicted)
    sums: Counter[str] = Counter()
    with torch.inference_mode():
        for methylation, depth, part in batches(model, mixtures.methylation, mixtures.depth, true):
            losses = model.loss(methylation, part, depth)
            sums.update({name: len(part) * loss.item() for name, loss in losses.items()})
    return {
        **{f"val/{name}": sums[name] / len(mixtures) for name in LOSSES},
        # As at inference; the loss, as in training, opens the gate for the tissues that are present.
        "val/mse_loss": float(np.square(predicted - true).mean()),
        **{f"val/{name}": scores.value(name) for name in ("presence_accuracy", *_VALIDATION)},
    }


class Monitor:
    """Writes ``training_log.csv`` and TensorBoard events to the run's ``logs`` folder.

    ``history`` has the epochs that an earlier, interrupted process has finished.
    """

    def __init__(self, folder: Path, history: list[dict[str, Any]]) -> None:
        self._csv = folder / "training_log.csv"
        # What an interrupted process wrote after its last checkpoint is overwritten, not shown twice.
        self._tensorboard = SummaryWriter(str(folder / "tensorboard"), purge_step=len(history) + 1)

    def epoch(self, history: list[dict[str, Any]]) -> None:
        """Report the last row of ``history``; the CSV is written anew, so it is always whole."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_text(self._csv, text.getvalue())
        for tag in TAGS:
            self._tensorboard.add_scalar(tag, history[-1][tag], history[-1]["epoch"])
        self._tensorboard.flush()

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *_: object) -> None:
        """Finish the TensorBoard file."""
        self._tensorboard.close()
