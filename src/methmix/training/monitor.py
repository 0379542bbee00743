"""How a training proceeds: validation after every epoch, its log as CSV and in TensorBoard, warnings."""

import csv
import io
import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from methmix.config.arm import ArmSettings
from methmix.config.load import to_yaml
from methmix.devices import has_room
from methmix.errors import InputError
from methmix.files.atomic import write_text
from methmix.files.mixtures import Mixtures, matched
from methmix.files.reference import Reference
from methmix.models.deconvolver import Deconvolver
from methmix.models.losses import LOSSES, TOTAL
from methmix.models.prediction import batches, normalised
from methmix.rows import Rows
from methmix.scores import Scores
from methmix.training.course import Course
from methmix.training.diagnosis import diagnose, diagnosis
from methmix.training.pictures import Pictures
from methmix.training.validation_facts import ValidationFacts, write_facts

Array = npt.NDArray[np.float64]

logger = logging.getLogger("methmix")

_BOTH = (*(name for name in LOSSES if name != TOTAL), "presence_accuracy", TOTAL)
_VALIDATION = ("mae", "predicted_tissues", "spurious_per_mixture", "missed_per_mixture")
_CLOSED = "val/closed_gate"
TAGS = (
    "train/learning_rate",
    *(f"train/{name}" for name in _BOTH),
    *(f"val/{name}" for name in (*_BOTH, *_VALIDATION)),
    _CLOSED,
)
COLUMNS = ("epoch", "step", *TAGS, "seconds", "slurm_job_id", "node")


def matching_mixtures(mixtures: Mixtures, reference: Reference, phase: str) -> Mixtures:
    """Match mixtures on which an epoch is to be chosen with the reference; they must be of this split and phase."""
    mixtures = matched(mixtures, reference, "the validation mixtures")
    made_for = (mixtures.attributes.get("split"), mixtures.attributes.get("phase"))
    if made_for != ("validation", phase):
        raise InputError(
            f"the validation mixtures are of split {made_for[0]!r}, {made_for[1]!r}; expected 'validation', {phase!r}",
            "an epoch must not be chosen on other mixtures, least of all on those of the test",
        )
    return mixtures


class Validation:
    """Validates a model; the mixtures are read anew each time, or stay on a GPU that has room for them."""

    def __init__(self, model: Deconvolver, mixtures: Mixtures) -> None:
        self._model, self._true = model, mixtures.proportions
        # What a model does not use need not be read.
        used = (mixtures.methylation, mixtures.depth) if model.needs_depth else (mixtures.methylation,)
        self._tables: tuple[Rows, ...] = (*used, mixtures.proportions)
        self._kept: list[tuple[Tensor, ...]] = []
        # Of the latest validation: proportions, and presence probabilities if the model has any.
        self.predicted: Array | None = None
        self.probability: Array | None = None

    def values(self) -> dict[str, float]:
        """Compute the ``val/`` values of a row of the training log; the model is left in evaluation mode.

        ``val/closed_gate`` is the proportion of the mixtures in which no tissue passes the gate, so that the most
        probable one gets all.
        """
        model, true = self._model.eval(), self._true
        closed = torch.zeros((), device=next(model.parameters()).device)
        parts: list[Tensor] = []
        probabilities: list[Tensor] = []
        sums: dict[str, Tensor] = {}
        with torch.inference_mode():
            for *observed, of_batch in self._batches():
                features = model(*observed)
                found = model.head.infer(features)
                parts.append(found.proportions)
                if found.presence_probability is not None and model.head.threshold is not None:
                    probabilities.append(found.presence_probability)
                    closed += (found.presence_probability.amax(dim=1) < model.head.threshold).sum()
                for name, loss in model.loss_of(features, of_batch).items():
                    sums[name] = sums.get(name, 0.0) + len(of_batch) * loss.double()
        predicted = normalised(torch.cat(parts).double().cpu().numpy())
        self.predicted = predicted
        self.probability = torch.cat(probabilities).double().cpu().numpy() if probabilities else None
        scores = Scores(true, predicted)
        return {
            **{f"val/{name}": float(sums.get(name, 0.0)) / len(true) for name in LOSSES},
            # As at inference; the loss, as in training, opens the gate for the tissues that are present.
            "val/mse_loss": float(np.square(predicted - true).mean()),
            **{f"val/{name}": scores.value(name) for name in ("presence_accuracy", *_VALIDATION)},
            _CLOSED: float(closed) / len(true),
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
    """Writes ``training_log.csv`` and TensorBoard events to the run's ``logs`` folder, and warns of what goes wrong.

    ``history`` has the epochs that an earlier, interrupted process has finished. Each warning comes once.
    """

    def __init__(
        self,
        folder: Path,
        history: list[dict[str, Any]],
        arm: ArmSettings,
        facts: ValidationFacts,
        pictures: Pictures,
    ) -> None:
        self._csv, self._arm, self._facts, self._pictures = folder / "training_log.csv", arm, facts, pictures
        write_facts(folder, facts)
        # What an interrupted process wrote after its last checkpoint is overwritten, not shown twice.
        self._tensorboard = SummaryWriter(str(folder / "tensorboard"), purge_step=len(history) + 1)
        self._tensorboard.add_text("configuration", f"```yaml\n{to_yaml(arm)}```")
        epochs = range(1, len(history) + 1)
        self._warned = {found.name for end in epochs for found in diagnose(self._course(history[:end]))}

    def epoch(self, history: list[dict[str, Any]]) -> None:
        """Report the last row of ``history``; the CSV is written anew, so it is always whole.

        The row of an epoch whose loss is not finite has no validation.
        """
        text, row = io.StringIO(), history[-1]
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_text(self._csv, text.getvalue())
        for tag in TAGS:
            if tag in row:
                self._tensorboard.add_scalar(tag, row[tag], row["epoch"])
        new = [found for found in diagnose(self._course(history)) if found.name not in self._warned]
        for found in new:
            logger.warning("%s", found)
        if new:
            self._warned |= {found.name for found in new}
            self._tensorboard.add_text("diagnosis", "\n\n".join(map(str, new)), row["epoch"])
        self._tensorboard.flush()

    def draw(self, validation: Validation, epoch: int, last: bool) -> None:
        """Draw the latest predictions of the validation mixtures, if it is time to and all are finite."""
        predicted, probability = validation.predicted, validation.probability
        if predicted is None or not self._pictures.due(epoch, last):
            return
        if all(np.isfinite(values).all() for values in (predicted, probability) if values is not None):
            self._pictures.add(self._tensorboard, epoch, predicted, probability)

    def end(self, history: list[dict[str, Any]], best: dict[str, Any]) -> None:
        """Report the diagnosis of the whole training, and the settings beside the metrics of the best epoch."""
        text = diagnosis(self._course(history))
        for line in text.splitlines():
            logger.info("diagnosis: %s", line)
        self._tensorboard.add_text("diagnosis", text.replace("\n", "\n\n"), history[-1]["epoch"])
        metrics = {f"best/{name}": best[f"val/{name}"] for name in (*_VALIDATION, "presence_accuracy")}
        # `SummaryWriter.add_hparams` would make a run of its own for them.
        for summary in hparams(_flat(self._arm.model_dump(mode="json")), metrics):
            self._tensorboard.file_writer.add_summary(summary)
        for name, value in metrics.items():
            self._tensorboard.add_scalar(name, value, best["epoch"])

    def _course(self, history: list[dict[str, Any]]) -> Course:
        return Course(history, self._arm, self._facts)

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *_: object) -> None:
        """Finish the TensorBoard file."""
        self._tensorboard.close()


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, float | str]:
    """Give nested settings their dotted keys; what is no number is text."""
    flat: dict[str, float | str] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            flat[prefix + key] = value if is_number else str(value)
    return flat
