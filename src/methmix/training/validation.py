"""How good a model is on validation mixtures, after every epoch."""

import numpy as np
import torch

from methmix import metrics
from methmix.files import Mixtures
from methmix.models import Model, predict

_BATCH = 256
_LOSSES = ("total_loss", "mse_loss", "presence_loss", "sparsity_loss")


def validate(model: Model, mixtures: Mixtures) -> dict[str, float]:
    """Compute the ``val/`` values of a row of the training log; the model is left in evaluation mode."""
    true = mixtures.proportions
    predicted = predict(model, mixtures.methylation, mixtures.depth).proportions
    return {
        **_losses(model, mixtures),
        # As at inference; the loss, as in training, opens the gate for the tissues that are there.
        "val/mse_loss": float(np.square(predicted - true).mean()),
        "val/presence_accuracy": metrics.presence_accuracy(true, predicted),
        "val/mae": metrics.mae(true, predicted),
        "val/predicted_tissues": metrics.predicted_tissues(predicted),
        "val/spurious_per_mixture": metrics.spurious_per_mixture(true, predicted),
    }


def _losses(model: Model, mixtures: Mixtures) -> dict[str, float]:
    device = next(model.parameters()).device
    sums = np.zeros(len(_LOSSES))
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(mixtures), _BATCH):
            rows = slice(start, start + _BATCH)
            methylation = torch.from_numpy(mixtures.methylation[rows]).to(device)
            true = torch.from_numpy(mixtures.proportions[rows]).to(device)
            depth = torch.from_numpy(mixtures.depth[rows].astype(np.float32)).to(device)
            parts = model.loss(methylation, true, depth)
            sums += len(true) * np.array([part.item() for part in parts])
    return {f"val/{name}": float(value) for name, value in zip(_LOSSES, sums / len(mixtures), strict=True)}
