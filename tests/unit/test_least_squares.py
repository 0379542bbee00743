"""Least squares that accounts for its errors."""

import numpy as np
import pytest
import torch
from experiments import mixed_profiles as made
from scipy.optimize import minimize

from methmix.least_squares import regress
from methmix.tissue_profiles import Profiles, marker_weights


def test_proportions_are_not_negative_and_sum_to_one(rng):
    solution = regress(*made(rng)[:3]).solution()
    assert (solution.proportions >= 0).all()
    assert solution.proportions.sum(dim=1).numpy() == pytest.approx(1)
    assert (solution.proportions == 0).any()
    assert solution.unconstrained.sum(dim=1).numpy() == pytest.approx(1)


def test_finds_the_truth_where_there_is_no_noise(rng):
    profiles, _, depth, proportions = made(rng)
    exact = torch.from_numpy(proportions).float() @ profiles.mean
    found = regress(profiles, exact, depth * 1000).solution()
    assert found.proportions.numpy() == pytest.approx(proportions, abs=1e-4)


def test_equals_a_general_optimiser_at_its_own_weights(rng):
    """The last of the reweighted problems, solved by scipy with the constraints as they are."""
    profiles, methylation, depth, _ = made(rng, n_mixtures=3, spread=0.01)
    found = regress(profiles, methylation, depth).solution().proportions.numpy()
    mean, spread, noise = (v.numpy() for v in (profiles.mean, profiles.spread, profiles.noise))
    for row in range(3):
        y, d = np.nan_to_num(methylation[row].numpy()), depth[row].numpy()
        x, weight = None, d.astype(float)
        for step in range(3):
            if step:
                p = (x @ mean).clip(0.002, 0.998)
                weight = np.where(d > 0, 1 / (p * (1 - p) / np.maximum(d, 1) + x**2 @ (spread + noise) + 1e-3), 0)
            gram = (mean * weight) @ mean.T - np.diag(noise @ weight)

            gram, side = gram / weight.sum(), (mean * weight) @ y / weight.sum()

            def objective(x, gram=gram, side=side):
                return x @ gram @ x / 2 - side @ x

            x = minimize(
                objective, np.full(6, 1 / 6), bounds=[(0, 1)] * 6, method="SLSQP", tol=1e-14,
                constraints={"type": "eq", "fun": lambda x: x.sum() - 1},
            ).x  # fmt: skip
        assert found[row] == pytest.approx(x, abs=3e-3)


def test_noise_of_the_profiles_is_corrected_for(rng):
    """Without the correction mass leaks to absent tissues."""
    profiles, methylation, depth, proportions = made(rng, n_mixtures=200, donors=2, spread=0.02)
    blind = Profiles(profiles.mean, profiles.spread, torch.zeros_like(profiles.noise))
    error, error_blind = (
        np.abs(regress(p, methylation, depth).solution().proportions.numpy() - proportions).mean()
        for p in (profiles, blind)
    )
    assert error < 0.8 * error_blind


def test_standard_errors_are_the_spread_of_the_estimates(rng):
    profiles, _, _, _ = made(rng)
    proportions = np.array([0.4, 0.3, 0.3, 0, 0, 0])
    depth = rng.poisson(40, (400, 800))
    methylated = rng.binomial(depth, (proportions @ profiles.mean.numpy()).clip(0, 1))
    solution = regress(
        profiles, *(torch.from_numpy(v).float() for v in (methylated / np.maximum(depth, 1), depth))
    ).solution()
    # The floor of the variance makes them a little too large.
    ratio = solution.standard_error.numpy().mean(axis=0) / solution.unconstrained.numpy().std(axis=0)
    assert ((ratio > 0.9) & (ratio < 1.8)).all()


def test_one_mixture_and_many_give_the_same(rng):
    profiles, methylation, depth, _ = made(rng, spread=0.01)
    many = regress(profiles, methylation, depth).solution()
    one = regress(profiles, methylation[[7]], depth[[7]]).solution()
    for whole, part in zip(many, one, strict=True):
        assert part[0].numpy() == pytest.approx(whole[7].numpy(), rel=1e-4, abs=1e-5)


def test_values_without_reads_are_ignored(rng):
    profiles, methylation, depth, _ = made(rng, spread=0.01)
    depth[:, ::2] = 0
    expected = regress(profiles, methylation, depth).solution().proportions
    methylation[:, ::2] = torch.nan
    assert torch.equal(regress(profiles, methylation, depth).solution().proportions, expected)


def test_a_mixture_without_reads_is_no_error(rng):
    profiles, methylation, depth, _ = made(rng)
    solution = regress(profiles, torch.full_like(methylation, torch.nan), torch.zeros_like(depth)).solution()
    assert all(torch.isfinite(values).all() for values in solution)


def test_markers_are_the_regions_that_stand_out(rng):
    """Every tissue has ten regions of its own; all else is the same in all."""
    mean = np.repeat(rng.random((1, 500)) * 0.2 + 0.4, 5, axis=0)
    for tissue in range(5):
        mean[tissue, 10 * tissue : 10 * tissue + 10] = rng.choice([0.02, 0.98], 10)
    profiles = Profiles(*(torch.from_numpy(v).float() for v in (mean, np.full_like(mean, 0.01), np.zeros_like(mean))))
    weights = marker_weights(profiles, 10)
    assert (weights[:50] == 1).all() and (weights[50:] == 0).all()
    # Where donors differ much, the same distance is less informative.
    profiles.spread[:, :5] = 0.5
    assert (marker_weights(profiles, 5)[:5] == 0).all()


def test_markers_alone_find_the_proportions(rng):
    profiles, methylation, depth, proportions = made(rng)
    found = regress(profiles, methylation, depth, markers_per_tissue=60).solution()
    assert np.abs(found.proportions.numpy() - proportions).mean() < 0.03
    none_left_out = regress(profiles, methylation, depth, markers_per_tissue=10_000).solution()
    assert torch.isfinite(none_left_out.standard_error).all()


def test_an_unconstrained_sum_absorbs_a_shift_of_all_regions(rng):
    """Every region a fifth less methylated: proportions constrained to sum to 1 are wrong, others are only smaller."""
    profiles, methylation, depth, proportions = made(rng)

    def error(sum_to_one):
        found = regress(profiles, 0.8 * methylation, depth * 100, sum_to_one=sum_to_one).solution()
        return np.abs(found.proportions.numpy() - proportions).mean()

    assert error(False) < 0.5 * error(True)


def test_it_converges_with_fewer_observed_regions_than_tissues(rng, caplog):
    profiles, methylation, depth, _ = made(rng, n_mixtures=500)
    few = torch.where(torch.arange(depth.shape[1]) < 4, depth, 0)
    hidden = torch.where(few > 0, methylation, torch.nan)
    regress(profiles.exact(), hidden, few, sum_to_one=False).solution()
    assert not caplog.messages


def test_without_reads_all_tissues_are_equal_with_an_unconstrained_sum(rng):
    profiles, methylation, depth, _ = made(rng, n_mixtures=2)
    found = regress(profiles, methylation * np.nan, depth * 0, markers_per_tissue=20, sum_to_one=False).solution()
    assert found.proportions.numpy() == pytest.approx(1 / 6) and torch.isfinite(found.standard_error).all()
