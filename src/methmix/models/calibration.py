"""Calibration on validation mixtures of what a model estimates beside its proportions, which stay as they are."""

import torch
from sklearn.linear_model import QuantileRegressor
from torch import Tensor

from methmix import metrics
from methmix.models.deconvolver import Deconvolver, noise_of_reads
from methmix.models.heads import TwoStageHead
from methmix.models.prediction import batches
from methmix.rows import Rows

# Fraction of the mixtures of known tissues alone whose misfit is within its limit.
_FITTING = 0.99


def calibrate(model: Deconvolver, methylation: Rows, depth: Rows, true: Rows) -> dict[str, float]:
    """Set intervals, limit of detection and limit of the misfit to what these mixtures need.

    The intervals are shifted to their level. The limit of detection becomes that number of standard errors from which
    on `metrics.SENSITIVITY` of the present tissues are given mass. The limit of the misfit becomes a line in
    `noise_of_reads` that 1 % of the mixtures exceed (quantile regression, Koenker and Bassett 1978, Econometrica
    46:33).

    Returns
    -------
    dict
        What the values rest on, as ``calibration/`` names; empty for a model without them, which stays as it is.
    """
    if model.limits is None or model.head.intervals is None:
        return {}
    model.eval()
    with torch.inference_mode():
        parts = [_check(model, *batch) for batch in batches(model, methylation, depth, true)]
    misses, ratio, called, called_absent, noise, misfit = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
    ratio, order = ratio.double().sort()
    called = called[order].double()
    line = QuantileRegressor(quantile=_FITTING, alpha=0).fit(noise[:, None].double(), misfit.double())
    with torch.no_grad():
        model.head.intervals.conform(misses)
        model.limits.detection_ratio.fill_(metrics.limit_of_detection(ratio.numpy(), called.numpy()))
        model.limits.misfit_curve.copy_(torch.tensor([line.intercept_, line.coef_[0]]))
    return {
        "calibration/n_mixtures": len(misfit),
        "calibration/n_there": len(called),
        "calibration/n_there_not_called": int((called == 0).sum()),
        "calibration/absent_called": float(called_absent.double().mean()),
    }


def _check(model: Deconvolver, methylation: Tensor, depth: Tensor, true: Tensor) -> tuple[Tensor, ...]:
    """Compare predictions of a batch with the truth.

    Of each present tissue: by how many standard errors it misses its uncalibrated interval, the ratio of its proportion
    to the standard error, and whether it is called (given mass); the last also of the absent ones. Of each mixture: the
    noise of its reads, and its misfit.
    """
    features, head, present = model(methylation, depth), model.head, true > 0
    # For the type checker: only such a model has intervals.
    assert isinstance(head, TwoStageHead) and head.intervals is not None
    stages = head(features)
    place = head.place(features, stages)
    misses, ratio = head.intervals.misses(place, true)[present], (true / place.error)[present]
    return misses, ratio, stages.gate[present], stages.gate[~present], noise_of_reads(depth), features.misfit
