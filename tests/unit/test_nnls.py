"""Weighted NNLS against scipy's on the full problem."""

import numpy as np
import pytest
from scipy.optimize import nnls as scipy_nnls

from methmix import nnls
from methmix.nnls import normalise, weighted_nnls


def _problem(rng, n_tissues=8, n_regions=300, n_mixtures=20):
    profiles = rng.beta(3, 1, (n_tissues, n_regions))
    truth = rng.dirichlet(np.full(n_tissues, 0.3), n_mixtures)
    weights = rng.poisson(5, (n_mixtures, n_regions)).astype(float)
    values = np.clip(truth @ profiles + 0.1 * rng.standard_normal((n_mixtures, n_regions)), 0, 1)
    return profiles, values, weights, truth


def _direct(profiles, values, weights):
    """Solve the weighted problem whole: rows scaled by the square root of their weight."""
    return np.stack(
        [
            scipy_nnls(np.sqrt(weight)[:, None] * profiles.T, np.sqrt(weight) * np.where(weight > 0, value, 0))[0]
            for value, weight in zip(values, weights, strict=True)
        ]
    )


def test_equals_scipy(rng):
    profiles, values, weights, _ = _problem(rng)
    solved = weighted_nnls(profiles, values, weights)
    expected = _direct(profiles, values, weights)
    np.testing.assert_allclose(solved, expected, atol=1e-6)
    # The problems are such that the bound at 0 is met.
    assert 0.1 < (expected == 0).mean() < 0.9


def test_regions_in_blocks_give_the_same(rng, monkeypatch):
    profiles, values, weights, _ = _problem(rng)
    whole = weighted_nnls(profiles, values, weights)
    monkeypatch.setattr(nnls, "_MOST_PRODUCTS", 70 * 8**2)
    np.testing.assert_allclose(weighted_nnls(profiles, values, weights), whole, atol=1e-9)


def test_weights_matter(rng):
    profiles, values, weights, _ = _problem(rng)
    flat = weighted_nnls(profiles, values, np.ones_like(weights))
    assert np.abs(flat - weighted_nnls(profiles, values, weights)).max() > 0.01


def test_equals_scipy_where_tissues_are_much_alike(rng):
    base = rng.beta(9, 1, 2000)
    profiles = np.clip(base + 0.02 * rng.standard_normal((22, 2000)), 0, 1)
    weights = rng.poisson(30, (5, 2000)).astype(float)
    values = np.clip(rng.dirichlet(np.ones(22), 5) @ profiles + 0.02 * rng.standard_normal((5, 2000)), 0, 1)
    np.testing.assert_allclose(weighted_nnls(profiles, values, weights), _direct(profiles, values, weights), atol=1e-6)


def test_finds_the_truth_without_noise(rng):
    profiles, _, weights, truth = _problem(rng)
    np.testing.assert_allclose(weighted_nnls(profiles, truth @ profiles, weights), truth, atol=1e-6)


def test_values_without_weight_are_ignored(rng):
    profiles, values, weights, _ = _problem(rng)
    weights[:, ::3] = 0
    expected = weighted_nnls(profiles, values, weights)
    values[:, ::3] = np.nan
    np.testing.assert_array_equal(weighted_nnls(profiles, values, weights), expected)
    np.testing.assert_allclose(expected, _direct(profiles, values, weights), atol=1e-6)


def test_mixture_without_any_weight(rng):
    profiles, values, weights, _ = _problem(rng)
    weights[3] = 0
    values[3] = np.nan
    solved = weighted_nnls(profiles, values, weights)
    assert (solved[3] == 0).all()
    assert (solved[[2, 4]].sum(axis=1) > 0).all()


def test_tissues_with_one_profile_share(rng):
    profiles, _, weights, _ = _problem(rng)
    profiles[1] = profiles[0]
    truth = np.zeros((len(weights), 8))
    truth[:, 0], truth[:, 2] = 0.6, 0.4
    solved = weighted_nnls(profiles, truth @ profiles, weights)
    assert np.isfinite(solved).all()
    np.testing.assert_allclose(solved[:, 0] + solved[:, 1], 0.6, atol=1e-4)
    np.testing.assert_allclose(solved[:, 2], 0.4, atol=1e-4)


def test_blocks_do_not_change_the_result(rng, monkeypatch):
    profiles, values, weights, _ = _problem(rng)
    whole = weighted_nnls(profiles, values, weights)
    monkeypatch.setattr(nnls, "_BLOCK", 7)
    np.testing.assert_allclose(weighted_nnls(profiles, values, weights), whole, atol=1e-12)


def test_single_precision_values_are_solved_in_double(rng):
    profiles, values, weights, _ = _problem(rng)
    solved = weighted_nnls(profiles, values.astype(np.float32), weights.astype(np.int32))
    assert solved.dtype == np.float64
    np.testing.assert_allclose(solved, _direct(profiles, values, weights), atol=1e-5)


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_normalise(shape):
    coefficients = np.broadcast_to([1.0, 3.0, 0.0], shape)
    np.testing.assert_allclose(normalise(coefficients), np.broadcast_to([0.25, 0.75, 0.0], shape))


def test_normalise_leaves_nothing_as_it_is():
    np.testing.assert_array_equal(normalise(np.array([[0, 0], [1, 1]])), [[0, 0], [0.5, 0.5]])


def test_says_how_many_problems_did_not_converge(rng, monkeypatch, caplog):
    profiles, values, weights, _ = _problem(rng)
    solved = weighted_nnls(profiles, values, weights)
    assert not caplog.records
    monkeypatch.setattr(nnls, "_MOST_ROUNDS", 1)
    stopped = weighted_nnls(profiles, values, weights)
    wrong = int((np.abs(stopped - solved) > 1e-6).any(axis=1).sum())
    assert wrong > 0 and [record.name for record in caplog.records] == ["methmix"]
    assert caplog.messages == [f"NNLS: {wrong} of 20 problems did not converge in 1 exchanges"]
