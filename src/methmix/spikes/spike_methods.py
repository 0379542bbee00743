"""What each method says of samples with a known amount of a tissue: a score to call by, amounts, and intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from methmix.arms import MAIN, names
from methmix.evaluation.controls import CONTROLS, Context
from methmix.files.mixtures import Mixtures
from methmix.models.deconvolver import Deconvolver
from methmix.models.prediction import Array, predict
from methmix.normals.panel import Controls, Panel
from methmix.prediction.against_normals import beside_panel

WITH_PANEL = f"{MAIN}_normals"
# Classical methods that a laboratory would use.
CLASSICAL = tuple(names("control", spiked=True))


@dataclass(frozen=True)
class Answer:
    """What a method finds in samples, over the tissues of interest.

    ``score`` [n], of all tissues together, by which a sample is called; ``amounts`` [n, n_tissues]; ``low`` and
    ``high``, [n, n_tissues], their intervals, ``limit`` their limits of detection (NaN: not known) and ``odd``, [n],
    whether a sample fits the controls poorly; None where a method has none.
    """

    score: Array
    amounts: Array
    low: Array | None = None
    high: Array | None = None
    limit: Array | None = None
    odd: npt.NDArray[np.bool_] | None = None


Method = Callable[[Controls], Answer]


def methods_without_panel(model: Deconvolver, context: Context, columns: Sequence[int]) -> dict[str, Method]:
    """Give the methods that know nothing of the controls; these call by the sum of the tissues of interest."""
    found: dict[str, Method] = {MAIN: partial(_by_model, model, list(columns))}
    return found | {name: partial(_by_control, name, context, list(columns)) for name in CLASSICAL}


def with_panel(panel: Panel, model: Deconvolver, samples: Controls) -> Answer:
    """Predict samples beside a panel; the score is that of all tissues together."""
    methylation, depth = samples.values()
    prediction, above = beside_panel(panel, model, predict(model, methylation, depth), methylation, depth)
    of_tissues = (prediction.proportions, prediction.low, prediction.high, prediction.limit)
    amounts, low, high, limit = (None if values is None else values[:, panel.columns] for values in of_tissues)
    assert amounts is not None and prediction.misfit is not None  # for the type checker
    score = np.array([own.total_score for own in above])
    return Answer(score, amounts, low, high, limit, prediction.misfit > panel.misfit_limit)


def crossfitted(panel: Panel) -> Answer:
    """Give what a panel finds in its own controls, each compared with the others."""
    return Answer(panel.crossfitted.total_score.numpy(), panel.crossfitted.amounts.numpy())


def _by_model(model: Deconvolver, columns: list[int], samples: Controls) -> Answer:
    found = predict(model, *samples.values())
    of_tissues = (found.low, found.high, found.limit)
    low, high, limit = (None if values is None else values[:, columns] for values in of_tissues)
    amounts = found.proportions[:, columns]
    return Answer(amounts.sum(axis=1), amounts, low, high, limit)


def _by_control(name: str, context: Context, columns: list[int], samples: Controls) -> Answer:
    methylation, depth = samples.values()
    unknown = np.zeros((len(depth), len(context.reference.tissue_names)), dtype=np.float32)
    mixtures = Mixtures(methylation, depth, unknown, unknown, [], context.reference.tissue_names, {})
    with torch.inference_mode():
        amounts = CONTROLS[name](context, mixtures).proportions[:, columns]
    return Answer(amounts.sum(axis=1), amounts)
