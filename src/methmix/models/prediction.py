"""What a model, or any other method, estimates of mixtures; and prediction batch by batch."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Generic

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from typing_extensions import TypeVar

from methmix import cli
from methmix.devices import sent
from methmix.models.gate import open_gate, share_mass
from methmix.rows import Rows, blocks

if TYPE_CHECKING:
    from methmix.models.deconvolver import Deconvolver

Array = npt.NDArray[np.float64]
# Tensors of a batch, or float64 arrays.
Values = TypeVar("Values", default=Array)

_BATCH = 256


@dataclass(frozen=True)
class Prediction(Generic[Values]):
    """Estimates for mixtures, [n_mixtures, n_tissues] if not said otherwise; None for what is not estimated.

    Parameters
    ----------
    proportions
        Rows sum to 1.
    presence_probability
        Probability that the tissue is present, 0-1.
    proportion_logits
        What `share_mass` divides the mass by, whatever the gate admits.
    low, high
        Interval of each proportion (`methmix.models.intervals`); for a tissue that is gated out, up to what it would at
        most have.
    error
        Standard error of each least-squares proportion, at most 1: depends on depth, composition and donors.
    limit
        Limit of detection: the proportion from which on a tissue is called in 95 % of mixtures of other donors at that
        depth, in such a background; inf: unknown.
    misfit
        Weighted mean square of the residuals of the least squares, [n_mixtures]; 1 if all errors are as assumed.
    misfit_limit
        What 1 % of mixtures of the model's tissues at that depth exceed, [n_mixtures]; inf: unknown.
    effect
        Misfit relative to the median of mixtures of the model's tissues at that depth, [n_mixtures].
    rmse
        Root mean square difference between observed and modelled methylation, [n_mixtures]: the CETYGO score (Vellame
        et al. 2023, Epigenetics 18:2137659). NaN without any value.
    """

    proportions: Values
    presence_probability: Values | None = None
    proportion_logits: Values | None = None
    low: Values | None = None
    high: Values | None = None
    error: Values | None = None
    limit: Values | None = None
    misfit: Values | None = None
    misfit_limit: Values | None = None
    effect: Values | None = None
    rmse: Values | None = None

    def at_threshold(self: "Prediction[Array]", threshold: float) -> Array:
        """Compute the proportions at another presence threshold; ValueError if the model has no gate."""
        if self.presence_probability is None or self.proportion_logits is None:
            raise ValueError("this model has no gate")
        gate = open_gate(torch.logit(torch.from_numpy(self.presence_probability)), threshold)
        return share_mass(torch.from_numpy(self.proportion_logits), gate).numpy()


def predict(model: "Deconvolver", methylation: Rows, depth: Rows | None = None) -> Prediction:
    """Predict mixtures, [n_mixtures, n_regions], NaN and 0 where missing; the model is left in evaluation mode.

    ValueError if a model that needs the depth is given none.
    """
    if depth is None and model.needs_depth:
        raise ValueError("this model needs the depth: without it there are no reads")
    tables = (methylation,) if depth is None else (methylation, depth)
    n_batches = len(blocks(len(methylation), _BATCH))
    return _predicted(model, cli.progress(batches(model, *tables), "prediction, batches of mixtures", n_batches))


def predict_tensors(model: "Deconvolver", methylation: Tensor, depth: Tensor) -> Prediction:
    """Predict mixtures that are on the device of the model; else as `predict`."""
    return _predicted(model, ((methylation[rows], depth[rows]) for rows in blocks(len(depth), _BATCH)))


def _predicted(model: "Deconvolver", observed: Iterable[tuple[Tensor, ...]]) -> Prediction:
    model.eval()
    with torch.inference_mode():
        parts = [model.infer(*batch) for batch in observed]
    found = Prediction(**{field.name: _joined(parts, field.name) for field in fields(Prediction)})
    # In single precision, proportions are a little outside of intervals.
    proportions = normalised(found.proportions)
    low = None if found.low is None else np.minimum(found.low, proportions)
    high = None if found.high is None else np.maximum(found.high, proportions)
    return replace(found, proportions=proportions, low=low, high=high)


def normalised(proportions: Array) -> Array:
    """Divide each row by its sum, which in single precision is a little off 1."""
    divided: Array = proportions / proportions.sum(axis=1, keepdims=True)
    return divided


def batches(model: "Deconvolver", *tables: Rows) -> Iterator[tuple[Tensor, ...]]:
    """Read tables of as many rows side by side, in batches, as float32 on the device of a model."""
    device = next(model.parameters()).device
    for rows in blocks(len(tables[0]), _BATCH):
        yield tuple(sent(np.asarray(table[rows], dtype=np.float32), device) for table in tables)


def _joined(parts: list[Prediction[Tensor]], name: str) -> Any:
    values = [getattr(part, name) for part in parts]
    return None if values[0] is None else torch.cat(values).double().cpu().numpy()
