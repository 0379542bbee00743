"""Spiked controls that lack what a real sample may lack: regions, or the batch that the panel of normals is of."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import expit, logit

from methmix import seeds
from methmix.models.prediction import Array
from methmix.normals.panel import Controls
from methmix.normals.specificity import thresholds
from methmix.spikes.spike_methods import Answer

# Spiked amounts that are looked at.
AMOUNTS = (0.0, 0.1)
# Standard deviation over regions, on the logit scale, by which a batch is shifted, and its mean.
_SHIFT = (0.3, 0.1)

Change = Callable[[Controls, np.random.Generator], Controls]


def _masked(part: float) -> Change:
    """Keep so many of the regions of each sample."""

    def change(samples: Controls, rng: np.random.Generator) -> Controls:
        kept = rng.random(samples.depth.shape) < part
        return Controls(samples.names, samples.methylated * kept, samples.depth * kept)

    return change


def _captured(part: float) -> Change:
    """Keep the same regions of all samples, as a capture panel does."""

    def change(samples: Controls, _: np.random.Generator) -> Controls:
        # A panel has its regions whichever tissue is spiked.
        kept = seeds.generator(0, "hardships", "captured").random(samples.depth.shape[1]) < part
        return Controls(samples.names, samples.methylated * kept, samples.depth * kept)

    return change


def _other_batch(samples: Controls, rng: np.random.Generator) -> Controls:
    """Shift each region of all samples alike on the logit scale, and draw the reads anew."""
    spread, mean = _SHIFT
    shift = mean + spread * rng.standard_normal(samples.depth.shape[1])
    methylation = expit(logit((samples.methylated + 0.5) / (samples.depth + 1)) + shift)
    return Controls(samples.names, rng.binomial(samples.depth, methylation), samples.depth)


HARDSHIPS: dict[str, Change] = {
    "as they are": lambda samples, _: samples,
    "half of the regions": _masked(0.5),
    "a tenth of the regions": _masked(0.1),
    "a capture panel of a quarter": _captured(0.25),
    "another batch": _other_batch,
}


def hardship(found: Answer, tissue: int, amount: float, blank_scores: Array) -> dict[str, float | None]:
    """Measure the answers of a method: what is called, what absent tissues are given, and how sure it is of it."""
    absent = np.delete(found.amounts, tissue, axis=1) if amount else found.amounts
    values: dict[str, float | None] = {
        "called_95": float((found.score > thresholds(blank_scores[:, None])[0, 0]).mean()),
        "estimate": float(found.amounts[:, tissue].mean()),
        "absent_each": float(absent.mean()),
    }
    if found.low is not None and found.high is not None:
        covered = (found.low[:, tissue] <= amount) & (amount <= found.high[:, tissue])
        values |= {"coverage_90": float(covered.mean()), "width": float((found.high - found.low).mean())}
    if found.limit is not None:
        # A limit that is not known is above any that is.
        limit = float(np.median(np.where(np.isfinite(found.limit[:, tissue]), found.limit[:, tissue], np.inf)))
        values["limit"] = limit if np.isfinite(limit) else None
    if found.odd is not None:
        values["odd"] = float(found.odd.mean())
    return values


def averaged(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Average over divisions and tissues, one row per hardship, method and amount; None where one is not known."""
    cells: dict[tuple[str, str, float], list[dict[str, Any]]] = {}
    for row in rows:
        cells.setdefault((row["hardship"], row["method"], row["amount"]), []).append(row["values"])
    averages = []
    for (name, method, amount), own in cells.items():
        means = {
            key: None if any(values[key] is None for values in own) else float(np.mean([v[key] for v in own]))
            for key in own[0]
        }
        averages.append({"hardship": name, "method": method, "amount": amount, **means})
    return averages
