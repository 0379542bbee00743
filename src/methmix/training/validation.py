"""How good a model is on validation mixtures, after every epoch."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from sklearn.linear_model import QuantileRegressor
from torch import Tensor

from methmix import metrics
from methmix.files.mixtures import Mixtures
from methmix.models.informed import Checked, InformedSparseModel
from methmix.models.prediction import predict
from methmix.models.registry import Model
from methmix.rows import blocks
from methmix.scores import Scores

_BATCH = 256
_COVERAGE = 0.9
# Share of the mixtures of nothing but known tissues that fit.
_FITTING = 0.99
# Parts of a loss (`LossParts`) in the training log.
LOSSES = ("total_loss", "mse_loss", "presence_loss", "sparsity_loss", "interval_loss")

# Metrics in it.
_LOGGED = ("presence_accuracy", "mae", "predicted_tissues", "spurious_per_mixture")


def validate(model: Model, mixtures: Mixtures) -> dict[str, float]:
    """Compute the ``val/`` values of a row of the training log; the model is left in evaluation mode."""
    true = mixtures.proportions
    predicted = predict(model, mixtures.methylation, mixtures.depth).proportions
    scores = Scores(true, predicted)
    return {
        **_losses(model, mixtures),
        # As at inference; the loss, as in training, opens the gate for the tissues that are there.
        "val/mse_loss": float(np.square(predicted - true).mean()),
        **{f"val/{name}": scores.value(name) for name in _LOGGED},
    }


def calibrate(model: Model, mixtures: Mixtures) -> dict[str, float]:
    """Set what a model says beside its proportions by what these mixtures need; the proportions stay as they are.

    The ends of its intervals are shifted so that they hold 90 % of what is there (conformalised quantile regression,
    Romano et al. 2019, NeurIPS). The limit of detection becomes that number of standard errors from which on 95 % of
    the tissues that are there are given mass. Of the misfit, 1 % of the mixtures exceed a line in
    `noise_of_reads` (quantile regression, Koenker and Bassett 1978, Econometrica 46:33).

    Returns
    -------
    dict
        What the values rest on, as ``calibration/`` names; empty for a model that says nothing beside, which stays as
        it is. The model is left in evaluation mode.
    """
    if not isinstance(model, InformedSparseModel):
        return {}
    device = next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        parts = [model.against_truth(*(tensor.to(device) for tensor in batch)) for batch in _batches(mixtures)]
    checked = Checked(*(torch.cat(values).cpu() for values in zip(*parts, strict=True)))
    ratio, order = checked.ratio.double().sort()
    called = checked.called[order].double()
    misses = checked.misses.sort().values
    rank = min(math.ceil(_COVERAGE * (len(misses) + 1)), len(misses))
    line = QuantileRegressor(quantile=_FITTING, alpha=0).fit(checked.noise[:, None].double(), checked.misfit.double())
    with torch.no_grad():
        model.interval_shift.fill_(misses[rank - 1].item())
        model.detection_ratio.fill_(metrics.limit_of_detection(ratio.numpy(), called.numpy()))
        model.misfit_curve.copy_(torch.tensor([line.intercept_, line.coef_[0]]))
    return {
        "calibration/n_mixtures": len(checked.misfit),
        "calibration/n_there": len(called),
        "calibration/n_there_not_called": int((called == 0).sum()),
        "calibration/absent_called": float(checked.called_absent.double().mean()),
    }


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
