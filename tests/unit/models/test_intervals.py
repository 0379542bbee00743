"""ProportionIntervals of proportions."""

import numpy as np
import pytest
import torch
from experiments import tiny_arm

from methmix.metrics import INTERVAL_LEVEL
from methmix.models.intervals import CERTAIN, QUANTILES, ProportionIntervals, pinball_loss
from methmix.models.prediction import predict
from methmix.models.registry import build_model


def test_pinball_loss_is_lowest_at_the_quantile(rng):
    true = torch.from_numpy(rng.random((1, 4000))).float()
    candidates = torch.linspace(0.8, 1.0, 41)
    losses = [pinball_loss(torch.full_like(true, c.item()), true, 0.9).item() for c in candidates]
    assert candidates[int(np.argmin(losses))].item() == pytest.approx(np.quantile(true.numpy(), 0.9), abs=0.01)


def test_intervals_learn_their_coverage_and_change_nothing_else(tissues, reads):
    """Trained alone, the interval head covers 90 % of what is present, and the proportions stay as they are."""
    model = build_model(tiny_arm("sparse", **{"model.backbone": "reference"}), tissues.mean, 0, tissues)
    methylation, true, depth = reads
    torch.manual_seed(0)
    model.loss(methylation, true, depth)["total_loss"].backward()
    assert model.head.intervals.quantiles.weight.grad.abs().sum() > 0
    optimiser = torch.optim.Adam(model.head.intervals.parameters(), lr=0.05)
    model.head.readout.bias.data[0] = 5.0  # all are surely present
    for _ in range(150):
        optimiser.zero_grad()
        model.loss(methylation, true, depth)["total_loss"].backward()
        optimiser.step()
    found = predict(model, methylation.numpy(), depth.numpy().astype(int))
    there = true.numpy() > 0
    covered = (found.low <= true.numpy() + 1e-6) & (true.numpy() <= found.high + 1e-6)
    assert covered[there].mean() == pytest.approx(0.9, abs=0.05)
    assert (found.low <= found.proportions).all() and (found.proportions <= found.high).all()


def test_zero_is_in_the_interval_of_a_tissue_that_may_be_absent(tissues, reads):
    model = build_model(tiny_arm("sparse", **{"model.backbone": "reference"}), tissues.mean, 0, tissues)
    found = predict(model, reads[0].numpy(), reads[2].numpy().astype(int))
    unsure = found.presence_probability < 0.95
    assert unsure.any() and (found.low[unsure] == 0).all()


def test_there_is_one_level():
    assert pytest.approx(((1 - INTERVAL_LEVEL) / 2, (1 + INTERVAL_LEVEL) / 2, INTERVAL_LEVEL)) == QUANTILES
    assert pytest.approx(1 - QUANTILES[0]) == CERTAIN
    intervals = ProportionIntervals(n_features=1)
    intervals.conform(torch.arange(1.0, 100.0))
    assert intervals.shift.item() == round(INTERVAL_LEVEL * 100)
