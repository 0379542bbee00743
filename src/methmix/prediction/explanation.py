"""Why a sample has the tissues it has: the regions that drive each call, and those that the reference does not explain.

The estimate of the least squares, from which the model starts, is a sum over regions (`methmix.contributions`). A call
that is gone when its strongest regions are left out rests on few of them, and one that the least squares have none of
on no region: an artefact, a variant of this one person or a difference between laboratories would explain it as well.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor

from methmix import cli
from methmix.contributions import Contributions, Decomposition
from methmix.formats.store import CountsStore
from methmix.models.deconvolver import Deconvolver
from methmix.models.prediction import Prediction, batches
from methmix.normals.panel_contributions import ExcessDecomposition
from methmix.prediction.sample_results import Cohort
from methmix.rows import blocks

# Most samples that are explained if that is not asked for.
MOST_SAMPLES = 50
N_SHOWN = 10
# Tissues that are explained where no background is named.
_LEADING = 4
# Proportion of the regions that a tissue is recognised by (`_n_regions`) that is left out.
STRONGEST = 0.05
_FALLS_TO = 0.5
FAR = 3.0
_EDGES = np.linspace(-6, 6, 25)
_MOST_BINS = 150
_BLOCK = 32

Values = npt.NDArray[Any]
Predict = Callable[[Values, Values], Prediction]


class _Call(NamedTuple):
    """One tissue of one sample; ``left_out`` are its strongest regions."""

    row: int
    tissue: int
    parts: Contributions
    left_out: npt.NDArray[np.intp]


def explain(
    cohort: Cohort,
    counts: CountsStore,
    model: Deconvolver,
    predict: Predict,
    regions: Sequence[str],
) -> None:
    """Explain the samples with estimates; a model without least squares gets a note instead.

    ``counts`` has the methylation and depth of the samples of ``cohort``, in their order, ``regions`` their names.
    Calls are the tissues with a proportion that are not background; if none is named, the leading ones.
    """
    parts = blocks(len(cohort.results), _BLOCK)
    for rows in cli.progress(parts, "explanations, blocks of samples", len(parts)):
        methylation, depth = (np.array(values) for values in counts.read(rows))
        [tensors] = batches(model, methylation, depth)
        taken_apart = _taken_apart(cohort, model, *tensors)
        if taken_apart is None:
            cohort.notes.append("which regions drive a call is not known: this model has no least squares")
            return
        residuals, modelled = taken_apart.residuals()
        found: list[_Call] = []
        for row, result in enumerate(cohort.results[rows]):
            # A panel keeps no single control, so that what drives a call in one cannot be seen without it.
            of_panel = result.above_normals is not None and result.above_normals.crossfitted
            if result.prediction is not None and not of_panel:
                calls = _calls(result.prediction.proportions, cohort.tissues, cohort.background)
                found += [_call(row, tissue, taken_apart.of(row, tissue), depth[row]) for tissue in calls]
        without = _without(found, methylation, depth, predict)
        for row, result in enumerate(cohort.results[rows]):
            if result.prediction is None:
                continue
            observed = _Observed(regions, methylation[row], depth[row])
            own = [(call, other) for call, other in zip(found, without, strict=True) if call.row == row]
            explanation = {
                "calls": [_of_call(cohort, result.prediction, call, other, observed) for call, other in own],
                "residuals": _of_residuals(residuals[row], modelled[row], observed),
            }
            cohort.results[rows.start + row] = replace(result, explanation=explanation)


def _taken_apart(
    cohort: Cohort, model: Deconvolver, methylation: Tensor, depth: Tensor
) -> Decomposition | ExcessDecomposition | None:
    """Take apart what calls rest on: the least squares of the model, or what exceeds the panel of normals."""
    if cohort.panel is None or model.profiles is None:
        return model.decomposition(methylation, depth)
    columns, background = cohort.panel.columns, cohort.panel.background.to(depth.device)
    return ExcessDecomposition(background, model.profiles.mean[columns], columns, methylation, depth)


class _Observed(NamedTuple):
    """What was observed in each region, [n_regions] each."""

    regions: Sequence[str]
    methylation: Values
    depth: Values

    def at(self, region: int) -> dict[str, Any]:
        values = {"observed": _rounded(self.methylation[region]), "depth": float(self.depth[region])}
        return {"region": self.regions[region], **values}


def _calls(proportions: Values, tissues: Sequence[str], background: Sequence[str]) -> list[int]:
    order = [int(t) for t in np.argsort(-proportions, kind="stable") if proportions[t] > 0]
    return [t for t in order if tissues[t] not in background] if background else order[:_LEADING]


def _call(row: int, tissue: int, parts: Contributions, depth: Values) -> _Call:
    """Choose the strongest regions of a call: 5 % of those that the tissue is recognised by, and at least one."""
    number = max(1, round(STRONGEST * _n_regions(parts)))
    order = np.argsort(-np.where(depth > 0, parts.regions, -np.inf), kind="stable")
    return _Call(row, tissue, parts, order[:number])


def _n_regions(parts: Contributions) -> float:
    """Compute by how many regions a tissue is recognised, in effect: so many of equal information (inverse Simpson)."""
    return float(1 / max(np.square(parts.information).sum(), 1e-12))


def _without(
    calls: Sequence[_Call], methylation: Values, depth: Values, predict: Predict
) -> list[tuple[float, float | None]]:
    """Predict each call without its strongest regions: its proportion and presence probability."""
    if not calls:
        return []
    rows = [call.row for call in calls]
    methylation, depth = methylation[rows], depth[rows]
    for number, call in enumerate(calls):
        methylation[number, call.left_out], depth[number, call.left_out] = np.nan, 0
    found = predict(methylation, depth)
    presence = found.presence_probability
    return [
        (float(found.proportions[n, call.tissue]), None if presence is None else float(presence[n, call.tissue]))
        for n, call in enumerate(calls)
    ]


def _of_call(
    cohort: Cohort, known: Prediction, call: _Call, without: tuple[float, float | None], observed: _Observed
) -> dict[str, Any]:
    parts, proportion = call.parts, float(known.proportions[call.tissue])
    largest = [int(r) for r in np.argsort(-parts.regions, kind="stable")[:N_SHOWN] if parts.regions[r] > 0]
    few = parts.estimate <= 0 or without[0] < _FALLS_TO * proportion
    threshold = cohort.presence_threshold
    if threshold is not None and known.presence_probability is not None and without[1] is not None:
        few |= without[1] < threshold <= known.presence_probability[call.tissue]
    return {
        "tissue": cohort.tissues[call.tissue],
        "proportion": proportion,
        "by_least_squares": parts.estimate,
        "n_regions": round(_n_regions(parts), 1),
        "n_left_out": len(call.left_out),
        "without_strongest": {"proportion": without[0], "presence_probability": without[1]},
        "rests_on_few_regions": bool(few),
        "regions": [
            {
                **observed.at(region),
                "expected_without": _rounded(parts.without[region]),
                "expected_with": _rounded(parts.with_tissue[region]),
                "contribution": _rounded(parts.regions[region]),
            }
            for region in largest
        ],
    }


def _of_residuals(residuals: Values, modelled: Values, observed: _Observed) -> dict[str, Any]:
    """Summarise the standardised residuals of a sample: how many, how far, in which regions."""
    known = np.nonzero(np.isfinite(residuals))[0]
    values = residuals[known]
    worst = known[np.argsort(-np.abs(values), kind="stable")[:N_SHOWN]]
    bins = np.array_split(values, min(_MOST_BINS, len(values)))
    return {
        "n": len(known),
        "n_far": int((np.abs(values) > FAR).sum()),
        "worst": [
            {**observed.at(r), "expected": _rounded(modelled[r]), "residual": _rounded(residuals[r])}
            for r in worst.tolist()
        ],
        "edges": _EDGES.tolist(),
        "histogram": np.histogram(values.clip(_EDGES[0], _EDGES[-1]), _EDGES)[0].tolist(),
        "in_order": [[_rounded(part.min()), _rounded(part.max())] for part in bins],
    }


def _rounded(value: Any) -> float:
    """Round to the precision that single regions support."""
    return round(float(value), 5)
