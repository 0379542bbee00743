"""From the configuration of an arm to its model."""

import pytest
import torch
from experiments import tiny_arm

from methmix.models.backbone import MlpBackbone
from methmix.models.heads import SigmoidHead, TwoStageHead
from methmix.models.reference_backbone import ReferenceBackbone
from methmix.models.registry import build_model


@pytest.mark.parametrize(("backbone", "of_backbone"), [("mlp", MlpBackbone), ("reference", ReferenceBackbone)])
@pytest.mark.parametrize(("arm", "head"), [("original", SigmoidHead), ("sparse", TwoStageHead)])
def test_each_arm_has_its_head_on_each_backbone(tissues, arm, head, backbone, of_backbone):
    model = build_model(tiny_arm(arm, **{"model.backbone": backbone}), tissues.mean, 0, tissues)
    assert type(model.head) is head and type(model.backbone) is of_backbone


def test_use_two_stage_false_is_exactly_the_original(profiles, batch):
    off = build_model(tiny_arm("sparse", **{"model.use_two_stage": False}), profiles, seed=3)
    original = build_model(tiny_arm("original", **{"model.dropout": 0.1}), profiles, seed=3)
    assert type(off.head) is SigmoidHead and off.state_dict().keys() == original.state_dict().keys()
    assert off.weights == original.weights
    for name, value in original.state_dict().items():
        assert torch.equal(value, off.state_dict()[name]), name
    torch.manual_seed(0)
    first = off.loss(*batch)["total_loss"]
    torch.manual_seed(0)
    assert torch.equal(first, original.loss(*batch)["total_loss"])


def test_weights_do_not_depend_on_what_was_drawn_before(profiles):
    first = build_model(tiny_arm("sparse"), profiles, seed=5)
    torch.rand(10)
    second = build_model(tiny_arm("sparse"), profiles, seed=5)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
