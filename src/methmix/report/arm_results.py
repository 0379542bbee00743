"""Read what earlier stages wrote, in particular the evaluations of one phase."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.arms import ARMS
from methmix.errors import InputError
from methmix.evaluation.donor_intervals import DonorNames
from methmix.files.json_file import read_json

_TABLES = ("per_tissue", "per_mixture", "by_abundance", "tradeoff")
# In the order of the arrays of `ArmResult`.
_VALUES = ("true_proportion", "predicted_proportion", "presence_probability", "interval_low", "interval_high")
_TYPES = {"donor": str}
_READ = ["mixture_id", "tissue", *_VALUES, "donor"]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ArmResult:
    """The evaluation of one arm.

    ``metrics`` is the content of metrics.json. The arrays are [n_mixtures, n_tissues], tissues in alphabetical order;
    ``low`` and ``high`` are NaN if the arm gives no intervals. ``donors`` names the donor of each tissue in each
    mixture, and is empty where there is none. The training ``log`` of a control is empty.
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
    donors: DonorNames
    per_tissue: pd.DataFrame
    per_mixture: pd.DataFrame
    by_abundance: pd.DataFrame
    tradeoff: pd.DataFrame
    log: pd.DataFrame

    @property
    def trained(self) -> bool:
        """Whether the arm is a model, not a control."""
        return ARMS[self.arm].kind == "trained"

    @property
    def background(self) -> list[int]:
        """Columns of the background's tissues; none where the phase has no background."""
        return [self.tissues.index(name) for name in self.metrics["background"]]


def read_result(path: Path, remedy: str, columns: list[str] | None = None) -> Any:
    """Read a JSON or CSV file (only some ``columns``, if given) that an earlier stage wrote."""
    if path.suffix == ".json":
        return read_json(path, remedy)
    try:
        return pd.read_csv(path, usecols=columns, dtype=_TYPES)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file", remedy) from None
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: the file is damaged ({error})", remedy) from None


def read_arm(folder: Path, arm: str) -> ArmResult:
    """Read the results of one arm from ``folder/<arm>``."""
    evaluation, log = folder / arm / "evaluation", folder / arm / "logs" / "training_log.csv"
    remedy = "evaluate the arm again: python -m methmix.evaluation"
    metrics = read_result(evaluation / "metrics.json", remedy)
    predictions = read_result(evaluation / "predictions.csv", remedy, _READ)
    tables = {name: read_result(evaluation / f"{name}.csv", remedy) for name in _TABLES}
    mixtures, tissues = (list(dict.fromkeys(predictions[name])) for name in ("mixture_id", "tissue"))
    n, n_tissues = len(mixtures), len(tissues)
    if len(predictions) != n * n_tissues:
        path = evaluation / "predictions.csv"
        raise InputError(f"{path}: {len(predictions)} rows, expected {n} x {n_tissues}", remedy)
    values = [predictions[name].to_numpy(dtype=float).reshape(n, n_tissues) for name in _VALUES]
    donors = predictions["donor"].fillna("").to_numpy(dtype=str).reshape(n, n_tissues)
    of_arm: dict[str, Any] = {"donors": donors, **tables, "log": pd.read_csv(log) if log.is_file() else pd.DataFrame()}
    return ArmResult(arm, metrics, mixtures, tissues, *values, **of_arm)


def read_arms(folder: Path, arms: list[str]) -> list[ArmResult]:
    """Read the results of several arms and check that they are of the same mixtures."""
    results = [read_arm(folder, arm) for arm in arms]
    first = results[0]
    for other in results[1:]:
        if other.tissues != first.tissues or not np.array_equal(other.true, first.true):
            different = f"{folder}: {first.arm} and {other.arm} were evaluated on different mixtures"
            raise InputError(different, "evaluate all arms again on one test file")
    return results


def serious(results: list[ArmResult]) -> list[ArmResult]:
    """Leave out the trivial controls, whose errors would only stretch the axes."""
    return [result for result in results if ARMS[result.arm].kind != "trivial"] or results
