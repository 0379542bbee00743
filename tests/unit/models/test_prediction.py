"""Predicting batch by batch."""

import pytest
from experiments import tiny_arm

from methmix.models.prediction import predict
from methmix.models.registry import build_model


def test_another_threshold_is_the_model_with_that_threshold(tissues, reads):
    models = [
        build_model(tiny_arm("sparse", **{"model.backbone": backbone, "model.presence_threshold": 0.5}), p, 0, tissues)
        for backbone, p in (("reference", tissues.mean), ("mlp", tissues.mean))
    ]
    for model in models:
        found = predict(model, reads[0].numpy(), reads[2].numpy().astype(int))
        assert found.at_threshold(0.5) == pytest.approx(found.proportions, abs=1e-6)
        model.head.threshold = 0.3
        again = predict(model, reads[0].numpy(), reads[2].numpy().astype(int))
        assert found.at_threshold(0.3) == pytest.approx(again.proportions, abs=1e-6)
        assert ((found.at_threshold(0.3) == 0) == (again.proportions == 0)).all()


def test_the_depth_must_be_told(tissues, reads):
    model = build_model(tiny_arm("sparse", **{"model.backbone": "reference"}), tissues.mean, 0, tissues)
    with pytest.raises(ValueError, match="needs the depth"):
        predict(model, reads[0].numpy())
