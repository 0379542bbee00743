"""Predict with a model, batch by batch."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from methmix.models.informed import InformedSparseModel
from methmix.models.original import OriginalModel
from methmix.models.sparse import SparseModel

_BATCH = 256


@dataclass(frozen=True)
class Prediction:
    """Predictions for many mixtures.

    Parameters
    ----------
    proportions
        float64 [n_mixtures, n_tissues]; rows sum to 1.
    presence_probability
        float64 [n_mixtures, n_tissues], 0-1, or None for a method that has none.
    """

    proportions: npt.NDArray[np.float64]
    presence_probability: npt.NDArray[np.float64] | None


def predict(
    model: OriginalModel | SparseModel | InformedSparseModel,
    methylation: npt.NDArray[np.float32],
    depth: npt.NDArray[np.integer] | None = None,
) -> Prediction:
    """Predict the proportions of mixtures; the model is left in evaluation mode.

    Parameters
    ----------
    model
        A trained model, on any device.
    methylation
        Observed methylation, [n_mixtures, n_regions], NaN where missing.
    depth
        Reads, of the same shape; a model with the backbone ``reference`` needs them.
    """
    device = next(model.parameters()).device
    model.eval()
    proportions, probabilities = [], []
    with torch.inference_mode():
        for start in range(0, len(methylation), _BATCH):
            rows = slice(start, start + _BATCH)
            batch = torch.from_numpy(methylation[rows]).to(device)
            reads = torch.zeros_like(batch) if depth is None else torch.from_numpy(depth[rows].astype(np.float32))
            shares, probability = model.infer(batch, reads.to(device))
            proportions.append(shares.double().cpu().numpy())
            if probability is not None:
                probabilities.append(probability.double().cpu().numpy())
    joined = np.concatenate(proportions)
    # Single precision leaves the sums a little off 1.
    joined /= joined.sum(axis=1, keepdims=True)
    return Prediction(joined, np.concatenate(probabilities) if probabilities else None)
