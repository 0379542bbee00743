"""What a model says of itself, and of mixtures."""

from dataclasses import fields

import pytest
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
