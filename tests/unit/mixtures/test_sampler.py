"""Mixtures with reads: binomial around the mixed methylation, of donors of one split only."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from methmix.config.phases import DirichletRecipe, PairsRecipe
from methmix.errors import InputError
from methmix.files.reference import SPLITS, Reference
from methmix.mixtures.sampler import MixtureSampler

RECIPE = DirichletRecipe(kind="dirichlet", n_tissues=[2, 3], concentration=2.0)
PAIRS = PairsRecipe(kind="pairs", larger_shares=[0.7])


def _reference(methylated, depth, tissues, split) -> Reference:
    n = np.shape(depth)[1]
    regions = pd.DataFrame({"chrom": "chr1", "start": np.arange(n) * 10, "end": np.arange(n) * 10 + 5})
    donors = [f"{tissue}-{i}" for i, tissue in enumerate(tissues)]
    return Reference(np.array(methylated), np.array(depth), donors, tissues, split, regions)


@pytest.fixture
def two_tissues() -> Reference:
    """Tissues A (methylation 0.9) and B (0.1), one donor each in train, alike in 200 regions."""
    depth = np.full((2, 200), 1000)
    return _reference([[900] * 200, [100] * 200], depth, ["A", "B"], ["train", "train"])


def _sample(sampler: MixtureSampler, n: int, rng, **options) -> SimpleNamespace:
    """Draw mixtures, in NumPy arrays and with the number of methylated reads."""
    batch = sampler.sample(n, rng, **options)
    arrays = {name: np.asarray(values) for name, values in vars(batch).items()}
    methylated = np.nan_to_num(arrays["methylation"]) * arrays["depth"]
    return SimpleNamespace(**arrays, methylated=np.round(methylated).astype(int))


def _expected(reference: Reference, batch) -> np.ndarray:
    """Mix the donors of each mixture by hand, over those that were observed; NaN where less than half is known."""
    mixed = np.zeros(batch.depth.shape)
    known = np.zeros(batch.depth.shape)
    for i, (proportions, donors) in enumerate(zip(batch.label_proportions, batch.donors, strict=True)):
        for share, donor in zip(proportions, donors, strict=True):
            fractions = reference.fractions[donor].astype(float)
            mixed[i] += share * np.nan_to_num(fractions)
            known[i] += share * ~np.isnan(fractions)
    return np.where(known >= 0.5, mixed / np.maximum(known, 1e-9), np.nan)


def test_shapes_and_types(reference, rng):
    batch = _sample(MixtureSampler(reference, "train", RECIPE, [10, 100]), 7, rng)
    assert batch.methylated.shape == batch.depth.shape == (7, 400)
    assert batch.proportions.shape == batch.label_proportions.shape == batch.donors.shape == (7, 6)
    assert (batch.proportions.dtype, batch.methylation.dtype) == (np.float32, np.float32)
    assert ((batch.methylated >= 0) & (batch.methylated <= batch.depth)).all()
    np.testing.assert_array_equal(np.isnan(batch.methylation), batch.depth == 0)
    np.testing.assert_allclose(batch.proportions.sum(axis=1), 1, atol=1e-6)


def test_reads_are_binomial(two_tissues, rng):
    sampler = MixtureSampler(two_tissues, "train", PAIRS, [30])
    batch = _sample(sampler, 1000, rng)
    # 70 % of one and 30 % of the other: 0.66 or 0.34 in every region.
    mixed = np.where(batch.proportions[:, 0] > 0.5, 0.66, 0.34)[:, None]
    seen = batch.depth > 0
    standardised = (batch.methylated - batch.depth * mixed) / np.sqrt(np.maximum(batch.depth, 1) * mixed * (1 - mixed))
    assert standardised[seen].mean() == pytest.approx(0, abs=0.01)
    # A larger variance would be a second source of noise, a smaller one averaged reads.
    assert standardised[seen].var() == pytest.approx(1, abs=0.02)
    counts = batch.methylated[(batch.depth == 30) & (mixed == 0.66)]
    assert len(counts) > 5000
    observed = np.bincount(counts, minlength=31)
    expected = stats.binom(30, 0.66).pmf(np.arange(31)) * len(counts)
    common = expected > 5
    statistic = ((observed - expected)[common] ** 2 / expected[common]).sum()
    assert stats.chi2(common.sum() - 1).sf(statistic) > 1e-4


def test_mixed_methylation_is_the_weighted_sum_of_donors(reference, rng):
    sampler = MixtureSampler(reference, "train", RECIPE, [1_000_000])
    batch = _sample(sampler, 20, rng)
    expected = _expected(reference, batch)
    np.testing.assert_array_equal(np.isnan(batch.methylation), np.isnan(expected))
    np.testing.assert_allclose(batch.methylation, expected, atol=0.005)


def test_missing_where_less_than_half_is_known(rng):
    """Were it missing where any donor was not observed, the gaps would tell which tissues are present."""
    depth = np.full((3, 50), 100)
    depth[0, :10] = 0
    depth[:2, 40:] = 0
    methylated = depth * np.array([[20], [50], [80]]) // 100
    reference = _reference(methylated, depth, ["A", "B", "C"], ["train"] * 3)
    batch = _sample(MixtureSampler(reference, "train", PAIRS, [10_000]), 400, rng)
    known = batch.proportions @ (depth > 0)
    assert 0.1 < (known < 0.5).mean() < 0.9
    np.testing.assert_array_equal(np.isnan(batch.methylation), known < 0.5)
    # In the first regions A is unknown: the mixture is what its other, larger tissue is, there.
    with_little_a_and_c = (batch.proportions[:, 0] > 0) & (batch.proportions[:, 2] > 0.5)
    np.testing.assert_allclose(batch.methylation[with_little_a_and_c][:, :10], 0.8, atol=0.02)


@pytest.mark.parametrize("mean_depth", [10, 500])
def test_mean_depth(two_tissues, rng, mean_depth):
    batch = _sample(MixtureSampler(two_tissues, "train", PAIRS, [mean_depth]), 200, rng)
    assert batch.depth.mean() == pytest.approx(mean_depth, rel=0.01)
    # All regions are covered alike here, so that depth is Poisson.
    assert batch.depth.var() == pytest.approx(mean_depth, rel=0.05)
    assert set(batch.mean_depth) == {mean_depth}


def test_every_mean_depth_is_drawn(two_tissues, rng):
    depths = [10, 30, 50, 100, 500]
    batch = _sample(MixtureSampler(two_tissues, "train", PAIRS, depths), 5000, rng)
    values, counts = np.unique(batch.mean_depth, return_counts=True)
    assert values.tolist() == depths
    assert stats.chisquare(counts).pvalue > 1e-4
    np.testing.assert_allclose(batch.depth.mean(axis=1) / batch.mean_depth, 1, atol=0.2)


def test_depth_follows_the_coverage_of_regions(rng):
    depth = np.tile([100, 300], (2, 50))
    reference = _reference(depth // 2, depth, ["A", "B"], ["train"] * 2)
    batch = _sample(MixtureSampler(reference, "train", PAIRS, [40]), 500, rng)
    assert batch.depth[:, ::2].mean() == pytest.approx(20, rel=0.02)
    assert batch.depth[:, 1::2].mean() == pytest.approx(60, rel=0.02)


@pytest.mark.parametrize("split", SPLITS)
def test_donors_come_from_the_split_only(reference, rng, split):
    batch = _sample(MixtureSampler(reference, split, RECIPE, [10]), 300, rng)
    used = set(batch.donors[batch.label_proportions > 0].tolist())
    assert used == {row for row, own in enumerate(reference.split) if own == split}
    for column, tissue in enumerate(reference.tissue_names):
        assert {reference.tissues[row] for row in batch.donors[:, column]} == {tissue}


def test_donors_of_a_tissue_are_drawn_alike(reference, rng):
    batch = _sample(MixtureSampler(reference, "train", RECIPE, [10]), 3000, rng)
    for column in range(6):
        counts = np.unique(batch.donors[:, column], return_counts=True)[1]
        np.testing.assert_allclose(counts, 3000 / len(counts), rtol=0.15)


def test_other_splits_do_not_leak(reference):
    """Test mixtures stay the same when the methylation of all other donors changes."""
    other = np.array(reference.split) != "test"
    changed = replace(reference, methylated=np.where(other[:, None], 0, reference.methylated))
    drawn = [
        _sample(MixtureSampler(made, "test", RECIPE, [10]), 20, np.random.default_rng(5))
        for made in (reference, changed)
    ]
    np.testing.assert_array_equal(drawn[0].methylated, drawn[1].methylated)
    np.testing.assert_array_equal(drawn[0].depth, drawn[1].depth)


def test_tissue_without_a_donor_of_the_split_takes_fresh_reads_of_training_donors(rng):
    depth = np.full((4, 30), 50)
    split = ["train", "test", "train", "train"]
    reference = _reference(depth // 2, depth, ["A", "A", "B", "B"], split)
    batch = _sample(MixtureSampler(reference, "test", PAIRS, [10]), 200, rng)
    assert set(batch.donors[:, 0].tolist()) == {1}
    assert set(batch.donors[:, 1].tolist()) == {2, 3}


def test_same_seed_same_mixtures(reference):
    sampler = MixtureSampler(reference, "train", RECIPE, [10, 100])
    first, again, other = (_sample(sampler, 10, np.random.default_rng(seed)) for seed in (1, 1, 2))
    for name in ("methylated", "depth", "proportions", "donors", "mean_depth"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.proportions != other.proportions).any()


def test_one_generator_never_repeats_itself(reference, rng):
    sampler = MixtureSampler(reference, "train", RECIPE, [100])
    first, second = _sample(sampler, 50, rng), _sample(sampler, 50, rng)
    assert not (first.proportions == second.proportions).all(axis=1).any()
    assert not (first.methylated == second.methylated).all(axis=1).any()


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.99])
def test_share_of_pure_mixtures(reference, rng, fraction):
    batch = _sample(MixtureSampler(reference, "train", RECIPE, [10]), 100, rng, pure_fraction=fraction)
    assert (batch.label_proportions.max(axis=1) == 1).sum() == round(100 * fraction)
    assert len(batch.depth) == 100


@pytest.mark.parametrize(("pure", "of_any"), [(0.0, 0.0), (0.0, 0.3), (0.2, 0.3), (0.5, 0.5)])
def test_share_of_mixtures_of_any_kind(reference, rng, pure, of_any):
    """By the recipe the larger of two tissues has exactly 70 %, which nothing else gives."""
    sampler = MixtureSampler(reference, "train", PAIRS, [10])
    batch = _sample(sampler, 25, rng, pure_fraction=pure, any_fraction=of_any)
    by_recipe = np.isclose(batch.label_proportions.max(axis=1), 0.7, atol=1e-6).sum()
    assert by_recipe == 25 - round(25 * pure) - round(25 * of_any)
    assert (batch.label_proportions.max(axis=1) == 1).sum() >= round(25 * pure)
    assert len(batch.depth) == 25
    np.testing.assert_allclose(batch.label_proportions.sum(axis=1), 1, atol=1e-6)


def test_recipe_that_cannot_be_followed(reference):
    recipe = DirichletRecipe(kind="dirichlet", n_tissues=[7], concentration=2.0)
    with pytest.raises(InputError, match="up to 7 tissues, the reference has 6"):
        MixtureSampler(reference, "train", recipe, [10])
