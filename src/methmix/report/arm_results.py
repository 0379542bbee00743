"""Read what the evaluations of one phase have written."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.arms import ARMS
from methmix.errors import InputError

PREDICTION_COLUMNS = (
    "mixture_id",
    "tissue",
    "true_proportion",
    "predicted_proportion",
    "presence_probability",
    "interval_low",
    "interval_high",
)
_TABLES = ("per_tissue", "per_mixture", "by_abundance", "tradeoff")
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ArmResult:
    """The evaluation of one arm.

    Parameters
    ----------
    arm
        Its name.
    metrics
        Content of metrics.json.
    tissues
        Alphabetical.
    true, predicted, probability
        [n_mixtures, n_tissues].
    low, high
        Interval, of the same shape; NaN if the arm gives none.
    per_tissue, per_mixture, by_abundance, tradeoff
        The tables of those names.
    log
        Training log; empty for a control.
    """

    arm: str
    metrics: dict[str, Any]
    mixtures: list[str]
    tissues: list[str]
    true: Array
    predicted: Array
    probability: Array
    low: Array
    high: Array
    per_tissue: pd.DataFrame
    per_mixture: pd.DataFrame
    by_abundance: pd.DataFrame
    tradeoff: pd.DataFrame
    log: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def trained(self) -> bool:
        """Whether it is a model, not a control."""
        return ARMS[self.arm].kind == "trained"

    @property
    def background(self) -> list[int]:
        """Columns of the background's tissues; none where the phase has no background."""
        return [self.tissues.index(name) for name in self.metrics["background"]]


def read_arm(folder: Path, arm: str) -> ArmResult:
    """Read the results of one arm from ``folder/<arm>``.

    Raises
    ------
    InputError
        A file is missing, damaged or lacks a column.
    """
    evaluation = folder / arm / "evaluation"
    again = "evaluate the arm again: python -m methmix.evaluation"
    try:
        metrics = json.loads((evaluation / "metrics.json").read_text())
        predictions = pd.read_csv(evaluation / "predictions.csv")
        tables = {name: pd.read_csv(evaluation / f"{name}.csv") for name in _TABLES}
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: there is no such file", again) from None
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{evaluation}: a file is damaged ({error})", again) from None
    missing = [name for name in PREDICTION_COLUMNS if name not in predictions.columns]
    if missing:
        raise InputError(f"{evaluation / 'predictions.csv'}: column {missing[0]} is missing", again)
    tissues = list(dict.fromkeys(predictions["tissue"]))
    mixtures = list(dict.fromkeys(predictions["mixture_id"]))
    shape = (len(mixtures), len(tissues))
    if len(predictions) != shape[0] * shape[1]:
        raise InputError(
            f"{evaluation / 'predictions.csv'}: {len(predictions)} rows, expected {shape[0]} x {shape[1]}", again
        )
    values = (predictions[name].to_numpy(dtype=float).reshape(shape) for name in PREDICTION_COLUMNS[2:])
    log = folder / arm / "logs" / "training_log.csv"
    history = pd.read_csv(log) if log.is_file() else pd.DataFrame()
    return ArmResult(arm, metrics, mixtures, tissues, *values, **tables, log=history)


def read_arms(folder: Path, arms: list[str]) -> list[ArmResult]:
    """Read the results of several arms and check that they are of the same mixtures.

    Raises
    ------
    InputError
        As `read_arm`, or arms were evaluated on different mixtures.
    """
    results = [read_arm(folder, arm) for arm in arms]
    first = results[0]
    for other in results[1:]:
        if other.tissues != first.tissues or not np.array_equal(other.true, first.true):
            raise InputError(
                f"{folder}: {first.arm} and {other.arm} were evaluated on different mixtures",
                "evaluate all arms again on one test file",
            )
    return results


def serious(results: list[ArmResult]) -> list[ArmResult]:
    """Leave out the trivial controls, whose errors would only stretch the axes."""
    return [result for result in results if ARMS[result.arm].kind != "trivial"] or results
