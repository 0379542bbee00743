"""Single mixtures, worked through: what is in them and what each arm says."""

from typing import Any

import numpy as np

from methmix import metrics
from methmix.arms import names
from methmix.report.results import ArmResult

# How many a reader can choose from.
_NUMBER = 30


def mixtures(results: list[ArmResult]) -> list[dict[str, Any]]:
    """List single mixtures: true -> original -> sparse (-> the best control) for every tissue that matters."""
    arms = [r for r in results if r.arm in names("trained", "control", selected=True)]
    first = results[0]
    worked = []
    for row in range(min(_NUMBER, len(first.mixtures))):
        true = first.true[row]
        told = np.max([r.predicted[row] for r in arms], axis=0) if arms else true
        matters = [t for t in np.argsort(-true, kind="stable") if true[t] > 0 or told[t] >= metrics.PRESENT]
        worked.append(
            {
                "name": first.mixtures[row],
                "depth": f"{first.per_mixture['mean_depth'].iloc[row]:g}",
                "arms": [r.arm for r in arms],
                "tissues": [
                    {
                        "name": first.tissues[t],
                        "true": _percent(true[t]),
                        "cells": [
                            {
                                "text": _percent(r.predicted[row, t]),
                                "wrong": bool(true[t] == 0 and r.predicted[row, t] >= metrics.PRESENT),
                                "lost": bool(true[t] >= metrics.PRESENT > r.predicted[row, t]),
                            }
                            for r in arms
                        ],
                    }
                    for t in matters
                ],
            }
        )
    return worked


def _percent(value: float) -> str:
    return "0" if value == 0 else f"{100 * value:.1f} %"
