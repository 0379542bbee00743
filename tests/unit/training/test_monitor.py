"""Validation after an epoch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from experiments import tiny_arm, tiny_mixtures, tiny_reference

from methmix.models.prediction import batches, predict, predict_tensors
from methmix.models.registry import build_model
from methmix.scores import Scores
from methmix.training import monitor
from methmix.training.monitor import Validation


class Counted:
    """Rows that know how often they are read."""

    def __init__(self, rows):
        self._rows, self.shape, self.read = rows, rows.shape, 0

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, rows):
        self.read += 1
        return self._rows[rows]


@pytest.fixture(scope="module")
def mixtures(tmp_path_factory):
    return tiny_mixtures(tiny_reference(), "validation", tmp_path_factory.mktemp("mixtures"))


@pytest.fixture(params=["original", "sparse", "sparse on the reference"])
def model(request):
    arm, *rest = request.param.split()
    settings = tiny_arm(arm, **({"model.backbone": "reference"} if rest else {}))
    return build_model(settings, torch.from_numpy(tiny_reference().complete_profiles("train")), seed=1)


@pytest.mark.parametrize("stays", [False, True])
def test_validation_is_prediction_and_loss(model, mixtures, monkeypatch, stays):
    monkeypatch.setattr(monitor, "has_room", lambda device, size: stays)
    methylation, depth = Counted(mixtures.methylation), Counted(mixtures.depth)
    validation = Validation(model, replace(mixtures, methylation=methylation, depth=depth))
    model.train()
    values = validation.values()
    assert validation.values() == values and not model.training
    # One block of mixtures each time, or once; without reads for a model that has no use for them.
    assert methylation.read == (1 if stays else 2) and depth.read == methylation.read * model.needs_depth
    found = predict(model, mixtures.methylation, mixtures.depth)
    scores = Scores(mixtures.proportions, found.proportions)
    for name in ("mae", "presence_accuracy", "predicted_tissues", "spurious_per_mixture"):
        assert values[f"val/{name}"] == pytest.approx(scores.value(name), rel=1e-6), name
    assert values["val/mse_loss"] == pytest.approx(np.square(found.proportions - mixtures.proportions).mean(), rel=1e-6)
    gate = found.presence_probability
    closed = 0.0 if gate is None else (gate.max(axis=1) < model.head.threshold).mean()
    assert values["val/closed_gate"] == pytest.approx(closed, abs=1e-6)
    (observed,) = batches(model, mixtures.methylation, mixtures.depth, mixtures.proportions)
    with torch.no_grad():
        losses = model.loss(observed[0], observed[2], observed[1])
    for name in set(losses) - {"mse_loss"}:
        assert values[f"val/{name}"] == pytest.approx(losses[name].item(), rel=1e-5), name
    assert values["val/mae_loss"] == 0 or "mae" in model.weights


def test_tensors_are_predicted_as_rows_are(model, mixtures):
    rows = mixtures.methylation[:], mixtures.depth[:]
    found = predict_tensors(model, *(torch.from_numpy(part.astype(np.float32)) for part in rows))
    assert (found.proportions == predict(model, *rows).proportions).all()


def test_most_mixtures_have_a_closed_gate_where_the_threshold_is_high(mixtures):
    settings = tiny_arm("sparse", **{"model.presence_threshold": 0.99})
    model = build_model(settings, torch.from_numpy(tiny_reference().complete_profiles("train")), seed=1)
    values = Validation(model, mixtures).values()
    assert values["val/closed_gate"] == 1 and values["val/predicted_tissues"] == 1
