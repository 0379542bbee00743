"""Single mixtures, worked through: what they consist of and what each arm estimates."""

from typing import Any

import numpy as np

from methmix.arms import names
from methmix.metrics import PRESENT
from methmix.report.arm_results import ArmResult

# How many a reader can choose from.
_NUMBER = 30


def worked_mixtures(results: list[ArmResult]) -> list[dict[str, Any]]:
    """List the first mixtures, with every tissue that is in them or that one of the selected arms calls."""
    arms = [result for result in results if result.arm in names("trained", "control", selected=True)]
    return [_mixture(results[0], arms, row) for row in range(min(_NUMBER, len(results[0].mixtures)))]


def _mixture(first: ArmResult, arms: list[ArmResult], row: int) -> dict[str, Any]:
    true = first.true[row]
    highest = np.max([true, *(result.predicted[row] for result in arms)], axis=0)
    order = [t for t in np.argsort(-true, kind="stable") if true[t] > 0 or highest[t] >= PRESENT]
    return {
        "name": first.mixtures[row],
        "depth": f"{first.per_mixture['mean_depth'].iloc[row]:g}",
        "arms": [result.arm for result in arms],
        "tissues": [
            {
                "name": first.tissues[t],
                "true": _short(true[t]),
                "cells": [_cell(true[t], result.predicted[row, t]) for result in arms],
            }
            for t in order
        ],
    }


def _cell(true: float, predicted: float) -> dict[str, Any]:
    wrong, lost = true == 0 and predicted >= PRESENT, true >= PRESENT > predicted
    return {"text": _short(predicted), "kind": "wrong" if wrong else "lost" if lost else ""}


def _short(value: float) -> str:
    return "0" if value == 0 else f"{100 * value:.1f} %"
