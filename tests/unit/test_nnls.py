"""Weighted NNLS against scipy's on the full problem."""

import numpy as np
import pytest
import torch
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


def _many(kind, n=40, n_tissues=9):
    """Problems that converge in different rounds, or never."""
    random = torch.Generator().manual_seed(7)
    factors = torch.rand(n, n_tissues, 60, generator=random, dtype=torch.float64)
    if kind == "degenerate":
        factors[:, 1], factors[::3] = factors[:, 0], 0
    gram = factors @ factors.transpose(1, 2)
    if kind == "indefinite":
        gram = gram - 2 * torch.diag_embed(torch.rand(n, n_tissues, generator=random, dtype=torch.float64) * 9)
    return gram, 40 * torch.randn(n, n_tissues, generator=random, dtype=torch.float64) * (gram != 0).any(dim=2)


@pytest.mark.parametrize("kind", ["random", "degenerate", "indefinite"])
def test_all_problems_in_every_round_give_the_same_as_those_that_are_left(kind, monkeypatch, caplog):
    monkeypatch.setattr(nnls, "_MOST_ROUNDS", 60)
    gram, right_side = _many(kind)
    compacted = nnls.solve(gram, right_side, compact=True)
    asked, rounds, count, solve = [], [], torch.nonzero, nnls.solved
    monkeypatch.setattr(torch, "nonzero", lambda *arguments: asked.append(1) or count(*arguments))
    monkeypatch.setattr(nnls, "solved", lambda *arguments: rounds.append(len(arguments[0])) or solve(*arguments))
    whole = nnls.solve(gram, right_side, compact=False)
    torch.testing.assert_close(whole, compacted, rtol=1e-12, atol=1e-12)
    assert (whole > 0).any() and (whole == 0).any()
    # A GPU is waited for at most once in so many rounds.
    assert set(rounds) == {len(gram)} and 0 < len(asked) <= (len(rounds) - 1) / nnls._UNCHECKED
    never = [message for message in caplog.messages if "did not converge in 60 exchanges" in message]
    assert len(never) == 2 * (kind == "indefinite") and len(set(never)) <= 1


def test_a_problem_without_a_gram_matrix_has_no_solution_but_zero():
    gram, right_side = _many("degenerate")
    for compact in (False, True):
        assert (nnls.solve(gram, right_side + 1, compact)[::3] == 0).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("kind", ["random", "degenerate"])
def test_a_gpu_gives_the_same(kind):
    gram, right_side = _many(kind)
    found = nnls.solve(gram.cuda(), right_side.cuda()).cpu()
    torch.testing.assert_close(found, nnls.solve(gram, right_side), rtol=1e-6, atol=1e-6)
