from dataclasses import replace

import numpy as np
import pytest
import torch
from experiments import ROOT, tiny_arm, tiny_mixtures, tiny_reference
from scipy.optimize import nnls as scipy_nnls

from methmix import metrics
from methmix.config.load import load_arm
from methmix.evaluation import controls
from methmix.models.registry import build_model
from methmix.training.episodes import Episodes


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    reference = tiny_reference()
    return reference, tiny_mixtures(reference, "test", tmp_path_factory.mktemp("mixtures"))


def test_nnls_agrees_with_scipy(data):
    reference, mixtures = data
    found = controls.nnls(reference, mixtures)
    profiles = reference.complete_profiles("train")
    for row in range(10):
        weight = np.sqrt(mixtures.depth[row].astype(float))
        value = np.nan_to_num(mixtures.methylation[row]).astype(float)
        expected, _ = scipy_nnls((profiles * weight).T, value * weight)
        assert np.allclose(found[row], expected / expected.sum(), atol=1e-6)


def test_em_reaches_what_the_em_algorithm_converges_to(data):
    """The updates of CelFiE with a fixed reference, many times, from a uniform start."""
    reference, mixtures = data
    found = controls.em(reference, mixtures)
    assert np.allclose(found.sum(axis=1), 1)
    profiles = reference.complete_profiles("train").clip(1e-3, 1 - 1e-3)
    for row in range(5):
        depth = mixtures.depth[row].astype(float)
        methylated = np.nan_to_num(mixtures.methylation[row]).astype(float) * depth
        x = np.full(len(profiles), 1 / len(profiles))
        for _ in range(20_000):
            chance = x @ profiles
            x = x * (profiles @ (methylated / chance) + (1 - profiles) @ ((depth - methylated) / (1 - chance)))
            x /= x.sum()
        assert np.allclose(found[row], x, atol=2e-4)


def test_em_of_a_mixture_without_reads_is_nothing(data):
    reference, mixtures = data
    nothing = replace(
        mixtures, methylation=np.full_like(mixtures.methylation[:], np.nan), depth=np.zeros_like(mixtures.depth[:])
    )
    assert np.isfinite(controls.em(reference, nothing)).all()


def test_oracle_is_better_than_nnls_and_knows_the_donors(data):
    reference, mixtures = data
    bound = metrics.mae(mixtures.proportions, controls.oracle(reference, mixtures, "test"))
    assert bound < 0.7 * metrics.mae(mixtures.proportions, controls.nnls(reference, mixtures))


def test_cut_normalises_and_keeps_the_largest():
    proportions = np.array([[0.5, 0.48, 0.02], [0.034, 0.033, 0.033]])
    found = controls.cut(proportions, 0.05)
    assert found[0].tolist() == pytest.approx([0.5 / 0.98, 0.48 / 0.98, 0])
    assert found[1].tolist() == [1.0, 0.0, 0.0]


def test_cut_is_chosen_by_the_error_on_what_it_is_given():
    true = np.array([[0.9, 0.1, 0.0]])
    predicted = np.array([[0.85, 0.1, 0.05]])
    assert controls.choose_cut(predicted, true, [0.01, 0.07, 0.2]) == 0.07


def test_trivial_controls(data):
    _, mixtures = data
    n_tissues = len(mixtures.tissue_names)
    assert np.allclose(controls.uniform(mixtures), 1 / n_tissues)
    assert (controls.all_absent(mixtures) == 0).all()


def test_least_squares_is_the_sparse_arm_without_its_network(data):
    reference, mixtures = data
    settings = load_arm(ROOT / "config/phase2_sparse.yaml").model
    found = controls.least_squares(reference, mixtures, settings)
    profiles = Episodes(reference, settings.purify_donors).profiles
    arm = tiny_arm("sparse", **{"model.backbone": "reference"})
    model = build_model(arm, profiles.mean, 0, profiles).eval()
    shares = model.backbone(torch.from_numpy(mixtures.methylation[:]), torch.from_numpy(mixtures.depth[:]).float())[1]
    # The backbone gives each tissue a little, so that it can be corrected.
    assert found.clip(0.003) == pytest.approx(shares.detach().numpy(), abs=1e-5)
    assert (found == 0).any()
    exact = settings.model_copy(update={"errors_in_variables": False})
    assert not np.allclose(found, controls.least_squares(reference, mixtures, exact))
