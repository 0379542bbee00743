"""The correlation with a profile: of samples high, of another build none, and never certain with few reads."""

import numpy as np
import pytest

from methmix.formats.identity import LEAST_CORRELATION, least_correlation, likeness


@pytest.fixture
def profile(rng):
    return rng.beta(0.5, 0.5, 2000)


def sample(rng, level, depth):
    reads = rng.poisson(depth, len(level))
    with np.errstate(invalid="ignore"):
        return (rng.binomial(reads, level) / reads)[None], reads[None].astype(float)


def test_correlation_is_that_of_numpy(rng, profile):
    methylation, depth = sample(rng, profile, 30)
    seen = depth[0] > 0
    cov = np.cov(methylation[0, seen], profile[seen], aweights=depth[0, seen])
    found = likeness(methylation, depth, profile)
    assert found.correlation[0] == pytest.approx(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]), rel=1e-6)
    assert found.upper[0] > found.correlation[0]


@pytest.mark.parametrize("depth", [0.05, 0.3, 30])
def test_a_sample_is_never_refused_and_what_is_none_always(rng, profile, depth):
    """At 0.05 reads a region, a hundred of the regions have a read."""
    wrong_is_seen = 0
    for _ in range(20):
        right, wrong, swapped = (
            sample(rng, level, depth) for level in (profile, rng.permutation(profile), 1 - profile)
        )
        assert likeness(*right, profile).upper[0] > 0.6
        assert likeness(*swapped, profile).upper[0] < LEAST_CORRELATION
        wrong_is_seen += likeness(*wrong, profile).upper[0] < LEAST_CORRELATION
    assert wrong_is_seen == 20 if depth == 30 else wrong_is_seen >= 15 or depth == 0.05


def test_few_regions_are_no_evidence(rng, profile):
    methylation, depth = sample(rng, 1 - profile, 30)
    depth[:, 15:], methylation[:, 15:] = 0, np.nan
    assert np.isinf(likeness(methylation, depth, profile).upper[0])
    assert np.isinf(likeness(methylation * np.nan, depth * 0, profile).upper[0])


def test_what_is_fitted_correlates_by_chance(rng):
    profiles, noise = rng.random((30, 100)), rng.random((1, 100))
    weights = np.linalg.lstsq(profiles.T, noise[0], rcond=None)[0]
    fitted = weights @ profiles
    depth = np.ones((1, 100))
    by_chance = likeness(noise, depth, fitted).correlation[0]
    assert by_chance > 0.4 and likeness(noise, depth, fitted, 30).correlation[0] < by_chance - 0.1


def test_less_is_expected_where_each_region_is_the_marker_of_one_tissue(rng):
    markers = np.kron(1 - np.eye(20), np.ones(25)) * 0.9 + 0.05 * rng.random((20, 500))
    assert least_correlation(markers) < 0.2
    assert least_correlation(rng.random((20, 1)) * 0.01 + rng.random(500)) == LEAST_CORRELATION
