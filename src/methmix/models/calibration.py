"""Calibration of what a model states beside its proportions.

It rests on mixtures of donors that the model has never seen: drawn around the profiles as in training, at all depths,
of few tissues or many, with a background or without, each mixture with donors of its own. Profiles are wrong in ways
that drawn donors do not show, so mixtures of the donors that were left out, those of validation, can make what is
stated less certain, but never more. Where they are of donors that have not trained, the last layer is first fitted to
them too (`methmix.models.refit`): they then show a little less than further donors would.
"""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression, QuantileRegressor
from torch import Tensor

from methmix import metrics
from methmix.models.backbone import Features
from methmix.models.deconvolver import Deconvolver, circumstances, conditions, with_background
from methmix.models.gate import share_mass
from methmix.models.heads import TwoStageHead
from methmix.models.intervals import STRATA, strata
from methmix.models.reference_backbone import TissueReadout
from methmix.models.refit import refit
from methmix.tissue_profiles import Profiles

# Fraction of the mixtures of known tissues alone whose misfit is within its limit.
_FITTING = 0.99
# A tissue with less is hardly ever called, and one with more always: neither shows where the limit is.
_AROUND_THE_LIMIT = (0.0005, 0.5)
# Part of the regions from which on a mixture is taken for wholly observed.
_WHOLE = 0.9
# By how much more noise than in calibration the limit of the misfit is still known.
_BEYOND = 1.05
# Fewest entries that a limit rests on, and what a limit is raised by: donors of samples are not quite as drawn ones,
# and a tissue's profile may be less like its donors than those of most are. Of five draws of donors, 1.1 left one in
# which 89 % instead of 95 % of the tissues were called at their limit.
_FEWEST, _MARGIN = 200, 1.3


class Known(NamedTuple):
    """Mixtures with their true proportions, as of a batch of training; ``profiles`` are without their donors."""

    methylation: Tensor
    depth: Tensor
    true: Tensor
    profiles: Profiles | None


class _Seen(NamedTuple):
    """What a model sees of a batch of mixtures, [batch] each; true proportions, [batch, n_tissues]."""

    true: Tensor
    features: Features
    stratum: Tensor
    background: Tensor
    circumstances: Tensor
    conditions: Tensor
    whole: Tensor


class _Entries(NamedTuple):
    """What a model says of entries, [n] each, ``circumstances`` [n, n_circumstances]; and of mixtures."""

    true: Tensor
    lower: Tensor
    upper: Tensor
    called: Tensor
    predicted: Tensor
    stratum: Tensor
    background: Tensor
    circumstances: Tensor
    conditions: Tensor
    misfit: Tensor
    whole: Tensor


def calibrate(
    model: Deconvolver,
    drawn: Iterable[Known],
    left_out: Iterable[Known] = (),
    real: bool = True,
    n_independent: int = 0,
) -> dict[str, float]:
    """Set presence, its prior, intervals, limits of detection and the limit of the misfit by ``drawn`` mixtures.

    ``left_out`` are mixtures of donors of validation (of training, where a tissue has none of its own). They can only
    widen intervals and raise limits of detection, and that of the misfit if they are ``real``: simulated donors fit as
    the drawn ones do. If they are of ``n_independent`` donors of which none has trained, the stages are fitted anew to
    both kinds of mixtures; if that is 0 they remain as they were learnt, since they could become too certain.

    Returns
    -------
    dict
        What the values rest on, as ``calibration/`` names; empty for a model without them, which stays as it is.
    """
    head, limits = model.head, model.limits
    if limits is None or head.intervals is None or not isinstance(head, TwoStageHead):
        return {}
    model.eval()
    with torch.inference_mode():
        of_drawn, of_others = ([_seen(model, batch) for batch in part] for part in (drawn, left_out))
    assert isinstance(head.readout, TissueReadout)  # for the type checker: of a model with intervals
    head.readout.change.zero_()
    if n_independent:
        mixtures, mixtures_of_others = ([(seen.true, seen.features) for seen in part] for part in (of_drawn, of_others))
        refit(head, head.readout, mixtures, mixtures_of_others, n_independent)
    with torch.inference_mode():
        entries = _joined([_said(head, seen) for seen in of_drawn])
        others = _joined([_said(head, seen) for seen in of_others]) if of_others else None
    with torch.no_grad():
        head.intervals.conform(entries.lower, entries.upper, entries.true, entries.stratum)
        head.prior.fill_(torch.logit((entries.true >= metrics.PRESENT).float().mean(), eps=1e-6).item())
        _set_limits(limits.coefficients, limits.factors, entries)
        for curve, quantile in ((limits.misfit_median, 0.5), (limits.misfit_curve, _FITTING)):
            curve.copy_(_line(entries.conditions[entries.whole], entries.misfit[entries.whole], quantile))
        limits.most_noise.copy_(_BEYOND * entries.conditions[entries.whole, 0].max())
        if others is not None:
            _allow_for(model, others, real)
    near = (entries.true > 0) & (entries.true < metrics.PRESENT)
    return {
        "calibration/n_mixtures": len(entries.misfit),
        "calibration/n_there": int((entries.true > 0).sum()),
        "calibration/traces_called": float(entries.called[near].double().mean()),
        "calibration/absent_called": float(entries.called[entries.true == 0].double().mean()),
    }


def _joined(parts: list[_Entries]) -> _Entries:
    return _Entries._make(torch.cat(part).cpu() for part in zip(*parts, strict=True))


def _seen(model: Deconvolver, batch: Known) -> _Seen:
    depth = batch.depth
    features = model(batch.methylation, depth, batch.profiles)
    return _Seen(
        true=batch.true,
        features=features,
        stratum=strata(depth),
        background=with_background(features),
        circumstances=circumstances(features, depth),
        conditions=conditions(features, depth),
        whole=(depth > 0).float().mean(dim=1) >= _WHOLE,
    )


def _said(head: TwoStageHead, seen: _Seen) -> _Entries:
    true, stages = seen.true, head(seen.features)
    assert head.intervals is not None and seen.features.misfit is not None  # for the type checker
    lower, upper = head.intervals.ends(head.place(seen.features, stages)).unbind(dim=2)
    return _Entries(
        true=true.flatten(),
        lower=lower.flatten(),
        upper=upper.flatten(),
        called=stages.gate.flatten(),
        predicted=share_mass(stages.proportion_logits, stages.gate).flatten(),
        stratum=seen.stratum[:, None].expand_as(true).flatten(),
        background=seen.background[:, None].expand_as(true).flatten(),
        circumstances=seen.circumstances.flatten(0, 1),
        conditions=seen.conditions,
        misfit=seen.features.misfit,
        whole=seen.whole,
    )


def _set_limits(coefficients: Tensor, factors: Tensor, entries: _Entries) -> None:
    """Fit the probability of a call, and find the proportion from which on it is `metrics.SENSITIVITY`.

    A logistic regression of the call on the logarithm of the true proportion and on the circumstances gives the form of
    the limit; how many times larger it must be is then counted in each stratum, without and with a background, so that
    the limit holds where the regression does not.
    """
    # Those of the phase that a training started from would be false.
    factors.fill_(torch.inf)
    low, high = _AROUND_THE_LIMIT
    used = (entries.true > low) & (entries.true < high)
    amount, called = entries.true[used].double().log().numpy(), entries.called[used].numpy()
    where = entries.circumstances[used].double().numpy()
    if called.all() or not called.any():
        return
    fit = LogisticRegression(C=np.inf, max_iter=1000).fit(np.column_stack([amount, where]), called)
    slope, *others = fit.coef_[0]
    if slope <= 0:
        return
    wanted = np.log(metrics.SENSITIVITY / (1 - metrics.SENSITIVITY))
    values = np.array([wanted - fit.intercept_[0], *(-other for other in others)]) / slope
    coefficients.copy_(torch.from_numpy(values))
    ratio = np.exp(amount - values[0] - where @ values[1:])
    for number, kind in itertools.product(range(len(STRATA) + 1), (0, 1)):
        cell = (entries.stratum == number) & (entries.background == kind)
        if _tells_absent(entries, cell):
            own = cell[used].numpy()
            factors[number, kind] = _MARGIN * _factor(ratio[own], called[own])


def _tells_absent(entries: _Entries, among: Tensor) -> bool:
    """Whether few of the absent tissues among some entries are false positives, as far as these can show it."""
    absent = among & (entries.true == 0)
    false = entries.predicted[absent] >= metrics.PRESENT
    return bool(absent.sum() < _FEWEST or false.double().mean() <= metrics.FALSE_CALLS)


def _factor(ratio: npt.NDArray[np.floating], called: npt.NDArray[np.bool_]) -> float:
    """Find from which multiple of the limit on tissues are called as often as they should be."""
    if len(ratio) < _FEWEST:
        return float("inf")
    order = np.argsort(ratio)
    return metrics.limit_of_detection(ratio[order], called[order].astype(float))


def _line(conditions: Tensor, misfit: Tensor, quantile: float) -> Tensor:
    """Fit a quantile of the misfit as a linear function of the conditions (Koenker and Bassett 1978)."""
    line = QuantileRegressor(quantile=quantile, alpha=0).fit(conditions.double(), misfit.double())
    return torch.tensor([line.intercept_, *line.coef_])


def _allow_for(model: Deconvolver, others: _Entries, real: bool) -> None:
    """Make what is stated hold for mixtures of other donors too."""
    intervals, limits = model.head.intervals, model.limits
    assert intervals is not None and limits is not None  # for the type checker
    drawn = intervals.outside.clone()
    everywhere = torch.zeros_like(others.stratum)
    intervals.conform(others.lower, others.upper, others.true, everywhere)
    seen = intervals.outside[:, :1].clone()
    intervals.outside.copy_(torch.where(torch.isfinite(seen), torch.maximum(drawn, seen), drawn))
    # The entries are on the CPU, wherever the model is.
    curve, coefficients, factors = (part.cpu() for part in (limits.misfit_curve, limits.coefficients, limits.factors))
    if real:
        allowed = curve[0] + others.conditions @ curve[1:]
        limits.misfit_curve.mul_(max(1.0, torch.quantile((others.misfit / allowed).double(), _FITTING).item()))
    low, high = _AROUND_THE_LIMIT
    used = (others.true > low) & (others.true < high)
    limit = (coefficients[0] + others.circumstances[used] @ coefficients[1:]).exp()
    for kind in (0, 1):
        if not _tells_absent(others, others.background == kind):
            factors[:, kind] = torch.inf
    limits.factors.copy_(factors)
    limit *= factors[others.stratum[used], others.background[used].long()]
    stated = torch.isfinite(limit)
    if stated.sum() < _FEWEST:
        return
    ratio = (others.true[used] / limit)[stated].double().numpy()
    limits.factors.mul_(max(1.0, _factor(ratio, others.called[used][stated].numpy())))
