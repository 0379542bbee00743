from dataclasses import replace

import numpy as np
import pytest
import torch
from experiments import ROOT, tiny_arm, tiny_experiment, tiny_mixtures, tiny_reference
from scipy.optimize import nnls as scipy_nnls

from methmix.arms import ARMS, names
from methmix.evaluation import controls
from methmix.evaluation.controls import Context
from methmix.models.registry import build_model
from methmix.scores import Scores
from methmix.training.least_squares_choice import with_least_squares


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    context = Context(tiny_reference(), tiny_experiment(), "phase2")
    return context, tiny_mixtures(context.reference, "test", tmp_path_factory.mktemp("mixtures"))


def test_nnls_agrees_with_scipy(data):
    context, mixtures = data
    found = controls.nnls(context, mixtures).proportions
    profiles = context.profiles
    for row in range(10):
        weight = np.sqrt(mixtures.depth[row].astype(float))
        value = np.nan_to_num(mixtures.methylation[row]).astype(float)
        expected, _ = scipy_nnls((profiles * weight).T, value * weight)
        assert np.allclose(found[row], expected / expected.sum(), atol=1e-6)


def test_oracle_is_better_than_nnls_and_knows_the_donors(data):
    context, mixtures = data
    both = [control(context, mixtures).proportions for control in (controls.oracle, controls.nnls)]
    bound, nnls = (Scores(mixtures.proportions, proportions).value("mae") for proportions in both)
    assert bound < 0.7 * nnls


def test_trivial_controls(data):
    context, mixtures = data
    n_tissues = len(mixtures.tissue_names)
    assert np.allclose(controls.uniform(context, mixtures).proportions, 1 / n_tissues)
    nothing = controls.all_absent(context, mixtures)
    assert (nothing.proportions == 0).all() and (nothing.presence_probability == 0).all()


def test_least_squares_is_the_sparse_arm_without_its_network(data, monkeypatch):
    monkeypatch.chdir(ROOT)
    context, mixtures = data
    found = controls.least_squares(context, mixtures).proportions
    profiles = context.main_profiles
    arm, choice = with_least_squares(
        tiny_arm("sparse", **{"model.backbone": "reference"}), context.experiment, context.reference
    )
    assert choice and arm.model.stated == context.main_settings.stated == choice.settings._asdict()
    model = build_model(arm, profiles.mean, 0, profiles).eval()
    shares = model.backbone(torch.from_numpy(mixtures.methylation[:]), torch.from_numpy(mixtures.depth[:]).float())[1]
    # The backbone gives each tissue a little, so that it can be corrected.
    assert found.clip(0.003) == pytest.approx(shares.detach().numpy(), abs=1e-5)
    assert (found == 0).any()
    exact = context.experiment.model_copy(update={"overrides": {"model.errors_in_variables": False}})
    assert not np.allclose(found, controls.least_squares(replace(context, experiment=exact), mixtures).proportions)


def test_every_arm_without_a_checkpoint_is_a_control():
    """A line of the registry without a function, or a function that no arm uses, is a mistake."""
    assert set(controls.CONTROLS) == set(names("control", "bound", "trivial"))
    assert not [name for name in names("trained") if ARMS[name].cut]
