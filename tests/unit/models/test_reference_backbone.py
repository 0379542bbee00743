"""Least squares and a small network."""

import numpy as np
import torch
from experiments import tiny_arm

from methmix.models.prediction import predict
from methmix.models.registry import build_model
from methmix.tissue_profiles import Profiles


def test_without_errors_in_variables_profiles_count_as_exact(tissues, reads):
    exact = Profiles(tissues.mean, tissues.spread, torch.zeros_like(tissues.noise))
    off = {"model.backbone": "reference", "model.errors_in_variables": False}
    on = {"model.backbone": "reference"}
    features = [
        build_model(tiny_arm("sparse", **settings), tissues.mean, 0, given).eval()(reads[0], reads[2]).hidden
        for settings, given in ((off, tissues), (on, exact), (on, tissues))
    ]
    assert torch.equal(features[0], features[1]) and not torch.equal(features[0], features[2])


def test_two_tissues_are_enough(tissues, reads):
    two = Profiles(*(values[:2] for values in (tissues.mean, tissues.spread, tissues.noise)))
    model = build_model(tiny_arm("sparse", **{"model.backbone": "reference"}), two.mean, 0, two)
    found = predict(model, reads[0].numpy(), reads[2].numpy().astype(int))
    assert found.proportions.shape == (200, 2) and np.isfinite(found.proportions).all()


def test_a_mixture_without_reads_does_not_upset_the_others(tissues, reads):
    methylation, true, depth = (part.clone() for part in reads)
    model = build_model(tiny_arm("sparse", **{"model.backbone": "reference"}), tissues.mean, 0, tissues).eval()
    before = model.loss(methylation, true, depth)["total_loss"]
    methylation[0], depth[0] = float("nan"), 0
    after = model.loss(methylation, true, depth)["total_loss"]
    assert torch.isfinite(after) and after < before + 1
