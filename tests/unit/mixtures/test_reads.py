"""Reads drawn fast: as exact methods would, wherever and in whatever batch they are drawn."""

import numpy as np
import pytest
import torch
from experiments import tiny_reference
from scipy import stats

from methmix.mixtures.poisson import CHOICE_BITS, counts
from methmix.mixtures.reads import draw_mixtures, in_tensors, mix, normal_deviates
from methmix.nnls import normalise, weighted_nnls

N = 400_000


@pytest.fixture
def donors(rng):
    """Six donors with gaps, mixed three at a time."""
    fractions = rng.beta(0.4, 0.4, (6, 3000)).astype(np.float32)
    fractions[rng.random(fractions.shape) < 0.1] = np.nan
    weights = np.zeros((40, 6), dtype=np.float32)
    for row in weights:
        row[rng.choice(6, 3, replace=False)] = rng.dirichlet(np.ones(3))
    coverage = rng.gamma(4, 0.25, 3000).astype(np.float32)
    depths, seeds = rng.choice([2.0, 30.0, 500.0], 40), rng.integers(2**64, size=40, dtype=np.uint64)
    return weights, torch.from_numpy(fractions), depths, torch.from_numpy(coverage), seeds


def _counts(mean, rng):
    bits, choice = (torch.from_numpy(rng.integers(2**size, size=N)) for size in (32, CHOICE_BITS))
    return counts(torch.full((N,), float(mean)), bits, choice).numpy()


@pytest.mark.parametrize("mean", [0.003, 0.4, 1, 3.7, 12.34, 29.99, 30, 55.5, 400])
def test_counts_are_poisson(mean, rng):
    drawn = _counts(mean, rng)
    assert (drawn >= 0).all() and (drawn == np.round(drawn)).all()
    assert drawn.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean / N))
    assert drawn.var() == pytest.approx(mean, rel=0.015 if mean > 0.1 else 0.15)
    assert stats.skew(drawn) == pytest.approx(mean**-0.5, abs=0.03 if mean > 0.1 else 1.5)
    seen = np.bincount(drawn.astype(int)) / N
    exact = stats.poisson(mean).pmf(np.arange(len(seen)))
    # Of as many counts drawn by NumPy, the distance is up to 0.006.
    assert np.abs(seen - exact).sum() / 2 < 0.008


def test_no_reads_where_none_are_expected(rng):
    assert (_counts(0, rng) == 0).all()


def test_loops_and_tensors_give_the_same_reads(donors):
    """On a CPU compiled loops do what a GPU does in tensors; a mean rounded otherwise may give another count."""
    in_loops, tensors = draw_mixtures(*donors), in_tensors(*donors)
    assert (in_loops[1] != tensors[1]).float().mean() < 1e-4
    assert ((in_loops[0] - tensors[0]).nan_to_num().abs() > 1e-6).float().mean() < 1e-4
    assert torch.equal(in_loops[0].isnan(), in_loops[1] == 0) and torch.equal(tensors[0].isnan(), tensors[1] == 0)


@pytest.mark.slow
def test_means_are_those_of_the_mixed_donors(donors):
    weights, fractions, _, coverage, _ = donors
    n = 20_000
    deep = (np.repeat(weights[:1], n, axis=0), fractions[:, :50], np.full(n, 40.0), coverage[:50])
    observed, depth = draw_mixtures(*deep, np.random.default_rng(1).integers(2**64, size=n, dtype=np.uint64))
    mixed = mix(torch.from_numpy(weights[:1]), fractions[:, :50])[0]
    expected = torch.where(mixed.isnan(), 0, 40 * coverage[:50])
    error = (depth.mean(dim=0) - expected) / (expected / n).sqrt().clamp(min=1e-6)
    assert error.abs().max() < 4.5
    methylated = (observed.nan_to_num() * depth).sum(dim=0)
    error = (methylated - expected * n * mixed.nan_to_num()) / (expected * n).sqrt().clamp(min=1e-6)
    assert error.abs().max() < 4.5


def test_regions_mixtures_and_the_two_kinds_of_reads_are_independent(rng):
    """Also for seeds that follow each other."""
    fractions, coverage = torch.full((1, 4000), 0.4), torch.ones(4000)
    seeds = np.arange(500, dtype=np.uint64)
    drawn = draw_mixtures(np.ones((500, 1), np.float32), fractions, np.full(500, 20.0), coverage, seeds)
    methylated, others = (drawn[0].nan_to_num() * drawn[1]).numpy(), ((1 - drawn[0].nan_to_num()) * drawn[1]).numpy()
    pairs = {
        "kinds": (methylated, others),
        "neighbouring regions": (methylated[:, 1:], methylated[:, :-1]),
        "next but one": (others[:, 2:], others[:, :-2]),
        "neighbouring mixtures": (methylated[1:], methylated[:-1]),
    }
    for name, (first, second) in pairs.items():
        correlation = np.corrcoef(first.ravel(), second.ravel())[0, 1]
        assert abs(correlation) < 4.5 / np.sqrt(first.size), name


def test_a_mixture_is_the_same_in_any_batch_and_with_any_number_of_threads(donors):
    weights, fractions, depths, coverage, seeds = donors
    whole = draw_mixtures(*donors)
    part = draw_mixtures(weights[13:17], fractions, depths[13:17], coverage, seeds[13:17])
    before = torch.get_num_threads()
    torch.set_num_threads(1 + before % 2)
    try:
        again = draw_mixtures(*donors)
    finally:
        torch.set_num_threads(before)
    for one, other, few in zip(whole, again, part, strict=True):
        assert torch.equal(one.nan_to_num(-1), other.nan_to_num(-1))
        assert torch.equal(one[13:17].nan_to_num(-1), few.nan_to_num(-1))


def test_missing_where_less_than_half_is_known():
    fractions = torch.tensor([[0.2, torch.nan, torch.nan], [0.6, 0.6, torch.nan]])
    weights = torch.tensor([[0.4, 0.6], [0.7, 0.3]])
    expected = torch.tensor([[0.44, 0.6, torch.nan], [0.32, torch.nan, torch.nan]])
    assert torch.allclose(mix(weights, fractions), expected, equal_nan=True)


def test_deviates_are_normal_and_the_same_in_tensors():
    seeds = np.random.default_rng(3).integers(2**64, size=20, dtype=np.uint64)
    drawn = normal_deviates(seeds, 20_000, torch.device("cpu"))
    assert stats.kstest(drawn.numpy().ravel(), "norm").pvalue > 1e-3
    assert drawn.var().item() == pytest.approx(1, abs=0.01) and abs(stats.kurtosis(drawn.numpy().ravel())) < 0.03
    assert torch.equal(drawn[7:9], normal_deviates(seeds[7:9], 20_000, torch.device("cpu")))
    assert abs(np.corrcoef(drawn[:, 1:].ravel(), drawn[:, :-1].ravel())[0, 1]) < 0.01


def test_deconvolution_is_as_accurate_as_with_reads_drawn_exactly(rng):
    """What the fast counts leave out of the distribution changes no result."""
    reference = tiny_reference()
    profiles = reference.complete_profiles("train").astype(np.float32)
    n = 1500
    true = np.zeros((n, len(profiles)), dtype=np.float32)
    for row in true:
        row[rng.choice(len(profiles), 4, replace=False)] = rng.dirichlet(np.full(4, 2.0))
    depths, coverage = rng.choice([10.0, 50.0, 500.0], n), torch.ones(profiles.shape[1])
    seeds = rng.integers(2**64, size=n, dtype=np.uint64)
    ours = [tensor.numpy() for tensor in draw_mixtures(true, torch.from_numpy(profiles), depths, coverage, seeds)]
    depth = rng.poisson(np.repeat(depths[:, None], profiles.shape[1], axis=1))
    exact = (rng.binomial(depth, (true @ profiles).clip(0, 1)) / np.maximum(depth, 1), depth)
    errors = [np.abs(normalise(weighted_nnls(profiles, *reads)) - true).mean(axis=1) for reads in (ours, exact)]
    assert stats.ttest_ind(*errors).pvalue > 1e-3
    assert errors[0].mean() == pytest.approx(errors[1].mean(), rel=0.05)
