from dataclasses import replace

import numpy as np
import pytest
from experiments import tiny_experiment, tiny_reference
from scipy.special import logit

from methmix import seeds
from methmix.robustness.situation_mixtures import SituationMixer
from methmix.robustness.situations import Situation

RECIPE = tiny_experiment().mixtures.recipes["phase2"]
DEEP = 1e5


@pytest.fixture(scope="module")
def mixer():
    return SituationMixer(tiny_reference())


def drawn(mixer, situation, n=8, seed=1):
    return mixer.draw(situation, n, seeds.generator(seed, "mixtures"), seeds.generator(seed, "laboratory"))


def test_the_truth_is_what_the_donors_consist_of(mixer):
    reference = tiny_reference()
    mixtures = drawn(mixer, Situation("depth", "deep", DEEP, RECIPE))
    assert mixtures.proportions.sum(axis=1) == pytest.approx(np.ones(8), abs=1e-5)
    # Each test donor carries some of another tissue.
    assert (mixtures.proportions > 0).sum() > (mixtures.label_proportions > 0).sum()
    # At this depth the reads are the methylation of the test donors, mixed.
    own = reference.fractions[[row for row, name in enumerate(reference.split) if name == "test"]]
    low, high = np.nanmin(own, axis=0) - 0.02, np.nanmax(own, axis=0) + 0.02
    seen = mixtures.depth > 0
    assert ((mixtures.methylation >= low) & (mixtures.methylation <= high))[seen].all()


def test_only_so_many_regions_have_reads(mixer):
    mixtures = drawn(mixer, Situation("regions", "27 %", 100, RECIPE, observed=0.27))
    observed = mixtures.depth > 0
    assert observed.mean() == pytest.approx(0.27, abs=0.03)
    assert (np.isnan(mixtures.methylation) == ~observed).all()
    # Every mixture has others.
    assert 0 < (observed[0] & observed[1]).sum() < observed[0].sum() / 2


@pytest.mark.parametrize("rank", [0, 2])
def test_a_shift_is_one_on_the_logit_scale(mixer, rank):
    plain, shifted = (
        drawn(mixer, Situation("shift", "a shift", DEEP, RECIPE, shift=size, rank=rank), n=40) for size in (0.0, 0.3)
    )
    middle = (plain.depth > 0) & (np.abs(plain.methylation - 0.5) < 0.3)
    difference = (logit(shifted.methylation.astype(float)) - logit(plain.methylation.astype(float)))[middle]
    assert difference.mean() == pytest.approx(0.0 if rank else 0.3, abs=0.03)
    assert difference.std() == pytest.approx(0.3 if rank else 0.0, abs=0.08)


def test_a_low_rank_shift_has_few_patterns(mixer):
    plain, shifted = (
        drawn(mixer, Situation("shift", "a shift", DEEP, RECIPE, shift=size, rank=2), n=30) for size in (0.0, 0.3)
    )
    inner = (np.abs(plain.methylation - 0.5) < 0.3).all(axis=0)
    difference = (logit(shifted.methylation.astype(float)) - logit(plain.methylation.astype(float)))[:, inner]
    sizes = np.linalg.svd(difference, compute_uv=False)
    assert inner.sum() > 5
    assert sizes[1] > 5 * sizes[2]


@pytest.mark.parametrize("part", [0.1, 0.5])
def test_a_foreign_component_belongs_to_no_tissue(mixer, part):
    plain, foreign = (drawn(mixer, Situation("foreign", "foreign", DEEP, RECIPE, foreign=own)) for own in (0.0, part))
    assert foreign.proportions.sum(axis=1) == pytest.approx(np.full(8, 1 - part), abs=1e-5)
    profile = (foreign.methylation - (1 - part) * plain.methylation) / part
    seen = ~np.isnan(profile)
    assert (profile[seen] > -0.1).all() and (profile[seen] < 1.1).all()


@pytest.mark.parametrize("value", [0.0, 0.8, 1.0])
def test_a_sample_of_nothing_is_the_same_everywhere(mixer, value):
    mixtures = drawn(mixer, Situation("nothing", "nothing", DEEP, methylation=value))
    assert (mixtures.proportions == 0).all()
    assert mixtures.methylation[mixtures.depth > 0] == pytest.approx(value, abs=0.02)


def test_a_random_sample_has_all_methylation_levels(mixer):
    mixtures = drawn(mixer, Situation("nothing", "random", DEEP))
    assert np.histogram(mixtures.methylation, 10, (0, 1))[0].min() > 0.08 * mixtures.methylation.size


def test_the_same_seed_gives_the_same_mixtures(mixer):
    situation = Situation("regions", "half", 30, RECIPE, observed=0.5, shift=0.1, rank=2, foreign=0.1)
    first, again, other = (drawn(mixer, situation, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.methylation, again.methylation)
    assert (first.proportions != other.proportions).any()


def test_only_test_donors_are_mixed():
    """Mixtures stay the same when the counts of all other donors change."""
    reference = tiny_reference()
    other = np.array(reference.split) != "test"
    changed = replace(reference, methylated=np.where(other[:, None], 0, reference.methylated))
    situation = Situation("foreign", "foreign", 30, RECIPE, foreign=0.5)
    first, second = (drawn(SituationMixer(made), situation) for made in (reference, changed))
    np.testing.assert_array_equal(first.methylation, second.methylation)
