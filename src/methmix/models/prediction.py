"""Predict with a model, batch by batch."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from methmix.models.gate import open_gate, share_mass
from methmix.models.informed import InformedOriginalModel, InformedSparseModel
from methmix.models.registry import Model
from methmix.rows import Rows, blocks

Array = npt.NDArray[np.float64]

_BATCH = 256


@dataclass(frozen=True)
class Prediction:
    """Predictions for many mixtures: the fields of `Inference` as float64 arrays, n_mixtures rows each."""

    proportions: Array
    presence_probability: Array | None = None
    share_logits: Array | None = None
    low: Array | None = None
    high: Array | None = None
    error: Array | None = None
    limit: Array | None = None
    misfit: Array | None = None
    misfit_limit: Array | None = None
    rmse: Array | None = None

    def at_threshold(self, threshold: float) -> Array:
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


def predict(model: Model, methylation: Rows, depth: Rows | None = None) -> Prediction:
    """Predict the proportions of mixtures; the model is left in evaluation mode.

    Parameters
    ----------
    model
        A trained model, on any device.
    methylation
        Observed methylation, float32 [n_mixtures, n_regions], NaN where missing; read batch by batch.
    depth
        Reads, of the same shape, likewise; a model with the backbone ``reference`` needs them.

    Raises
    ------
    ValueError
        The model needs the depth.
    """
    if depth is None and isinstance(model, InformedOriginalModel | InformedSparseModel):
        raise ValueError("this model needs the depth: without it there are no reads")
    device = next(model.parameters()).device
    model.eval()
    parts = []
    with torch.inference_mode():
        for rows in blocks(len(methylation), _BATCH):
            batch = torch.from_numpy(methylation[rows]).to(device)
            reads = torch.zeros_like(batch) if depth is None else torch.from_numpy(depth[rows].astype(np.float32))
            parts.append(model.infer(batch, reads.to(device)))
    proportions, probability, logits, low, high, *others = (
        None if values[0] is None else torch.cat(values).double().cpu().numpy() for values in zip(*parts, strict=True)
    )
    assert proportions is not None  # for the type checker: no model is without
    # Single precision leaves the sums a little off 1, and the proportions a little outside of their intervals.
    proportions = proportions / proportions.sum(axis=1, keepdims=True)
    low = None if low is None else np.minimum(low, proportions)
    high = None if high is None else np.maximum(high, proportions)
    return Prediction(proportions, probability, logits, low, high, *others)
