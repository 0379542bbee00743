"""ProportionIntervals of proportions."""

import numpy as np
import pytest
import torch
from experiments import tiny_arm

from methmix.metrics import INTERVAL_LEVEL
from methmix.models.intervals import CLASSES, QUANTILES, STRATA, Place, ProportionIntervals, classes, pinball_loss
from methmix.models.prediction import predict
from methmix.models.registry import build_model


def test_pinball_loss_is_lowest_at_the_quantile(rng):
    true = torch.from_numpy(rng.random((1, 4000))).float()
    candidates = torch.linspace(0.8, 1.0, 41)
    losses = [pinball_loss(torch.full_like(true, c.item()), true, 0.9).item() for c in candidates]
    assert candidates[int(np.argmin(losses))].item() == pytest.approx(np.quantile(true.numpy(), 0.9), abs=0.01)


def model_of(tissues):
    return build_model(tiny_arm("sparse", **{"model.backbone": "reference"}), tissues.mean, 0, tissues)


@pytest.mark.slow
def test_ends_learn_and_change_nothing_else(tissues, reads):
    """Trained alone, the learned ends enclose 90 % of what is present, and the proportions stay as they are."""
    model, (methylation, true, depth) = model_of(tissues), reads
    torch.manual_seed(0)
    model.loss(methylation, true, depth)["total_loss"].backward()
    assert model.head.intervals.quantiles.weight.grad.abs().sum() > 0
    model.train()
    optimiser = torch.optim.Adam(model.head.intervals.parameters(), lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        model.loss(methylation, true, depth)["total_loss"].backward()
        optimiser.step()
    features = model.eval()(methylation, depth)
    lower, upper = model.head.intervals.ends(model.head.place(features, model.head(features))).unbind(dim=2)
    present = true > 0
    assert ((lower <= true) & (true <= upper))[present].float().mean() == pytest.approx(0.9, abs=0.12)


def test_an_interval_is_everything_until_it_is_calibrated(tissues, reads):
    model = model_of(tissues)
    found = predict(model, reads[0].numpy(), reads[2].numpy())
    assert (found.low == 0).all() and (found.high == 1).all()
    assert not {"low", "high"} & model.estimates


def drawn_entries(n, seed=0):
    """Entries of all classes; the error grows with the proportion, and estimates do not tell small ones apart."""
    rng = np.random.default_rng(seed)
    true = np.where(rng.random(n) < 0.4, 0, np.exp(rng.uniform(np.log(2e-4), 0, n)))
    stratum = rng.integers(0, len(STRATA) + 1, n)
    error = (0.002 + 0.05 * true) * (len(STRATA) + 1 - stratum)
    centre = np.where(true < 0.02, 0.002, true) + error * rng.standard_normal(n)
    lower, upper = centre - 1.2 * error, centre + 1.2 * error
    return (torch.from_numpy(values).float() for values in (lower, upper, true)), torch.from_numpy(stratum)


def test_intervals_cover_every_class_at_every_depth():
    intervals = ProportionIntervals(n_features=1)
    (lower, upper, true), stratum = drawn_entries(60_000)
    intervals.conform(lower, upper, true, stratum)
    assert intervals.calibrated
    (lower, upper, true), stratum = drawn_entries(60_000, seed=1)
    place = Place(None, (lower + upper)[:, None] / 2, (upper - lower)[:, None] / 2)
    intervals.ends = lambda place: torch.stack([place.centre - place.error, place.centre + place.error], dim=2)
    estimate = place.centre.clamp(0, 1)
    low, high = intervals(place, estimate, stratum, torch.ones(len(true)))
    covered = ((low[:, 0] <= true + 1e-6) & (true <= high[:, 0] + 1e-6)).numpy()
    for of_class in range(len(CLASSES)):
        for number in range(len(STRATA) + 1):
            cell = ((classes(true) == of_class) & (stratum == number)).numpy()
            assert cell.sum() > 300
            assert 0.87 <= covered[cell].mean() <= (0.98 if of_class else 1), (of_class, number)
    wider = intervals(place, estimate, stratum, torch.full((len(true),), 2.0))
    assert (wider[0] <= low).all() and (wider[1] >= high).all() and (wider[1] > high).any()


def test_a_class_that_was_hardly_seen_is_never_refuted():
    intervals = ProportionIntervals(n_features=1)
    (lower, upper, true), stratum = drawn_entries(20_000)
    seen = (classes(true) != 3) | (torch.arange(len(true)) % 500 == 0)
    intervals.conform(lower[seen], upper[seen], true[seen], stratum[seen])
    assert torch.isinf(intervals.outside[:, :, 3]).all()


def test_there_is_one_level():
    assert pytest.approx(((1 - INTERVAL_LEVEL) / 2, (1 + INTERVAL_LEVEL) / 2)) == QUANTILES
