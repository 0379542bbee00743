"""What each arm estimates of the test mixtures, with whatever it needs chosen on the validation mixtures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.isotonic import IsotonicRegression

from methmix.arms import ARMS
from methmix.cuts import Cutter, choose_cut, cut, mae
from methmix.errors import InputError
from methmix.evaluation.controls import COMPOSITIONS, CONTROLS, Context
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.models.deconvolver import Deconvolver
from methmix.models.prediction import Array, Prediction, predict
from methmix.scores import Scores
from methmix.training.checkpoint import check_same_data, load_model
from methmix.training.state import Checkpoint

# Presence thresholds that the trade-off is shown for.
_THRESHOLDS = (0.02, 0.05, *(round(0.1 * step, 1) for step in range(1, 10)), 0.95, 0.98)

# Largest part of a proportion in a probability that is fitted to proportions.
_TIE = 1e-6


class Dial(NamedTuple):
    """A setting that trades false-positive tissues against missed ones, and the proportions at each value of it.

    ``at`` gives those of the validation mixtures, on which alone a value may be chosen.
    """

    name: str
    chosen: float
    others: Sequence[float]
    at: Callable[[float], Array]


@dataclass(frozen=True)
class Estimates:
    """The prediction of an arm, its dial, what was chosen for it, and the record of its training.

    ``uncut`` are the proportions of the validation and of the test mixtures before any cut.
    """

    test: Prediction
    uncut: tuple[Array, Array]
    dial: Dial
    choices: dict[str, Any] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=lambda: {"train_seconds": 0.0, "n_parameters": 0})


def estimate(
    arm: str, context: Context, validation: Mixtures, test: Mixtures, checkpoint: Path | None = None
) -> Estimates:
    """Predict both sets of mixtures by an arm."""
    cuts = context.experiment.evaluation.cuts
    if ARMS[arm].kind == "trained":
        if checkpoint is None:
            raise InputError(f"--checkpoint: arm {arm} is trained, name its checkpoint_best.pt")
        return _of_model(arm, checkpoint, context.reference, validation, test, cuts)
    if ARMS[arm].cut:
        return _of_cut_control(arm, context, validation, test)
    of_validation, of_test = (CONTROLS[arm](context, mixtures) for mixtures in (validation, test))
    uncut = of_validation.proportions, of_test.proportions
    return Estimates(of_test, uncut, _cut_dial(uncut[0], 0.0, cuts))


def _of_cut_control(arm: str, context: Context, validation: Mixtures, test: Mixtures) -> Estimates:
    """Choose the cut, and for a control on markers also their number, by the error on validation."""
    cuts, true = context.experiment.evaluation.cuts, validation.proportions.astype(np.float64)
    cut_validation, cut_test = (_cutter(arm, context, mixtures) for mixtures in (validation, test))
    tried = []
    for number in context.numbers_of_markers if ARMS[arm].markers else (0,):
        candidate = context.with_markers(number) if ARMS[arm].markers else context
        proportions = CONTROLS[arm](candidate, validation).proportions
        chosen = choose_cut(proportions, true, cuts, cut_validation)
        tried.append((mae(cut_validation(proportions, chosen), true), candidate, proportions, chosen))
    _, context, proportions, chosen = min(tried, key=lambda of_number: of_number[0])
    choices: dict[str, Any] = {"cut": chosen}
    if ARMS[arm].markers:
        choices["markers_per_tissue"] = context.markers_per_tissue
    of_test = CONTROLS[arm](context, test).proportions
    uncut = cut_validation(proportions, 0.0), cut_test(of_test, 0.0)
    dial = _cut_dial(proportions, chosen, cuts, cut_validation)
    return Estimates(Prediction(cut_test(of_test, chosen)), uncut, dial, choices)


def _cutter(arm: str, context: Context, mixtures: Mixtures) -> Cutter:
    """Make the function that cuts the proportions of mixtures; those of donors before they count as tissues."""
    if arm not in COMPOSITIONS:
        return cut
    composition = COMPOSITIONS[arm](context, mixtures)
    return lambda proportions, threshold: np.einsum("nd,ndt->nt", cut(proportions, threshold), composition)


def _of_model(
    arm: str, path: Path, reference: Reference, validation: Mixtures, test: Mixtures, cuts: Sequence[float]
) -> Estimates:
    model, checkpoint = load_for(path, reference)
    if checkpoint.arm["arm"] != arm:
        raise InputError(
            f"{path}: is a checkpoint of arm {checkpoint.arm['arm']}, expected {arm}",
            "name the checkpoint_best.pt of the arm that --arm names",
        )
    of_validation, of_test = (predict_mixtures(model, mixtures) for mixtures in (validation, test))
    dial = _cut_dial(of_validation.proportions, 0.0, cuts)
    if of_validation.proportion_logits is not None:
        threshold = float(checkpoint.arm["model"]["presence_threshold"])
        dial = Dial("presence_threshold", threshold, _THRESHOLDS, of_validation.at_threshold)
    record = {**checkpoint.record, "best_epoch": checkpoint.best.get("epoch")}
    return Estimates(of_test, (of_validation.proportions, of_test.proportions), dial, record=record)


def _cut_dial(proportions: Array, chosen: float, cuts: Sequence[float], cutter: Cutter | None = None) -> Dial:
    """Make the dial of an arm whose proportions can be cut; a cut of 0 leaves them as they are."""
    return Dial("cut", chosen, (0.0, *cuts), partial(cutter or cut, proportions))


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

    It is an isotonic regression, on validation, of presence on predicted proportion before any cut. Where that is flat,
    the probability still rises a little with the proportion, so that both rank tissues alike.
    """
    if estimates.test.presence_probability is not None:
        return estimates.test
    of_validation, of_test = estimates.uncut
    known = Scores(validation.proportions, of_validation)
    fit = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    fit.fit(known.predicted[known.labelled], known.present[known.labelled].astype(float))
    probability = fit.predict(of_test.ravel()).reshape(of_test.shape)
    return replace(estimates.test, presence_probability=(1 - _TIE) * probability + _TIE * of_test)
