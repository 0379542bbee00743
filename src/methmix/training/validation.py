"""How good a model is on validation mixtures, after every epoch."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from methmix import metrics
from methmix.files import Mixtures
from methmix.models import Model, predict
from methmix.models.informed import InformedSparseModel
from methmix.rows import blocks

_BATCH = 256
_COVERAGE = 0.9
# Parts of a loss (`LossParts`) in the training log.
LOSSES = ("total_loss", "mse_loss", "presence_loss", "sparsity_loss", "interval_loss")


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


def calibrate_intervals(model: Model, mixtures: Mixtures) -> None:
    """Shift the ends of a model's intervals so that they hold 90 % of what is there in these mixtures.

    Conformalised quantile regression (Romano et al. 2019, NeurIPS). Nothing else of the model changes, and a model
    without intervals stays as it is; it is left in evaluation mode.
    """
    if not isinstance(model, InformedSparseModel):
        return
    device = next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        parts = [model.interval_misses(*(tensor.to(device) for tensor in batch)).cpu() for batch in _batches(mixtures)]
    misses = torch.cat(parts).sort().values
    rank = min(math.ceil(_COVERAGE * (len(misses) + 1)), len(misses))
    with torch.no_grad():
        model.interval_shift.fill_(misses[rank - 1].item())


def _batches(mixtures: Mixtures) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield methylation, depth and true proportions."""
    for rows in blocks(len(mixtures), _BATCH):
        arrays = (mixtures.methylation[rows], mixtures.depth[rows].astype(np.float32), mixtures.proportions[rows])
        yield torch.from_numpy(arrays[0]), torch.from_numpy(arrays[1]), torch.from_numpy(arrays[2])


def _losses(model: Model, mixtures: Mixtures) -> dict[str, float]:
    device = next(model.parameters()).device
    sums = np.zeros(len(LOSSES))
    model.eval()
    with torch.inference_mode():
        for batch in _batches(mixtures):
            methylation, depth, true = (tensor.to(device) for tensor in batch)
            parts = model.loss(methylation, true, depth)
            sums += len(true) * np.array([part.item() for part in parts])
    return {f"val/{name}": float(value) for name, value in zip(LOSSES, sums / len(mixtures), strict=True)}
