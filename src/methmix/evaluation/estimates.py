"""What each arm estimates of the test mixtures, with whatever it needs chosen on the validation mixtures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.isotonic import IsotonicRegression

from methmix.arms import ARMS
from methmix.cuts import choose_cut, cut
from methmix.errors import InputError
from methmix.evaluation.controls import CONTROLS, Context
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.models.deconvolver import Deconvolver
from methmix.models.prediction import Array, Prediction, predict
from methmix.scores import Scores
from methmix.training.checkpoint import Checkpoint, check_same_data, load_model

# Presence thresholds that the trade-off is shown for.
_THRESHOLDS = (0.02, 0.05, *(round(0.1 * step, 1) for step in range(1, 10)), 0.95, 0.98)


class Dial(NamedTuple):
    """A setting that trades false-positive tissues against missed ones, and the test proportions at each value."""

    name: str
    chosen: float
    others: Sequence[float]
    at: Callable[[float], Array]


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
    """Predict both sets of mixtures by an arm."""
    if ARMS[arm].kind == "trained":
        if checkpoint is None:
            raise InputError(f"--checkpoint: arm {arm} is trained, name its checkpoint_best.pt")
        return _of_model(arm, checkpoint, context.reference, validation, test)
    of_validation, of_test = (CONTROLS[arm](context, mixtures) for mixtures in (validation, test))
    if not ARMS[arm].cut:
        return Estimates(of_validation, of_test)
    candidates = context.experiment.evaluation.cuts
    chosen = choose_cut(of_validation.proportions, validation.proportions.astype(np.float64), candidates)
    dial = Dial("cut", chosen, (0.0, *candidates), lambda threshold: cut(of_test.proportions, threshold))
    of_validation = Prediction(cut(of_validation.proportions, chosen))
    return Estimates(of_validation, Prediction(dial.at(chosen)), dial, {"cut": chosen})


def _of_model(arm: str, path: Path, reference: Reference, validation: Mixtures, test: Mixtures) -> Estimates:
    model, checkpoint = load_for(path, reference)
    if checkpoint.arm["arm"] != arm:
        raise InputError(f"{path}: is a checkpoint of arm {checkpoint.arm['arm']}, expected {arm}")
    of_test, dial = predict_mixtures(model, test), None
    if of_test.proportion_logits is not None:
        threshold = float(checkpoint.arm["model"]["presence_threshold"])
        dial = Dial("presence_threshold", threshold, _THRESHOLDS, of_test.at_threshold)
    record = {**checkpoint.record, "best_epoch": checkpoint.best.get("epoch")}
    return Estimates(predict_mixtures(model, validation), of_test, dial, record=record)


def predict_mixtures(model: Deconvolver, mixtures: Mixtures) -> Prediction:
    """Predict mixtures by a trained model."""
    return predict(model, mixtures.methylation, mixtures.depth)


def load_for(path: Path, reference: Reference) -> tuple[Deconvolver, Checkpoint]:
    """Load a model onto the GPU, if there is one, and check that it has the reference's tissues and regions."""
    model, checkpoint = load_model(path)
    check_same_data(path, checkpoint, reference.tissue_names, reference.digest, "the reference")
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), checkpoint


def with_probability(estimates: Estimates, validation: Mixtures) -> Prediction:
    """Add a presence probability to a test prediction without one, so that calibration is compared fairly.

    It is an isotonic regression, on validation, of presence on predicted proportion.
    """
    if estimates.test.presence_probability is not None:
        return estimates.test
    known = Scores(validation.proportions, estimates.validation.proportions)
    fit = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    fit.fit(known.predicted[known.labelled], known.present[known.labelled].astype(float))
    proportions = estimates.test.proportions
    return replace(estimates.test, presence_probability=fit.predict(proportions.ravel()).reshape(proportions.shape))
