"""How a training proceeds: validation after every epoch, and its log as CSV and in TensorBoard."""

import csv
import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from methmix.devices import has_room
from methmix.errors import InputError
from methmix.files.atomic import write_text
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.models.deconvolver import Deconvolver
from methmix.models.losses import LOSSES, TOTAL
from methmix.models.prediction import batches, normalised
from methmix.rows import Rows
from methmix.scores import Scores

_BOTH = (*(name for name in LOSSES if name != TOTAL), "presence_accuracy", TOTAL)
_VALIDATION = ("mae", "predicted_tissues", "spurious_per_mixture", "missed_per_mixture")
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


class Validation:
    """Validates a model; the mixtures are read anew each time, or stay on a GPU that has room for them."""

    def __init__(self, model: Deconvolver, mixtures: Mixtures) -> None:
        self._model, self._true = model, mixtures.proportions
        # What a model does not use need not be read.
        used = (mixtures.methylation, mixtures.depth) if model.needs_depth else (mixtures.methylation,)
        self._tables: tuple[Rows, ...] = (*used, mixtures.proportions)
        self._kept: list[tuple[Tensor, ...]] = []

    def values(self) -> dict[str, float]:
        """Compute the ``val/`` values of a row of the training log; the model is left in evaluation mode."""
        model, true = self._model.eval(), self._true
        parts: list[Tensor] = []
        sums: dict[str, Tensor] = {}
        with torch.inference_mode():
            for *observed, of_batch in self._batches():
                features = model(*observed)
                parts.append(model.head.infer(features).proportions)
                for name, loss in model.loss_of(features, of_batch).items():
                    sums[name] = sums.get(name, 0.0) + len(of_batch) * loss.double()
        predicted = normalised(torch.cat(parts).double().cpu().numpy())
        scores = Scores(true, predicted)
        return {
            **{f"val/{name}": float(sums.get(name, 0.0)) / len(true) for name in LOSSES},
            # As at inference; the loss, as in training, opens the gate for the tissues that are present.
            "val/mse_loss": float(np.square(predicted - true).mean()),
            **{f"val/{name}": scores.value(name) for name in ("presence_accuracy", *_VALIDATION)},
        }

    def _batches(self) -> Iterable[tuple[Tensor, ...]]:
        if self._kept:
            return self._kept
        device = next(self._model.parameters()).device
        read = batches(self._model, *self._tables)
        if has_room(device, 4 * sum(math.prod(table.shape) for table in self._tables)):
            self._kept = list(read)
            return self._kept
        return read


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
