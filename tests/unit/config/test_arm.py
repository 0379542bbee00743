"""What determines the weights of an arm."""

import pytest
from experiments import ROOT

from methmix.config.arm import ARM_KEYS, SparseArm, TrainingSettings, settings_digest
from methmix.config.load import load_arm

SPARSE = ROOT / "config/phase2_sparse.yaml"


class LaterTraining(TrainingSettings):
    """The section as it may be one day."""

    momentum: float = 0.9


class LaterArm(SparseArm):
    """The arm as it may be one day."""

    training: LaterTraining = LaterTraining()


def test_a_key_that_is_added_with_its_default_does_not_change_the_digest():
    content = load_arm(SPARSE).model_dump(mode="json")
    digest = settings_digest(load_arm(SPARSE))
    assert settings_digest(LaterArm.model_validate(content)) == digest
    content["training"]["momentum"] = 0.8
    assert settings_digest(LaterArm.model_validate(content)) != digest


@pytest.mark.parametrize(
    "change",
    [
        {"training.epochs": 11}, {"model.presence_threshold": 0.4}, {"loss.presence_threshold": 0.02},
        {"model.backbone": "mlp"}, {"training.warm_start": "phase1"},
    ],
)  # fmt: skip
def test_every_setting_of_the_weights_is_in_the_digest(change):
    assert settings_digest(load_arm(SPARSE, changes=change)) != settings_digest(load_arm(SPARSE))


def test_the_experiment_and_the_run_folder_are_not_in_the_digest():
    other = load_arm(SPARSE, changes={"experiment": "config/tiny.yaml", "output": "elsewhere"})
    assert settings_digest(other) == settings_digest(load_arm(SPARSE))


def test_keys_of_any_arm():
    assert {"model.hidden_sizes", "model.head_size", "loss.presence_threshold", "training.epochs"} <= ARM_KEYS
    assert not {"model.gate_threshold", "loss.label_threshold", "phase"} & ARM_KEYS
    for section in ("model", "loss", "training"):
        assert {f"{section}.{key}" for key in load_arm(SPARSE).model_dump()[section]} <= ARM_KEYS
