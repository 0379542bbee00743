"""What was called and estimated of known amounts: sensitivity at a stated specificity, bias, coverage, limit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from methmix import seeds
from methmix.evaluation.bootstrap import interval
from methmix.metrics import limit_of_detection
from methmix.models.prediction import Array
from methmix.normals.specificity import SPECIFICITIES, thresholds
from methmix.spikes.spike_methods import Answer

SPIKES = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
_N_BOOTSTRAP = 1000
Key = tuple[int, str, float]  # tissue, donor, amount


@dataclass(frozen=True)
class Asked:
    """Answers in one division of the controls.

    ``depth`` is the mean depth that all samples are thinned to, None as they are; ``recipients`` the names of the
    spiked controls; ``blank_scores`` of each method those of the panel's controls, [n_panel]; ``found`` what each
    method finds in the spiked controls; ``hardships`` what is measured under `methmix.spikes.hardships`.
    """

    repeat: int
    depth: float | None
    n_panel: int
    recipients: list[str]
    blank_scores: dict[str, Array]
    found: dict[Key, dict[str, Answer]]
    hardships: list[dict[str, Any]]

    def called(self, method: str, stated: int) -> dict[Key, Array]:
        """Say which spiked controls are called at a specificity, by its place; [n_spiked] each."""
        limit = thresholds(self.blank_scores[method][:, None])[stated, 0]
        return {key: (found[method].score > limit).astype(float) for key, found in self.found.items()}


def summary(asked: Sequence[Asked], tissues: list[str], seed: int) -> dict[str, Any]:
    """Summarise all divisions, as plain data for JSON: as deep as the controls are, and thinned (``thinned``)."""
    own, thin = ([division for division in asked if (division.depth is None) == as_is] for as_is in (True, False))
    sizes = [name for name in own[0].blank_scores if name not in thin[0].blank_scores]
    small = {name.rsplit("_", 1)[1]: _of_method(own, name, seed) for name in sizes}
    whole = _of_methods(own, seed)
    return {
        "spikes": list(SPIKES),
        "methods": whole,
        "thinned": {"depth": thin[0].depth, "methods": _of_methods(thin, seed)},
        "by_tissue": {name: _of_methods(own, seed, place) for place, name in enumerate(tissues)},
        "by_panel_size": small,
        "n_panel": own[0].n_panel,
        "n_spiked": len(own[0].recipients),
        "n_divisions": len(own),
        "n_controls": own[0].n_panel + len(own[0].recipients),
    }


def spikes_table(asked: Iterable[Asked], tissues: list[str]) -> pd.DataFrame:
    """Tabulate the answers, one row per division, depth, method, tissue, donor, amount and spiked control."""
    parts = []
    for division in asked:
        for method in division.blank_scores:
            called = [division.called(method, place) for place in range(len(SPECIFICITIES))]
            for key, found in division.found.items():
                tissue, donor, amount = key
                own, columns = found[method], {}
                if own.low is not None and own.high is not None:
                    columns = {"interval_low": own.low[:, tissue], "interval_high": own.high[:, tissue]}
                flags = {f"called_{100 * s:.0f}": of[key] for s, of in zip(SPECIFICITIES, called, strict=True)}
                head = {"repeat": division.repeat, "depth": division.depth, "method": method, "tissue": tissues[tissue]}
                parts.append(pd.DataFrame({
                    **head, "donor": donor, "amount": amount, "control": division.recipients, "score": own.score,
                    "estimate": own.amounts[:, tissue], "sum": own.amounts.sum(axis=1), **columns, **flags,
                }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _of_methods(asked: Sequence[Asked], seed: int, tissue: int | None = None) -> dict[str, dict[str, Any]]:
    names = [name for name in asked[0].blank_scores if name.rsplit("_", 1)[-1].isdigit() is False]
    return {name: _of_method(asked, name, seed, tissue) for name in names}


def _of_method(asked: Sequence[Asked], method: str, seed: int, tissue: int | None = None) -> dict[str, Any]:
    """Average over divisions, tissues and their donors; intervals are a bootstrap over the controls."""
    recipients = sorted({name for division in asked for name in division.recipients})
    place = {name: row for row, name in enumerate(recipients)}
    record: dict[str, Any] = {}
    for row, stated in enumerate(SPECIFICITIES):
        of_controls = np.zeros((len(SPIKES), 2, len(recipients)))
        for division in asked:
            rows = [place[name] for name in division.recipients]
            for (own, _, amount), called in division.called(method, row).items():
                if tissue in (None, own):
                    of_controls[SPIKES.index(amount)][:, rows] += np.stack([called, np.ones_like(called)])
        label = f"called_{100 * stated:.0f}"
        rate, drawn = _rate(of_controls, seed)
        record |= {label: rate.tolist(), f"{label}_ci95": [interval(values) for values in drawn.T]}
        limit = limit_of_detection(np.array(SPIKES[1:]), rate[1:])
        record[f"limit_{100 * stated:.0f}"] = limit if np.isfinite(limit) else None
    return record | _estimates(asked, method, tissue)


def _rate(of_controls: Array, seed: int) -> tuple[Array, Array]:
    """Compute the part called at each spike, [n_spikes], and its bootstrap replicates, [n_replicates, n_spikes].

    ``of_controls`` are the numbers called and asked, [n_spikes, 2, n_controls].
    """
    n = of_controls.shape[2]
    rng = seeds.generator(seed, "spikes", "bootstrap")
    times = rng.multinomial(n, np.full(n, 1 / n), size=_N_BOOTSTRAP)
    called, number = (times @ of_controls[:, part].T for part in (0, 1))
    drawn = np.divide(called, number, out=np.full(called.shape, np.nan), where=number > 0)
    rate: Array = of_controls[:, 0].sum(axis=1) / of_controls[:, 1].sum(axis=1)
    return rate, drawn


def _estimates(asked: Sequence[Asked], method: str, tissue: int | None) -> dict[str, Any]:
    """Average estimates, coverage, and what absent tissues are given, at each spike."""
    rows: dict[str, list[float | None]] = {"mean_estimate": [], "mean_sum": [], "absent_each": [], "coverage_90": []}
    for amount in SPIKES:
        chosen = [
            (own, found[method])
            for division in asked
            for (own, _, spike), found in division.found.items()
            if spike == amount and tissue in (None, own)
        ]
        rows["mean_estimate"].append(float(np.mean([found.amounts[:, own].mean() for own, found in chosen])))
        rows["mean_sum"].append(float(np.mean([found.amounts.sum(axis=1).mean() for _, found in chosen])))
        absent = [np.delete(found.amounts, own, axis=1) if amount else found.amounts for own, found in chosen]
        rows["absent_each"].append(float(np.mean([values.mean() for values in absent])))
        covered = [
            float(np.mean((found.low[:, own] <= amount) & (amount <= found.high[:, own])))
            for own, found in chosen
            if found.low is not None and found.high is not None
        ]
        rows["coverage_90"].append(float(np.mean(covered)) if covered else None)
    return dict(rows)
