"""The model of how donors of one tissue differ."""

import json
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
from experiments import KNOWN_VARIATION, NO_VARIATION

from methmix.reference.variation import MAXIMUM_ADMIXTURE, DonorVariation


def test_draw_has_the_spread_of_the_model(rng):
    means = np.repeat([[0.1, 0.5, 0.9]], 60_000, axis=1)
    drawn = replace(KNOWN_VARIATION, donor_spread=0.0).draw(means, 0, [], rng).methylation.reshape(3, -1)
    logits = np.log(drawn / (1 - drawn))
    # The standard deviation of Student's t with 5 degrees of freedom is sqrt(5 / 3).
    expected = 0.3 * np.exp(-0.8 * (np.array([0.1, 0.5, 0.9]) - 0.5)) * np.sqrt(5 / 3)
    np.testing.assert_allclose(logits.std(axis=1), expected, rtol=0.04)
    np.testing.assert_allclose(logits.mean(axis=1), np.log([1 / 9, 1, 9]), atol=0.01)


def test_donors_vary_more_or_less(rng):
    means = np.full((1, 4000), 0.5)
    drawn = np.stack([KNOWN_VARIATION.draw(means, 0, [], rng).methylation for _ in range(400)])
    spread = np.median(np.abs(np.log(drawn / (1 - drawn))), axis=1)
    assert np.log(spread).std() == pytest.approx(0.25, rel=0.15)


def test_admixture(rng):
    means = np.array([[1.0] * 10, [0.0] * 10, [np.nan] * 10])
    impure = replace(NO_VARIATION, mean_admixture=0.1)
    shares = np.array([1 - impure.draw(means, 0, [1], rng).methylation[0] for _ in range(4000)])
    assert shares.mean() == pytest.approx(0.1, rel=0.1)
    assert 0 <= shares.min() < 0.01
    assert shares.max() <= MAXIMUM_ADMIXTURE
    # What is unknown in the other tissue is taken to be as in the own one.
    np.testing.assert_array_equal(impure.draw(means, 0, [2], rng).methylation, 1.0)


def test_other_tissues_are_chosen_at_random(rng):
    means = np.eye(4)
    impure = replace(NO_VARIATION, mean_admixture=5.0)
    seen = np.array([impure.draw(means, 0, [1, 2, 3], rng).methylation[1:] > 0.1 for _ in range(300)])
    assert (seen.sum(axis=1) <= 1).all()
    assert (seen.sum(axis=0) > 50).all()


def test_edges_and_unknown_entries_stay(rng):
    means = np.array([[0.0, 1.0, np.nan, 0.5]])
    drawn = KNOWN_VARIATION.draw(means, 0, [], rng).methylation
    np.testing.assert_array_equal(drawn[:3], [0.0, 1.0, np.nan])
    assert drawn[3] != 0.5


@pytest.mark.parametrize("kind", ["healthy", "tumour"])
def test_shipped_parameters(kind):
    shipped = DonorVariation.shipped(kind)
    assert 0 < shipped.scale < 1
    assert shipped.degrees_of_freedom > 2
    assert 0 <= shipped.mean_admixture < 0.1


def test_tumours_differ_more_than_healthy_cells():
    assert DonorVariation.shipped("tumour").scale > 1.5 * DonorVariation.shipped("healthy").scale


@pytest.mark.parametrize("kind", ["healthy", "tumour"])
def test_model_has_the_observed_variance_along_methylation(kind):
    """The shipped evidence, which the test above holds to the real replicates."""
    shipped = json.loads(files("methmix.reference").joinpath("donor_variation.json").read_text())
    evidence = shipped["evidence"][kind]["between_donor_variance"]
    observed, model = np.array(evidence["observed"]), np.array(evidence["model"])
    # In the highest bin of the shallow tumours nothing is left once the variance of reads is taken off.
    known = observed > 1e-5
    assert known.sum() >= 8
    ratio = model[known] / observed[known]
    assert (ratio > 1 / 2.5).all()
    assert (ratio < 2.5).all()


@pytest.mark.parametrize("kind", ["healthy", "tumour"])
def test_variance_is_that_of_drawn_donors(kind, rng):
    variation, m = DonorVariation.shipped(kind), np.array([0.05, 0.2, 0.5, 0.8, 0.95])
    means = np.tile(m, 40)[None]
    drawn = np.stack([variation.draw(means, 0, [], rng).methylation for _ in range(4000)]).reshape(-1, len(m))
    assert variation.variance(m) == pytest.approx(drawn.var(axis=0), rel=0.2)
