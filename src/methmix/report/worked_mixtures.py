"""Worked mixtures: the composition of single mixtures and what each arm estimates."""

from typing import Any

import numpy as np

from methmix import metrics
from methmix.arms import names
from methmix.report.arm_results import ArmResult

# Mixtures that a reader can choose from.
_NUMBER = 30


def worked_mixtures(results: list[ArmResult]) -> list[dict[str, Any]]:
    """List the first mixtures, each with the tissues that it contains or that one of the selected arms calls."""
    arms = [result for result in results if result.arm in names("trained", "control", selected=True)]
    return [_mixture(results[0], arms, row) for row in range(min(_NUMBER, len(results[0].mixtures)))]


def _mixture(first: ArmResult, arms: list[ArmResult], row: int) -> dict[str, Any]:
    true, predicted = first.true[row], [result.predicted[row] for result in arms]
    shown = np.any([true > 0, *map(metrics.called, predicted)], axis=0)
    return {
        "name": first.mixtures[row],
        "depth": f"{first.per_mixture['mean_depth'].iloc[row]:g}",
        "arms": [result.arm for result in arms],
        "tissues": [
            {"name": first.tissues[t], "true": _short(true[t]), "cells": [_cell(true[t], p[t]) for p in predicted]}
            for t in np.argsort(-true, kind="stable")
            if shown[t]
        ],
    }


def _cell(true: float, predicted: float) -> dict[str, str]:
    kind = "wrong" if metrics.spurious(true, predicted) else "lost" if metrics.missed(true, predicted) else ""
    return {"text": _short(predicted), "kind": kind}


def _short(value: float) -> str:
    return "0" if value == 0 else f"{100 * value:.1f} %"
