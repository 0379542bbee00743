"""Evaluate one arm on the test mixtures."""

import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sklearn.isotonic import IsotonicRegression

from methmix import metrics, provenance, seeds
from methmix.config import Experiment
from methmix.errors import InputError
from methmix.evaluation import controls
from methmix.evaluation.scores import Scores, with_intervals
from methmix.files import Mixtures, Reference, atomic_path, write_text
from methmix.models import predict
from methmix.training.checkpoint import check_same_data, load_model

logger = logging.getLogger("methmix")

TRAINED_ARMS = ("original", "sparse")
CONTROLS = ("nnls", "nnls_cut", "em", "uniform", "all_absent", "oracle")
ARMS = (*TRAINED_ARMS, *CONTROLS)

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Answer:
    """What an arm says of a set of mixtures; ``probability`` is None if it has no presence probability."""

    proportions: Array
    probability: Array | None


def evaluate_arm(
    arm: str,
    experiment: Experiment,
    reference: Reference,
    validation: Mixtures,
    test: Mixtures,
    checkpoint: Path | None,
    output: Path,
) -> None:
    """Evaluate an arm and write ``metrics.json``, ``predictions.csv``, ``per_tissue.csv``, ``per_mixture.csv``.

    Whatever is chosen or calibrated is chosen on ``validation``; ``test`` is only predicted and scored.

    Raises
    ------
    InputError
        Files do not belong together, or a trained arm has no checkpoint.
    """
    for name, mixtures in (("validation", validation), ("test", test)):
        if mixtures.attributes.get("reference_digest") != reference.content_digest:
            raise InputError(
                f"the {name} mixtures were made of another reference",
                "make them again: python -m methmix.mixtures",
            )
        if mixtures.attributes.get("split") != name:
            raise InputError(f"the {name} mixtures are those of split {mixtures.attributes.get('split')!r}")
    record: dict[str, Any] = {"train_seconds": 0.0, "n_parameters": 0}
    started = time.monotonic()
    if arm in TRAINED_ARMS:
        if checkpoint is None:
            raise InputError(f"--checkpoint: arm {arm} is trained, name its checkpoint_best.pt")
        answers, record = _trained(arm, checkpoint, reference, validation, test)
    else:
        answers, record["choices"] = _control(arm, experiment, reference, validation, test)
    answer = _with_probability(answers, validation)
    seconds = time.monotonic() - started
    true = test.proportions.astype(np.float64)
    scores = Scores(true, answer.proportions, answer.probability)
    bootstrap_seed = seeds.integer(experiment.seed, "bootstrap")
    content: dict[str, Any] = {
        "arm": arm,
        "phase": test.attributes["phase"],
        "split": "test",
        "n_mixtures": len(test),
        **dict(with_intervals(scores, experiment.evaluation.n_bootstrap, bootstrap_seed)),
        "train_seconds": record["train_seconds"],
        "peak_memory_mb": record.get("peak_memory_mb") or round(provenance.peak_memory_mb(), 1),
        "n_parameters": record["n_parameters"],
        "predict_seconds": round(seconds, 3),
        "choices": record.get("choices", {}),
        "presence_probability": "own" if answers[1].probability is not None else "isotonic, fitted on validation",
        "notes": json.loads(reference.attributes["notes"]),
        "provenance": {
            "experiment": experiment.name,
            "seed": experiment.seed,
            "commit": provenance.commit(),
            "versions": provenance.versions(),
            "training": {k: record[k] for k in ("device", "host", "commit", "best_epoch") if k in record},
        },
    }
    write_text(output / "metrics.json", json.dumps(content, indent=2) + "\n")
    _write_csv(output / "predictions.csv", _predictions(test, answer))
    _write_csv(output / "per_tissue.csv", per_tissue(reference, true, answer.proportions))
    _write_csv(output / "per_mixture.csv", _per_mixture(test, true, answer.proportions))
    logger.info(
        "%s: MAE %.4f, spurious %.3f and missed %.3f per mixture; %s",
        arm,
        content["mae"],
        content["spurious_per_mixture"],
        content["missed_per_mixture"],
        output / "metrics.json",
    )


def _trained(
    arm: str, path: Path, reference: Reference, validation: Mixtures, test: Mixtures
) -> tuple[list[_Answer], dict[str, Any]]:
    model, checkpoint = load_model(path)
    if checkpoint.arm["arm"] != arm:
        raise InputError(f"{path}: is a checkpoint of arm {checkpoint.arm['arm']}, expected {arm}")
    check_same_data(path, checkpoint, reference.tissue_names, reference.digest, "the reference")
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    answers = []
    for mixtures in (validation, test):
        predicted = predict(model, mixtures.methylation, mixtures.depth)
        answers.append(_Answer(predicted.proportions, predicted.presence_probability))
    return answers, {**checkpoint.record, "best_epoch": checkpoint.best.get("epoch")}


def _control(
    arm: str, experiment: Experiment, reference: Reference, validation: Mixtures, test: Mixtures
) -> tuple[list[_Answer], dict[str, Any]]:
    choices: dict[str, Any] = {}
    both = (validation, test)
    match arm:
        case "nnls":
            proportions = [controls.nnls(reference, mixtures) for mixtures in both]
        case "nnls_cut" | "em":
            method = controls.em if arm == "em" else controls.nnls
            uncut = [method(reference, mixtures) for mixtures in both]
            threshold = controls.choose_cut(
                uncut[0], validation.proportions.astype(np.float64), experiment.evaluation.cuts
            )
            choices["cut"] = threshold
            proportions = [controls.cut(values, threshold) for values in uncut]
        case "uniform":
            proportions = [controls.uniform(mixtures) for mixtures in both]
        case "all_absent":
            return [_Answer(controls.all_absent(m), np.zeros(m.proportions.shape)) for m in both], choices
        case "oracle":
            proportions = [
                controls.oracle(reference, validation, "validation"),
                controls.oracle(reference, test, "test"),
            ]
        case _:
            raise InputError(f"--arm: unknown arm {arm!r}; expected one of {', '.join(ARMS)}")
    return [_Answer(values, None) for values in proportions], choices


@dataclass(frozen=True)
class _FullAnswer:
    proportions: Array
    probability: Array


def _with_probability(answers: list[_Answer], validation: Mixtures) -> _FullAnswer:
    """Give an arm without a presence head a probability, so that calibration is compared fairly.

    It is the share of present tissues among validation entries of like predicted proportion (isotonic
    regression).
    """
    on_validation, on_test = answers
    if on_test.probability is not None:
        return _FullAnswer(on_test.proportions, on_test.probability)
    true = validation.proportions
    labelled = metrics.absent(true) | metrics.present(true)
    fit = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    fit.fit(on_validation.proportions[labelled], metrics.present(true)[labelled].astype(float))
    probability = fit.predict(on_test.proportions.ravel()).reshape(on_test.proportions.shape)
    return _FullAnswer(on_test.proportions, probability)


def mixture_ids(n: int) -> list[str]:
    """Name the mixtures of a file, from Mixture_1 on."""
    return [f"Mixture_{number}" for number in range(1, n + 1)]


def _predictions(test: Mixtures, answer: _FullAnswer) -> pd.DataFrame:
    n_mixtures, n_tissues = test.proportions.shape
    return pd.DataFrame(
        {
            "mixture_id": np.repeat(mixture_ids(n_mixtures), n_tissues),
            "tissue": test.tissue_names * n_mixtures,
            "true_proportion": test.proportions.astype(np.float64).ravel(),
            "predicted_proportion": answer.proportions.ravel(),
            "presence_probability": answer.probability.ravel(),
        }
    )


def per_tissue(reference: Reference, true: Array, predicted: Array) -> pd.DataFrame:
    """Summarise errors per tissue, with its donors and whether a split had to share them.

    Returns
    -------
    DataFrame
        A row per tissue. ``shared_donors`` names the splits whose mixtures are made of training donors.
    """
    shared = {split: reference.shared_tissues(split) for split in ("validation", "test")}  # type: ignore[arg-type]
    drawn = "yes" if reference.attributes.get("source") != "counts" else "no"
    rows = []
    for column, tissue in enumerate(reference.tissue_names):
        t, p = true[:, [column]], predicted[:, [column]]
        present, absent = metrics.present(t), metrics.absent(t)
        of_tissue = [s for s, name in zip(reference.split, reference.tissues, strict=True) if name == tissue]
        rows.append(
            {
                "tissue": tissue,
                "n_present": int(present.sum()),
                "n_absent": int(absent.sum()),
                "mae": metrics.mae(t, p),
                "mae_present": _mean(np.abs(p - t)[present]),
                "bias_present": _mean((p - t)[present]),
                "prediction_ratio": float(np.median(p[present] / t[present])) if present.any() else np.nan,
                "spurious": int(metrics.spurious(t, p).sum()),
                "missed": int(metrics.missed(t, p).sum()),
                "false_mass": float(p[absent].sum() / len(t)),
                **{f"donors_{s}": of_tissue.count(s) for s in ("train", "validation", "test")},
                "shared_donors": " ".join(s for s, names in shared.items() if tissue in names) or "none",
                "drawn_donors": drawn,
            }
        )
    return pd.DataFrame(rows)


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")


def _per_mixture(test: Mixtures, true: Array, predicted: Array) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "mixture_id": mixture_ids(len(test)),
            "mean_depth": [info["mean_depth"] for info in test.info],
            "n_tissues": (true > 0).sum(axis=1),
            "mae": np.abs(predicted - true).mean(axis=1),
            "spurious": metrics.spurious(true, predicted).sum(axis=1),
            "missed": metrics.missed(true, predicted).sum(axis=1),
            "false_mass": np.where(metrics.absent(true), predicted, 0).sum(axis=1),
        }
    )


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
