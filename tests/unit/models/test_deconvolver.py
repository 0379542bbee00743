"""What a model says of itself, and of mixtures."""

from dataclasses import fields

import pytest
import torch
from experiments import tiny_arm

from methmix.models.prediction import Prediction, predict
from methmix.models.registry import build_model


@pytest.mark.parametrize("backbone", ["mlp", "reference"])
@pytest.mark.parametrize("arm", ["original", "sparse"])
def test_a_model_estimates_what_its_prediction_has(tissues, reads, arm, backbone):
    model = build_model(tiny_arm(arm, **{"model.backbone": backbone}), tissues.mean, 0, tissues)
    found = predict(model, reads[0].numpy(), reads[2].numpy().astype(int))
    has = {field.name for field in fields(Prediction) if getattr(found, field.name) is not None}
    # Before the calibration limits are infinite, and intervals are everything.
    assert model.estimates == has - {"limit", "misfit_limit", "effect", "low", "high"}
    assert model.needs_depth == (model.profiles is not None) == (backbone == "reference")
    if model.profiles:
        assert (model.profiles.mean == tissues.mean).all()


def test_reads_beyond_a_mean_depth_of_1000_say_no_more(tissues, reads):
    model = build_model(tiny_arm("sparse", **{"model.backbone": "reference"}), tissues.mean, 0, tissues).eval()
    methylation, _, depth = reads
    found = [model.infer(methylation, k * depth) for k in (25, 50, 5000)]
    for deeper in found[1:]:
        torch.testing.assert_close(deeper.proportions, found[0].proportions)
        torch.testing.assert_close(deeper.error, found[0].error)
    assert (model.infer(methylation, depth).error > 1.02 * found[0].error).float().mean() > 0.9
