from dataclasses import replace

import numpy as np
import pytest
import torch
from experiments import ROOT, tiny_arm, tiny_experiment, tiny_mixtures, tiny_reference
from scipy.optimize import nnls as scipy_nnls

from methmix.arms import ARMS, names
from methmix.evaluation import controls
from methmix.evaluation.controls import Context
from methmix.evaluation.likelihood import maximum_likelihood
from methmix.models.registry import build_model
from methmix.nnls import normalise
from methmix.scores import Scores
from methmix.tissue_profiles import marker_weights
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
    of_donors = controls.oracle(context, mixtures).proportions
    bound = np.einsum("nd,ndt->nt", of_donors, controls.donor_composition(context, mixtures))
    both = bound, controls.nnls(context, mixtures).proportions
    errors = [Scores(mixtures.proportions, proportions).value("mae") for proportions in both]
    assert errors[0] < 0.7 * errors[1]
    # It estimates donors: their proportions are those of the labels.
    assert Scores(mixtures.label_proportions, of_donors).value("mae") < 0.7 * errors[1]


def test_composition_of_donors_turns_their_proportions_into_the_truth(data):
    context, mixtures = data
    composition = controls.donor_composition(context, mixtures)
    assert composition.sum(axis=2) == pytest.approx(np.ones(mixtures.proportions.shape), abs=1e-5)
    true = np.einsum("nd,ndt->nt", mixtures.label_proportions, composition)
    assert true == pytest.approx(mixtures.proportions, abs=1e-5)


def test_oracle_of_one_mixture_is_maximum_likelihood_with_its_donors(data):
    context, mixtures = data
    reference, found = context.reference, controls.oracle(context, mixtures).proportions
    for row in (0, 7):
        profiles = reference.complete_profiles("test")
        for tissue, donor in mixtures.info[row]["donors"].items():
            own = reference.fractions[reference.donors.index(donor)]
            column = reference.tissue_names.index(tissue)
            profiles[column] = np.where(np.isnan(own), profiles[column], own)
        one = replace(
            mixtures,
            methylation=mixtures.methylation[row : row + 1],
            depth=mixtures.depth[row : row + 1],
            proportions=mixtures.proportions[row : row + 1],
            label_proportions=mixtures.label_proportions[row : row + 1],
        )
        assert found[row] == pytest.approx(normalise(maximum_likelihood(profiles, one))[0], abs=1e-4)


@pytest.fixture
def on_markers(data, monkeypatch):
    monkeypatch.chdir(ROOT)
    return data[0].with_markers(20), data[1]


def test_markers_are_those_of_the_main_arm_and_of_training_donors(on_markers):
    context, mixtures = on_markers
    profiles, at_markers = context.at_markers(mixtures)
    used = (marker_weights(context.main_profiles, 20) > 0).numpy()
    assert 20 < used.sum() < 20 * len(mixtures.tissue_names) < len(used)
    assert np.array_equal(profiles, context.profiles[:, used])
    assert at_markers.depth.shape == at_markers.methylation.shape == (len(mixtures), used.sum())
    assert np.array_equal(at_markers.depth[3:5], mixtures.depth[3:5][:, used])
    assert np.array_equal(at_markers.methylation[3], mixtures.methylation[3][used], equal_nan=True)
    # Without the donors that are not of the training it is the same.
    train = [row for row, split in enumerate(context.reference.split) if split == "train"]
    other = replace(
        context.reference,
        methylated=np.where(np.isin(np.arange(len(context.reference.donors)), train)[:, None],
                            context.reference.methylated, 0),
    )  # fmt: skip
    assert np.array_equal(replace(context, reference=other).at_markers(mixtures)[0], profiles)


def test_controls_on_markers(on_markers):
    context, mixtures = on_markers
    profiles, at_markers = context.at_markers(mixtures)
    found = controls.nnls_markers(context, mixtures).proportions
    for row in range(5):
        depth = at_markers.depth[row].astype(float)
        weight = np.sqrt(depth / (depth + 10))
        expected, _ = scipy_nnls((profiles * weight).T, np.nan_to_num(at_markers.methylation[row]) * weight)
        assert np.allclose(found[row], expected / expected.sum(), atol=1e-6)
    likely = controls.em_markers(context, mixtures).proportions
    assert np.allclose(likely, normalise(maximum_likelihood(profiles, at_markers)))
    for proportions in (found, likely):
        assert Scores(mixtures.proportions, proportions).value("mae") < 0.05


def test_all_regions_are_no_markers(data):
    context, mixtures = data
    assert np.array_equal(context.at_markers(mixtures)[0], context.profiles)
    assert np.allclose(controls.em_markers(context, mixtures).proportions, controls.em(context, mixtures).proportions)


def test_number_of_markers_is_that_of_the_main_arm_if_it_uses_some(data, monkeypatch):
    monkeypatch.chdir(ROOT)
    context = data[0]
    assert context.numbers_of_markers == (0, 50, 100, 200)
    some = context.experiment.model_copy(update={"overrides": {"model.markers_per_tissue": 30}})
    assert replace(context, experiment=some).numbers_of_markers == (30,)


def test_replicates_are_atoms_of_the_quadratic_program(data):
    context, mixtures = data
    found, reference = controls.qp_replicates(context, mixtures).proportions, context.reference
    rows = [row for row, split in enumerate(reference.split) if split == "train"]
    columns = [reference.tissue_names.index(reference.tissues[row]) for row in rows]
    atoms = np.where(np.isnan(reference.fractions[rows]), context.profiles[columns], reference.fractions[rows])
    for row in range(3):
        weight = np.sqrt(mixtures.depth[row].astype(float))
        value = np.nan_to_num(mixtures.methylation[row]).astype(float)
        of_atoms, _ = scipy_nnls((atoms * weight).T, value * weight)
        expected = np.bincount(columns, of_atoms, len(reference.tissue_names))
        assert found[row] == pytest.approx(expected / expected.sum(), abs=1e-5)


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
    shares = model(torch.from_numpy(mixtures.methylation[:]), torch.from_numpy(mixtures.depth[:]).float())[1]
    # The backbone gives each tissue a little, so that it can be corrected.
    assert found.clip(0.003) == pytest.approx(shares.detach().numpy(), abs=1e-5)
    assert (found == 0).any()
    exact = context.experiment.model_copy(update={"overrides": {"model.errors_in_variables": False}})
    assert not np.allclose(found, controls.least_squares(replace(context, experiment=exact), mixtures).proportions)


def test_every_arm_without_a_checkpoint_is_a_control():
    """A line of the registry without a function, or a function that no arm uses, is a mistake."""
    assert set(controls.CONTROLS) == set(names("control", "bound", "trivial"))
    assert not [name for name in names("trained") if ARMS[name].cut]
    assert set(names(markers=True)) <= set(names("control", cut=True, of_main=True))
