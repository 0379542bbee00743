"""Calibration on mixtures of donors that the model has not seen."""

import numpy as np
import pytest
import torch
from experiments import tiny_arm
from sklearn.linear_model import LogisticRegression

from methmix.models.calibration import Known, calibrate
from methmix.models.prediction import predict
from methmix.models.registry import build_model


def known(tissues, n, seed, shift=0.0, donors=None):
    """Mixtures of 1 to 6 tissues, at depths from 10 to 300, of drawn donors or of ``donors``."""
    generator = torch.Generator().manual_seed(seed)
    true = torch.rand(n, 6, generator=generator) ** 4
    true[torch.rand(n, 6, generator=generator) < 0.4] = 0
    true[:, 0] += 0.01
    true = true / true.sum(dim=1, keepdim=True)
    depth = torch.tensor([10.0, 40.0, 100.0, 300.0])[torch.randint(4, (n, 1), generator=generator)].expand(n, 400)
    if donors is None:
        donors = tissues.mean + tissues.spread.sqrt() * torch.randn(n, 6, 400, generator=generator)
    p = (true[:, None, :] @ donors)[:, 0].add(shift).clamp(0, 1)
    depth = torch.poisson(depth, generator=generator)
    methylation = torch.binomial(depth, p, generator=generator) / depth
    return Known(methylation, depth, true, None)


@pytest.fixture
def model(tissues):
    made = build_model(tiny_arm("sparse", **{"model.backbone": "reference"}), tissues.mean, 0, tissues).eval()
    # Untrained, it would call all tissues or none: its presence is fitted to mixtures like those of the tests.
    of_fit = known(tissues, 500, seed=20)
    hidden = made(of_fit.methylation, of_fit.depth).hidden.detach().flatten(0, 1)
    fit = LogisticRegression(max_iter=500).fit(hidden.numpy(), (of_fit.true >= 0.01).flatten().numpy())
    made.head.readout.weight.data[0] = torch.from_numpy(fit.coef_[0])
    made.head.readout.bias.data[0] = float(fit.intercept_[0])
    return made


def test_what_is_stated_holds_for_fresh_mixtures_and_nothing_else_changes(tissues, model):
    fresh = known(tissues, 800, seed=2)
    mixtures = fresh.methylation.numpy(), fresh.depth.numpy()
    before = predict(model, *mixtures)
    assert not {"limit", "misfit_limit", "low"} & model.estimates
    rests_on = calibrate(model, [known(tissues, 500, seed) for seed in (0, 1, 3, 4)])
    assert rests_on["calibration/n_mixtures"] == 2000
    after = predict(model, *mixtures)
    assert {"misfit_limit", "effect", "low"} <= model.estimates
    assert (before.proportions == after.proportions).all()
    true = fresh.true.numpy()
    covered = (after.low <= true + 1e-6) & (true <= after.high + 1e-6)
    for low, high in ((0.01, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 1)):
        assert covered[(true > low) & (true < high)].mean() == pytest.approx(0.91, abs=0.05)
    assert (after.misfit > after.misfit_limit).mean() == pytest.approx(0.01, abs=0.015)
    assert np.median(after.effect) == pytest.approx(1, abs=0.15)


def test_a_mixture_that_does_not_fit_is_answered_with_doubt(tissues, model):
    calibrate(model, [known(tissues, 500, seed) for seed in range(4)])
    fits, shifted = (known(tissues, 300, seed=9, shift=shift) for shift in (0.0, 0.15))
    of_fits, of_shifted = (predict(model, k.methylation.numpy(), k.depth.numpy()) for k in (fits, shifted))
    assert (of_shifted.misfit > of_shifted.misfit_limit).mean() > 0.5
    assert (of_shifted.high - of_shifted.low).mean() > 1.1 * (of_fits.high - of_fits.low).mean()
    assert (np.isinf(of_shifted.limit).all(axis=1) == (of_shifted.misfit > of_shifted.misfit_limit)).all()
    prior = torch.sigmoid(model.head.prior).item()
    assert np.abs(of_shifted.presence_probability - prior).mean() < np.abs(of_fits.presence_probability - prior).mean()


def test_presence_is_calibrated_by_mixtures_of_other_donors(tissues, model):
    fresh = known(tissues, 800, seed=2)
    labelled, present = ((fresh.true == 0) | (fresh.true >= 0.01)).numpy(), (fresh.true > 0).numpy()

    def off():
        probability = predict(model, fresh.methylation.numpy(), fresh.depth.numpy()).presence_probability
        uncertain = labelled & (probability > 0.05) & (probability < 0.95)
        return probability[uncertain].mean() - present[uncertain].mean()

    # As the loss of sparsity does.
    model.head.readout.bias.data[0] -= 1.5
    model.head.readout.weight.data[0] *= 0.7
    assert off() < -0.1
    drawn, others = ([known(tissues, 500, seed) for seed in pair] for pair in ((5, 6), (7, 8)))
    calibrate(model, drawn, others, n_independent=22)
    assert off() == pytest.approx(0, abs=0.03)
    once = model.head.readout.change.clone()
    calibrate(model, drawn, others, n_independent=22)
    assert torch.equal(model.head.readout.change, once)
    # Of donors that have trained it could become too certain.
    calibrate(model, drawn, others)
    assert not model.head.readout.change.any()


def test_the_stages_remain_as_learnt_where_all_mixtures_have_all_tissues(tissues, model):
    everywhere = known(tissues, 500, seed=5)
    everywhere.true[:] = 1 / 6
    calibrate(model, [everywhere], [everywhere], n_independent=22)
    assert not model.head.readout.change.any()


def test_proportions_are_fitted_to_mixtures_of_other_donors(tissues, model):
    def error(mixtures):
        found = predict(model, mixtures.methylation.numpy(), mixtures.depth.numpy()).proportions
        return float(np.abs(found - mixtures.true.numpy()).mean())

    fresh = known(tissues, 800, seed=2)
    learnt = error(fresh)
    # As after a training that has not converged.
    noise = torch.randn(model.head.readout.weight.shape[1], generator=torch.Generator().manual_seed(1))
    model.head.readout.weight.data[1] += 0.2 * noise
    spoilt = error(fresh)
    assert spoilt > 1.2 * learnt
    drawn, others = ([known(tissues, 500, seed) for seed in pair] for pair in ((5, 6), (7, 8)))
    calibrate(model, drawn, others, n_independent=22)
    assert error(fresh) < 1.02 * learnt


def test_fitted_to_mixtures_of_one_donor_a_tissue_it_holds_for_others(tissues, model):
    """All mixtures of validation may be of the same few donors."""
    drawn, fresh = [known(tissues, 500, seed) for seed in (5, 6)], known(tissues, 800, seed=2)
    true, mixtures = fresh.true.numpy(), (fresh.methylation.numpy(), fresh.depth.numpy())
    labelled, present = (true == 0) | (true >= 0.01), true > 0
    calibrate(model, drawn)
    learnt = np.abs(predict(model, *mixtures).proportions - true).mean()
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        one = (tissues.mean + tissues.spread.sqrt() * torch.randn(6, 400, generator=generator)).clamp(0, 1)
        calibrate(model, drawn, [known(tissues, 500, s, donors=one) for s in (7, 8)], n_independent=6)
        found = predict(model, *mixtures)
        assert np.abs(found.proportions - true).mean() < 1.05 * learnt
        covered = (found.low <= true + 1e-6) & (true <= found.high + 1e-6)
        for low, high in ((0.01, 0.05), (0.05, 0.2)):
            assert covered[(true > low) & (true < high)].mean() > 0.85
        probability = found.presence_probability
        certain = labelled & ((probability < 0.05) | (probability > 0.95))
        assert ((probability > 0.5) == present)[certain].mean() > 0.95


def test_sets_of_mixtures_weigh_alike_however_many_they_are(tissues, model):
    drawn, others, fresh = (known(tissues, *of) for of in ((300, 5), (200, 7, 0.1), (400, 2)))

    def found(*parts):
        calibrate(model, *parts, n_independent=22)
        return predict(model, fresh.methylation.numpy(), fresh.depth.numpy())

    both, often, alone = found([drawn], [others]), found([drawn] * 4, [others]), found([drawn], [drawn])
    for name in ("presence_probability", "proportions"):
        differences = [np.abs(getattr(each, name) - getattr(both, name)).mean() for each in (often, alone)]
        assert differences[0] < 0.4 * differences[1]


def test_mixtures_of_real_donors_only_widen(tissues, model):
    drawn = [known(tissues, 500, seed) for seed in range(4)]
    calibrate(model, drawn)
    alone = {name: value.clone() for name, value in model.state_dict().items()}
    mixtures = known(tissues, 200, seed=9)
    limits = [predict(model, mixtures.methylation.numpy(), mixtures.depth.numpy()).misfit_limit]
    calibrate(model, drawn, [known(tissues, 500, seed=7, shift=0.1)])
    limits.append(predict(model, mixtures.methylation.numpy(), mixtures.depth.numpy()).misfit_limit)
    together = model.state_dict()
    assert (together["head.intervals.outside"] >= alone["head.intervals.outside"]).all()
    assert (together["head.intervals.outside"] > alone["head.intervals.outside"]).any()
    assert (limits[1] >= limits[0]).all() and limits[1].mean() > limits[0].mean()
    assert (together["limits.factors"] >= alone["limits.factors"]).all()


def test_there_is_no_limit_of_detection_where_absent_tissues_are_called(tissues, model):
    drawn = [known(tissues, 500, seed) for seed in range(4)]
    calibrate(model, drawn, [known(tissues, 500, seed=7)])
    assert torch.isfinite(model.limits.factors).any()
    # Donors that look like mixtures: two tissues that are said to be absent are called, in left-out mixtures alone.
    others = known(tissues, 500, seed=7)
    others.true[:, 2:4] = 0
    calibrate(model, drawn, [others])
    assert torch.isinf(model.limits.factors).all()
    # It calls every tissue, so all that is there as well.
    model.head.readout.bias.data[0] = 20.0
    calibrate(model, drawn)
    assert torch.isinf(model.limits.factors).all()


def test_a_model_without_limits_stays_as_it_is(profiles, batch):
    model = build_model(tiny_arm("sparse"), profiles, 0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert calibrate(model, [Known(batch[0], torch.ones_like(batch[0]), batch[1], None)]) == {}
    assert all((value == before[name]).all() for name, value in model.state_dict().items())
