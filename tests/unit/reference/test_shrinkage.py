"""Profiles shrunken towards what the tissues have in common."""

import numpy as np
import pytest
import torch
from experiments import KNOWN_VARIATION, drawn_donors, tiny_reference

from methmix.reference.profiles import DonorSums, training_donors
from methmix.reference.shrinkage import ShrunkenProfiles
from methmix.reference.simulator import simulate_means
from methmix.tissue_profiles import Profiles


@pytest.fixture(scope="module")
def truth():
    """Means of the six tissues of `drawn_donors`."""
    groups = {"a": ["A", "B"], "c": ["C", "D"], "e": ["E", "F"]}
    return simulate_means(groups, 3000, np.random.default_rng(0))


@pytest.fixture(scope="module")
def donors():
    """Three donors of each tissue."""
    reference = drawn_donors(KNOWN_VARIATION, n_donors=3)
    groups = [list(rows) for rows in reference.pool("train").values()]
    return DonorSums(reference.fractions, reference.depth, groups)


def logits(values):
    return torch.logit(torch.as_tensor(values).double().clamp(0.01, 0.99)).numpy()


def test_shrunken_profiles_are_nearer_to_the_truth(donors, truth):
    raw, shrunken = donors.all, ShrunkenProfiles(donors).all
    errors = [np.square(logits(profiles.mean) - logits(truth)).mean() for profiles in (raw, shrunken)]
    assert errors[1] < 0.7 * errors[0]
    # Regions in which tissues are in opposite states keep their contrast.
    apart = np.ptp(truth, axis=0) > 0.6
    assert apart.sum() > 50
    kept = np.ptp(shrunken.mean.numpy(), axis=0)[apart] / np.ptp(truth, axis=0)[apart]
    assert kept.mean() == pytest.approx(1, abs=0.1)


def test_truth_does_not_regress_from_a_shrunken_profile(donors, truth):
    """The slope of the truth on an expectation is 1; on a mean with errors it is below, which attenuates estimates."""
    slopes, centre = {}, np.median(logits(donors.all.mean), axis=0)
    # By what was observed: a choice by the truth would be another question.
    alike = np.ptp(logits(donors.all.mean), axis=0) < 1
    for name, profiles in (("raw", donors.all), ("shrunken", ShrunkenProfiles(donors).all)):
        contrast, true = ((logits(values) - centre)[:, alike] for values in (profiles.mean, truth))
        slopes[name] = (contrast * true).sum() / np.square(contrast).sum()
    assert slopes["raw"] < 0.6
    assert slopes["shrunken"] == pytest.approx(1, abs=0.25)


def test_what_is_left_unknown_adds_to_the_spread(donors, truth):
    shrunken = ShrunkenProfiles(donors).all
    assert (shrunken.noise == 0).all() and (shrunken.spread >= 0).all()
    left = (shrunken.spread - donors.all.spread).numpy()
    error = np.square(shrunken.mean.numpy() - truth)
    assert left.mean() == pytest.approx(error.mean(), rel=0.5)


def test_profiles_without_error_stay_as_they_are(donors):
    exact = DonorSums.__new__(DonorSums)
    exact.all = Profiles(donors.all.mean, donors.all.spread, torch.zeros_like(donors.all.noise))
    found = ShrunkenProfiles(exact).all
    inside = (donors.all.mean > 0.01) & (donors.all.mean < 0.99)
    assert torch.allclose(found.mean[inside], donors.all.mean[inside], atol=1e-3)


def test_a_profile_without_a_donor_is_of_the_others():
    reference = tiny_reference()
    donors = training_donors(reference, purify=False)
    shrunken = ShrunkenProfiles(donors)
    rows = next(iter(reference.pool("train").values()))
    without = shrunken.without([0], [rows[0]])
    assert without.mean.shape == (1, 600)
    assert (without.mean - donors.without([0], [rows[0]]).mean).abs().mean() < 0.05
    assert not torch.equal(without.mean[0], shrunken.all.mean[0])
