"""Both models on the backbone that knows the reference."""

import numpy as np
import pytest
import torch
from experiments import tiny_arm

from methmix.files.mixtures import Mixtures
from methmix.least_squares import Profiles
from methmix.models.gate import share_if_let_in, share_mass
from methmix.models.informed import InformedOriginalModel, InformedSparseModel
from methmix.models.losses import pinball_loss
from methmix.models.prediction import predict
from methmix.models.registry import build_model
from methmix.training.validation import calibrate


@pytest.fixture
def profiles():
    mean = torch.rand(6, 400, generator=torch.Generator().manual_seed(1))
    return Profiles(mean, torch.full_like(mean, 0.002), torch.full_like(mean, 0.001))


@pytest.fixture
def batch(profiles):
    """Mixtures of three tissues, read with depth 50."""
    generator = torch.Generator().manual_seed(2)
    true = torch.zeros(200, 6)
    for row in range(200):
        true[row, torch.randperm(6, generator=generator)[:3]] = torch.tensor([0.6, 0.35, 0.05])
    depth = torch.full((200, 400), 50.0)
    methylation = torch.binomial(depth, (true @ profiles.mean).clamp(max=1), generator=generator) / depth
    return methylation, true, depth


def test_each_arm_has_its_model_on_this_backbone(profiles):
    backbone = {"model.backbone": "reference"}
    assert type(build_model(tiny_arm("sparse", **backbone), profiles.mean, 0, profiles)) is InformedSparseModel
    assert type(build_model(tiny_arm("original", **backbone), profiles.mean, 0, profiles)) is InformedOriginalModel


def test_original_on_this_backbone_gives_something_to_every_tissue(profiles, batch):
    model = build_model(tiny_arm("original", **{"model.backbone": "reference"}), profiles.mean, 0, profiles)
    found = predict(model, batch[0].numpy(), batch[2].numpy().astype(int))
    assert (found.proportions > 0).all() and found.presence_probability is None and found.low is None
    assert found.proportions.sum(axis=1) == pytest.approx(1)


def test_without_errors_in_variables_profiles_count_as_exact(profiles, batch):
    exact = Profiles(profiles.mean, profiles.spread, torch.zeros_like(profiles.noise))
    off = {"model.backbone": "reference", "model.errors_in_variables": False}
    on = {"model.backbone": "reference"}
    features = [
        build_model(tiny_arm("sparse", **settings), profiles.mean, 0, given).eval().backbone(batch[0], batch[2])[0]
        for settings, given in ((off, profiles), (on, exact), (on, profiles))
    ]
    assert torch.equal(features[0], features[1]) and not torch.equal(features[0], features[2])


def test_another_threshold_is_the_model_with_that_threshold(profiles, batch):
    models = [
        build_model(tiny_arm("sparse", **{"model.backbone": backbone, "model.presence_threshold": 0.5}), p, 0, profiles)
        for backbone, p in (("reference", profiles.mean), ("mlp", profiles.mean))
    ]
    for model in models:
        found = predict(model, batch[0].numpy(), batch[2].numpy().astype(int))
        assert found.at_threshold(0.5) == pytest.approx(found.proportions, abs=1e-6)
        model.presence_threshold = 0.3
        again = predict(model, batch[0].numpy(), batch[2].numpy().astype(int))
        assert found.at_threshold(0.3) == pytest.approx(again.proportions, abs=1e-6)
        assert ((found.at_threshold(0.3) == 0) == (again.proportions == 0)).all()


def test_share_if_let_in_is_the_share_beside_those_that_are_in():
    logits = torch.tensor([[0.3, -1.0, 2.0]])
    gate = torch.tensor([[True, True, False]])
    found = share_if_let_in(logits, gate)
    assert torch.allclose(found[:, :2], share_mass(logits, gate)[:, :2])
    assert found[0, 2].item() == pytest.approx(share_mass(logits, torch.ones_like(gate))[0, 2].item())


def test_pinball_loss_is_lowest_at_the_quantile(rng):
    true = torch.from_numpy(rng.random((1, 4000))).float()
    candidates = torch.linspace(0.8, 1.0, 41)
    losses = [pinball_loss(torch.full_like(true, c.item()), true, 0.9).item() for c in candidates]
    assert candidates[int(np.argmin(losses))].item() == pytest.approx(np.quantile(true.numpy(), 0.9), abs=0.01)


def test_intervals_learn_their_coverage_and_change_nothing_else(profiles, batch):
    """Trained alone, the interval head covers 90 % of what is there, and the shares stay as they are."""
    model = build_model(tiny_arm("sparse", **{"model.backbone": "reference"}), profiles.mean, 0, profiles)
    methylation, true, depth = batch
    torch.manual_seed(0)
    model.loss(methylation, true, depth).total.backward()
    assert model.interval_head.weight.grad.abs().sum() > 0
    optimiser = torch.optim.Adam(model.interval_head.parameters(), lr=0.05)
    model.leave.bias.data[0] = 5.0  # all are sure to be there
    for _ in range(150):
        optimiser.zero_grad()
        model.loss(methylation, true, depth).total.backward()
        optimiser.step()
    found = predict(model, methylation.numpy(), depth.numpy().astype(int))
    there = true.numpy() > 0
    covered = (found.low <= true.numpy() + 1e-6) & (true.numpy() <= found.high + 1e-6)
    assert covered[there].mean() == pytest.approx(0.9, abs=0.05)
    assert (found.low <= found.proportions).all() and (found.proportions <= found.high).all()


def test_zero_is_in_the_interval_of_a_tissue_that_may_be_absent(profiles, batch):
    model = build_model(tiny_arm("sparse", **{"model.backbone": "reference"}), profiles.mean, 0, profiles)
    found = predict(model, batch[0].numpy(), batch[2].numpy().astype(int))
    unsure = found.presence_probability < 0.95
    assert unsure.any() and (found.low[unsure] == 0).all()


def test_calibration_carries_over_to_fresh_mixtures_and_changes_nothing_else(profiles, batch):
    model = build_model(tiny_arm("sparse", **{"model.backbone": "reference"}), profiles.mean, 0, profiles)
    names = list("abcdef")
    halves = [
        Mixtures(m.numpy(), d.numpy().astype(int), t.numpy(), [], names, {})
        for m, t, d in zip(*(part.split(100) for part in batch), strict=True)
    ]
    before = predict(model, halves[1].methylation, halves[1].depth)
    calibrate(model, halves[0])
    after = predict(model, halves[1].methylation, halves[1].depth)
    assert (before.proportions == after.proportions).all()
    true = halves[1].proportions
    covered = [((found.low <= true + 1e-6) & (true <= found.high + 1e-6))[true > 0].mean() for found in (before, after)]
    assert abs(covered[0] - 0.9) > 0.05
    # Ends that stop at 0, at 1 or at the proportion itself can only hold more.
    assert 0.86 <= covered[1] <= 0.97


def test_two_tissues_are_enough(profiles, batch):
    two = Profiles(*(values[:2] for values in (profiles.mean, profiles.spread, profiles.noise)))
    model = build_model(tiny_arm("sparse", **{"model.backbone": "reference"}), two.mean, 0, two)
    found = predict(model, batch[0].numpy(), batch[2].numpy().astype(int))
    assert found.proportions.shape == (200, 2) and np.isfinite(found.proportions).all()


def test_a_mixture_without_reads_does_not_upset_the_others(profiles, batch):
    methylation, true, depth = (part.clone() for part in batch)
    model = build_model(tiny_arm("sparse", **{"model.backbone": "reference"}), profiles.mean, 0, profiles).eval()
    before = model.loss(methylation, true, depth).total
    methylation[0], depth[0] = float("nan"), 0
    after = model.loss(methylation, true, depth).total
    assert torch.isfinite(after) and after < before + 1


def test_the_depth_must_be_told(profiles, batch):
    model = build_model(tiny_arm("sparse", **{"model.backbone": "reference"}), profiles.mean, 0, profiles)
    with pytest.raises(ValueError, match="needs the depth"):
        predict(model, batch[0].numpy())
