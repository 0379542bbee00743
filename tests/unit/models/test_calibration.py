"""Calibration on validation mixtures."""

import numpy as np
from experiments import tiny_arm

from methmix.models.calibration import calibrate
from methmix.models.prediction import predict
from methmix.models.registry import build_model


def test_calibration_carries_over_to_fresh_mixtures_and_changes_nothing_else(tissues, reads):
    model = build_model(tiny_arm("sparse", **{"model.backbone": "reference"}), tissues.mean, 0, tissues)
    halves = [
        (methylation.numpy(), depth.numpy().astype(int), true.numpy())
        for methylation, true, depth in zip(*(part.split(100) for part in reads), strict=True)
    ]
    *mixtures, true = halves[1]
    before = predict(model, *mixtures)
    assert not {"limit", "misfit_limit"} & model.estimates and np.isinf(before.limit).all()
    assert calibrate(model, *halves[0])["calibration/n_there"] == 300
    after = predict(model, *mixtures)
    assert "misfit_limit" in model.estimates and np.isfinite(after.misfit_limit).all()
    assert (before.proportions == after.proportions).all()
    covered = [((found.low <= true + 1e-6) & (true <= found.high + 1e-6))[true > 0].mean() for found in (before, after)]
    assert abs(covered[0] - 0.9) > 0.05
    # Ends that stop at 0, at 1 or at the proportion itself can only hold more.
    assert 0.86 <= covered[1] <= 0.97


def test_a_model_without_limits_stays_as_it_is(profiles, batch):
    model = build_model(tiny_arm("sparse"), profiles, 0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert calibrate(model, batch[0].numpy(), np.ones(batch[0].shape, int), batch[1].numpy()) == {}
    assert all((value == before[name]).all() for name, value in model.state_dict().items())
