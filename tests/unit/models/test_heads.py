"""From features to proportions."""

import numpy as np
import pytest
import torch
from experiments import tiny_arm

from methmix.models.prediction import predict
from methmix.models.registry import build_model


def test_every_gated_tissue_is_exactly_zero_at_inference(profiles, batch):
    model = build_model(tiny_arm("sparse"), profiles, seed=0)
    prediction = predict(model, batch[0].numpy())
    gated = prediction.presence_probability < 0.5
    # Where no tissue passes, the most probable one is kept.
    nothing_passes = gated.all(axis=1)
    gated[nothing_passes, prediction.presence_probability[nothing_passes].argmax(axis=1)] = False
    assert gated.any()
    assert (prediction.proportions[gated] == 0.0).all()
    assert (prediction.proportions[~gated] > 0).all()
    assert np.allclose(prediction.proportions.sum(axis=1), 1, atol=1e-9)


def test_original_never_gives_zero(profiles, batch):
    prediction = predict(build_model(tiny_arm("original"), profiles, seed=0), batch[0].numpy())
    assert prediction.presence_probability is None
    assert (prediction.proportions > 0).all()


def test_original_is_sigmoid_and_l1(profiles, batch):
    model = build_model(tiny_arm("original"), profiles, seed=0).eval()
    features = model(batch[0])
    weights = torch.sigmoid(model.head.readout["proportion"](features.hidden))
    assert torch.allclose(model.head(features), weights / weights.sum(dim=1, keepdim=True))


def test_original_on_this_backbone_gives_something_to_every_tissue(tissues, reads):
    model = build_model(tiny_arm("original", **{"model.backbone": "reference"}), tissues.mean, 0, tissues)
    found = predict(model, reads[0].numpy(), reads[2].numpy().astype(int))
    assert (found.proportions > 0).all() and found.presence_probability is None and found.low is None
    assert found.proportions.sum(axis=1) == pytest.approx(1)


def test_presence_head_learns_from_its_own_labels_only(profiles, batch):
    model = build_model(tiny_arm("sparse"), profiles, seed=0)
    model.loss(*batch)["mse_loss"].backward()
    assert model.head.readout["presence"].weight.grad is None
