"""What a model, or any other method, estimates of mixtures; and prediction batch by batch."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Generic

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from typing_extensions import TypeVar

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
    share_logits
        What `share_mass` divides the mass by, whatever the gate lets through.
    low, high
        Interval of each proportion (`methmix.models.intervals`); for a tissue that the gate keeps out, up to what it
        would at most have.
    error
        Standard error of each least-squares proportion, at most 1: depends on depth, composition and donors.
    limit
        Limit of detection: the proportion from which on a tissue is given mass in 95 % of such mixtures; inf: not
        known.
    misfit
        Weighted mean square of the residuals of the least squares, [n_mixtures]; 1 if all errors are as assumed.
    misfit_limit
        What 1 % of mixtures of that depth exceed that consist of the model's tissues alone, [n_mixtures]; inf: not
        known.
    rmse
        Root mean square difference between the methylation and what proportions and profiles make of it, [n_mixtures]:
        the CETYGO score (Vellame et al. 2023, Epigenetics 18:2137659). NaN without any value.
    """

    proportions: Values
    presence_probability: Values | None = None
    share_logits: Values | None = None
    low: Values | None = None
    high: Values | None = None
    error: Values | None = None
    limit: Values | None = None
    misfit: Values | None = None
    misfit_limit: Values | None = None
    rmse: Values | None = None

    def at_threshold(self: "Prediction[Array]", threshold: float) -> Array:
        """Give the proportions that another presence threshold would have given.

        Raises
        ------
        ValueError
            The model has no gate.
        """
        if self.presence_probability is None or self.share_logits is None:
            raise ValueError("this model has no gate")
        gate = open_gate(torch.logit(torch.from_numpy(self.presence_probability)), threshold)
        return share_mass(torch.from_numpy(self.share_logits), gate).numpy()


def predict(model: "Deconvolver", methylation: Rows, depth: Rows | None = None) -> Prediction:
    """Predict the proportions of mixtures; the model is left in evaluation mode.

    Parameters
    ----------
    model
        A trained model, on any device.
    methylation
        Observed methylation, float32 [n_mixtures, n_regions], NaN where missing; read batch by batch.
    depth
        Reads, of the same shape, likewise; a model with profiles needs them.

    Raises
    ------
    ValueError
        The model needs the depth.
    """
    if depth is None and model.needs_depth:
        raise ValueError("this model needs the depth: without it there are no reads")
    model.eval()
    with torch.inference_mode():
        tables = (methylation,) if depth is None else (methylation, depth)
        parts = [model.infer(*batch) for batch in batches(model, *tables)]
    return _consistent(Prediction(**{field.name: _joined(parts, field.name) for field in fields(Prediction)}))


def batches(model: "Deconvolver", *tables: Rows) -> Iterator[tuple[Tensor, ...]]:
    """Read tables of as many rows side by side, in batches, as float32 on the device of a model."""
    device = next(model.parameters()).device
    for rows in blocks(len(tables[0]), _BATCH):
        yield tuple(torch.from_numpy(np.asarray(table[rows], dtype=np.float32)).to(device) for table in tables)


def _joined(parts: list[Prediction[Tensor]], name: str) -> Any:
    """Join a field of the predictions of all batches; None where it is not estimated."""
    values = [getattr(part, name) for part in parts]
    return None if values[0] is None else torch.cat(values).double().cpu().numpy()


def _consistent(found: Prediction) -> Prediction:
    """Undo rounding: sums are a little off 1 in single precision, and proportions a little outside of intervals."""
    proportions = found.proportions / found.proportions.sum(axis=1, keepdims=True)
    low = None if found.low is None else np.minimum(found.low, proportions)
    high = None if found.high is None else np.maximum(found.high, proportions)
    return replace(found, proportions=proportions, low=low, high=high)
