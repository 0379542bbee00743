"""What each arm estimates of the test mixtures, with whatever it needs chosen on the validation mixtures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sklearn.isotonic import IsotonicRegression

from methmix.arms import ARMS
from methmix.errors import InputError
from methmix.evaluation.controls import CONTROLS, Context
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.models.deconvolver import Deconvolver
from methmix.models.prediction import Prediction, predict
from methmix.nnls import normalise
from methmix.scores import Scores
from methmix.training.checkpoint import Checkpoint, check_same_data, load_model

Array = npt.NDArray[np.float64]

# Settings of the presence threshold that the trade-off is shown for.
_THRESHOLDS = (0.02, 0.05, *(round(0.1 * step, 1) for step in range(1, 10)), 0.95, 0.98)


class Dial(NamedTuple):
    """A setting that trades false-positive tissues against missed ones: its chosen value, and others to show."""

    name: str
    chosen: float
    others: Sequence[float]
    # The test proportions at a value.
    at: Callable[[float], Array]

    def tried(self) -> dict[float, Array]:
        """Give the test proportions at every value, ascending."""
        return {value: self.at(value) for value in sorted({*self.others, self.chosen})}


@dataclass(frozen=True)
class Estimates:
    """The predictions of an arm, what was chosen for it, its dial if it has one, and the record of its training."""

    validation: Prediction
    test: Prediction
    dial: Dial | None = None
    choices: dict[str, Any] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=lambda: {"train_seconds": 0.0, "n_parameters": 0})


def estimate(
    arm: str, context: Context, validation: Mixtures, test: Mixtures, checkpoint: Path | None = None
) -> Estimates:
    """Predict both sets of mixtures by an arm.

    Raises
    ------
    InputError
        The arm is trained and its checkpoint is missing, damaged or another arm's.
    """
    if ARMS[arm].kind == "trained":
        if checkpoint is None:
            raise InputError(f"--checkpoint: arm {arm} is trained, name its checkpoint_best.pt")
        return _of_model(arm, checkpoint, context.reference, validation, test)
    both = [CONTROLS[arm](context, mixtures) for mixtures in (validation, test)]
    if not ARMS[arm].cut:
        return Estimates(both[0], both[1])
    candidates = context.experiment.evaluation.cuts
    chosen = choose_cut(both[0].proportions, validation.proportions.astype(np.float64), candidates)
    at_chosen = [Prediction(cut(prediction.proportions, chosen)) for prediction in both]
    dial = Dial("cut", chosen, (0.0, *candidates), lambda threshold: cut(both[1].proportions, threshold))
    return Estimates(at_chosen[0], at_chosen[1], dial, {"cut": chosen})


def _of_model(arm: str, path: Path, reference: Reference, validation: Mixtures, test: Mixtures) -> Estimates:
    model, checkpoint = load_for(path, reference)
    if checkpoint.arm["arm"] != arm:
        raise InputError(f"{path}: is a checkpoint of arm {checkpoint.arm['arm']}, expected {arm}")
    both = [predict(model, mixtures.methylation, mixtures.depth) for mixtures in (validation, test)]
    dial = None
    if both[1].proportion_logits is not None:
        threshold = float(checkpoint.arm["model"]["presence_threshold"])
        dial = Dial("presence_threshold", threshold, _THRESHOLDS, both[1].at_threshold)
    return Estimates(both[0], both[1], dial, record={**checkpoint.record, "best_epoch": checkpoint.best.get("epoch")})


def load_for(path: Path, reference: Reference) -> tuple[Deconvolver, Checkpoint]:
    """Load a model onto the GPU, if there is one; `InputError` if it is not for the reference's tissues and regions."""
    model, checkpoint = load_model(path)
    check_same_data(path, checkpoint, reference.tissue_names, reference.digest, "the reference")
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), checkpoint


def with_probability(estimates: Estimates, validation: Mixtures) -> Prediction:
    """Give a test prediction without a presence probability one, so that calibration is compared fairly.

    It is the proportion of present tissues among validation entries of like predicted proportion (isotonic regression).
    """
    if estimates.test.presence_probability is not None:
        return estimates.test
    known = Scores(validation.proportions, estimates.validation.proportions)
    fit = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    fit.fit(known.predicted[known.labelled], known.present[known.labelled].astype(float))
    proportions = estimates.test.proportions
    return replace(estimates.test, presence_probability=fit.predict(proportions.ravel()).reshape(proportions.shape))


def cut(proportions: Array, threshold: float) -> Array:
    """Set proportions below a threshold to 0 and normalise the others; the largest is always kept."""
    kept = (proportions >= threshold) | (proportions == proportions.max(axis=1, keepdims=True))
    return normalise(np.where(kept, proportions, 0))


def choose_cut(proportions: Array, true: Array, candidates: Sequence[float]) -> float:
    """Choose the cut with the lowest mean absolute error; for validation mixtures only."""
    return min(candidates, key=lambda threshold: Scores(true, cut(proportions, threshold)).value("mae"))
