"""What each arm and control says of the test mixtures, with whatever it needs chosen on the validation mixtures."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.isotonic import IsotonicRegression

from methmix import metrics
from methmix.config.arm import ReferenceBackboneSettings
from methmix.config.configured import configured_arm
from methmix.config.experiment import Experiment
from methmix.config.phases import Phase
from methmix.errors import InputError
from methmix.evaluation import controls
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference, Split
from methmix.models.prediction import predict
from methmix.training.checkpoint import check_same_data, load_model

TRAINED_ARMS = ("original", "sparse")
CONTROLS = ("nnls", "nnls_cut", "em", "uniform", "all_absent", "oracle")
ARMS = (*TRAINED_ARMS, *CONTROLS)
# The sparse arm without its network, which only an ablation compares.
WITHOUT_NETWORK = "least_squares"

Array = npt.NDArray[np.float64]

# Settings of the presence threshold that the trade-off is shown for.
_THRESHOLDS = (0.02, 0.05, *(round(0.1 * step, 1) for step in range(1, 10)), 0.95, 0.98)


@dataclass(frozen=True)
class Dial:
    """A setting of an arm that trades spurious tissues against missed ones.

    Parameters
    ----------
    name
        Of the setting.
    chosen
        Its value in the answer.
    others
        Values to show beside it.
    at
        Gives the proportions at a value.
    """

    name: str
    chosen: float
    others: tuple[float, ...]
    at: Callable[[float], Array]


@dataclass(frozen=True)
class Answer:
    """What an arm says of a set of mixtures, each array [n_mixtures, n_tissues].

    Parameters
    ----------
    proportions
        Rows sum to 1.
    probability
        Of presence, 0-1; None if the arm has none.
    low, high
        90 % interval of each proportion; None if the arm gives none.
    dial
        None if the arm has no such setting.
    """

    proportions: Array
    probability: Array | None = None
    low: Array | None = None
    high: Array | None = None
    dial: Dial | None = None


@dataclass(frozen=True)
class Answers:
    """What an arm says of both sets, what was chosen for it, and the record of its training."""

    validation: Answer
    test: Answer
    choices: dict[str, Any] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=lambda: {"train_seconds": 0.0, "n_parameters": 0})


def answers_of(
    arm: str,
    experiment: Experiment,
    reference: Reference,
    validation: Mixtures,
    test: Mixtures,
    checkpoint: Path | None,
) -> Answers:
    """Ask an arm.

    Raises
    ------
    InputError
        The arm is not known, or is trained and its checkpoint is missing, damaged or another arm's.
    """
    if arm in TRAINED_ARMS:
        if checkpoint is None:
            raise InputError(f"--checkpoint: arm {arm} is trained, name its checkpoint_best.pt")
        return _of_model(arm, checkpoint, reference, validation, test)
    return _of_control(arm, experiment, reference, validation, test)


def with_probability(answers: Answers, validation: Mixtures) -> Answer:
    """Give an answer without a presence probability one, so that calibration is compared fairly.

    It is the share of present tissues among validation entries of like predicted proportion (isotonic regression).
    """
    if answers.test.probability is not None:
        return answers.test
    true, proportions = validation.proportions, answers.test.proportions
    labelled = metrics.absent(true) | metrics.present(true)
    fit = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    fit.fit(answers.validation.proportions[labelled], metrics.present(true)[labelled].astype(float))
    return replace(answers.test, probability=fit.predict(proportions.ravel()).reshape(proportions.shape))


def _of_model(arm: str, path: Path, reference: Reference, validation: Mixtures, test: Mixtures) -> Answers:
    model, checkpoint = load_model(path)
    if checkpoint.arm["arm"] != arm:
        raise InputError(f"{path}: is a checkpoint of arm {checkpoint.arm['arm']}, expected {arm}")
    check_same_data(path, checkpoint, reference.tissue_names, reference.digest, "the reference")
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    both = []
    for mixtures in (validation, test):
        found = predict(model, mixtures.methylation, mixtures.depth)
        dial = None
        if found.share_logits is not None:
            threshold = float(checkpoint.arm["model"]["presence_threshold"])
            dial = Dial("presence_threshold", threshold, _THRESHOLDS, found.at_threshold)
        both.append(Answer(found.proportions, found.presence_probability, found.low, found.high, dial))
    return Answers(both[0], both[1], record={**checkpoint.record, "best_epoch": checkpoint.best.get("epoch")})


def _of_control(
    arm: str, experiment: Experiment, reference: Reference, validation: Mixtures, test: Mixtures
) -> Answers:
    match arm:
        case "nnls":
            answer = [Answer(controls.nnls(reference, mixtures)) for mixtures in (validation, test)]
        case "nnls_cut" | "em" | "least_squares":
            method = _solver(arm, experiment, test.attributes["phase"])
            uncut = [method(reference, mixtures) for mixtures in (validation, test)]
            candidates = experiment.evaluation.cuts
            chosen = controls.choose_cut(uncut[0], validation.proportions.astype(np.float64), candidates)
            return Answers(_cut(uncut[0], chosen, candidates), _cut(uncut[1], chosen, candidates), {"cut": chosen})
        case "uniform":
            answer = [Answer(controls.uniform(mixtures)) for mixtures in (validation, test)]
        case "all_absent":
            nothing = [controls.all_absent(mixtures) for mixtures in (validation, test)]
            answer = [Answer(zeros, zeros) for zeros in nothing]
        case "oracle":
            pairs: list[tuple[Mixtures, Split]] = [(validation, "validation"), (test, "test")]
            answer = [Answer(controls.oracle(reference, mixtures, split)) for mixtures, split in pairs]
        case _:
            raise InputError(f"--arm: unknown arm {arm!r}; expected one of {', '.join(ARMS)}")
    return Answers(answer[0], answer[1])


def _solver(arm: str, experiment: Experiment, phase: Phase) -> Callable[[Reference, Mixtures], Array]:
    if arm != WITHOUT_NETWORK:
        return controls.em if arm == "em" else controls.nnls
    # Also where the arm itself has another backbone.
    stands_on_it = {"model.backbone": "reference", "model.use_two_stage": True}
    settings = configured_arm(experiment, phase, "sparse", stands_on_it).model
    assert isinstance(settings, ReferenceBackboneSettings)  # for the type checker: just chosen
    return lambda reference, mixtures: controls.least_squares(reference, mixtures, settings)


def _cut(uncut: Array, chosen: float, candidates: list[float]) -> Answer:
    def at(threshold: float) -> Array:
        return controls.cut(uncut, threshold)

    return Answer(at(chosen), dial=Dial("cut", chosen, (0.0, *candidates), at))
