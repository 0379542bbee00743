"""Contributions of regions to a least-squares estimate."""

import numpy as np
import pytest
import torch
from experiments import mixed_profiles as made

from methmix.contributions import Decomposition
from methmix.least_squares import regress


@pytest.fixture(scope="module")
def mixtures():
    profiles, methylation, depth, _ = made(np.random.default_rng(4), n_mixtures=6, spread=0.01)
    depth[:, 5] = 0
    methylation[:, 5] = torch.nan
    return profiles, methylation, depth


@pytest.mark.parametrize("options", [(0, True, 1e-3), (0, False, 1e-3), (40, True, 1e-3), (40, False, 1e-3)])
@pytest.mark.parametrize("exact", [True, False])
def test_contributions_sum_to_the_estimate_and_residuals_to_the_misfit(mixtures, options, exact):
    profiles, methylation, depth = mixtures
    profiles = profiles.exact() if exact else profiles
    regression = regress(profiles, methylation, depth, *options)
    solution = regression.solution()
    found = Decomposition(regression, 800)
    for row, tissue in torch.nonzero(solution.proportions > 0).tolist():
        if (solution.proportions[row] > 0).sum() == 1:
            continue
        parts = found.of(row, tissue)
        assert parts.estimate == pytest.approx(parts.regions.sum())
        assert parts.estimate == pytest.approx(float(solution.proportions[row, tissue]), abs=1e-5)
        assert parts.information.sum() == pytest.approx(1) and (parts.information >= 0).all()
        assert parts.regions[5] == 0 and np.isnan(parts.without[5])
    residuals, modelled = found.residuals()
    assert np.isnan(modelled[:, 5]).all() and np.isnan(residuals[:, 5]).all()
    importance = np.zeros(800)
    importance[regression.used] = torch.cat([block.importance for block in regression.blocks]).numpy()
    # The mean is over all regions with reads that are used.
    squares = np.nansum(residuals**2 * importance, axis=1) / np.isfinite(residuals).sum(axis=1)
    assert squares == pytest.approx(solution.misfit.numpy(), rel=1e-4)


def test_contributions_are_those_of_a_partial_regression(mixtures):
    """Frisch, Waugh and Lovell: the rest of the profile, regressed on the other tissues, times the deviation."""
    profiles, methylation, depth = mixtures
    regression = regress(profiles.exact(), methylation, depth)
    weights = torch.cat([block.weight for block in regression.blocks], dim=1).double().numpy()
    found, proportions = Decomposition(regression, 800), regression.solve().numpy()
    mean, values = profiles.mean.double().numpy(), np.nan_to_num(methylation.double().numpy())
    for row in range(6):
        inside = np.nonzero(proportions[row])[0]
        if len(inside) < 3:
            continue
        tissue, last, *others = inside
        # "Sums to 1" is satisfied by measuring everything from one of the other tissues.
        root = np.sqrt(weights[row])
        rest = (mean[others] - mean[last]).T * root[:, None]
        own = (mean[tissue] - mean[last]) * root
        own = (own - rest @ np.linalg.lstsq(rest, own)[0]) * root
        influence = own / (own * (mean[tissue] - mean[last])).sum()
        parts = found.of(row, int(tissue))
        expected = influence * (values[row] - np.nan_to_num(parts.without))
        assert parts.regions == pytest.approx(expected, abs=2e-5)


def test_a_region_that_alone_deviates_has_the_contribution(mixtures):
    """A mixture of two tissues in which one region looks like a third: that region drives the third's estimate."""
    profiles, _, depth = mixtures
    mean = profiles.mean
    made_up = (0.7 * mean[0] + 0.3 * mean[1])[None].clone()
    region = int((mean[2] - made_up[0]).abs().argmax())
    made_up[0, region] = mean[2, region]
    found = Decomposition(regress(profiles.exact(), made_up, torch.full_like(depth[:1], 500)), 800)
    parts = found.of(0, 2)
    assert parts.regions.argmax() == region and parts.regions[region] > 0.9 * parts.estimate > 0
    assert np.nanargmax(np.abs(found.residuals()[0][0])) == region


def test_a_lone_tissue_is_compared_with_the_best_mixture_of_the_others(mixtures):
    profiles, _, depth = mixtures
    # Beyond the tissue, as seen from any other.
    mixture = profiles.mean[3:4] + 0.1 * (profiles.mean[3:4] - profiles.mean.mean(dim=0))
    found = Decomposition(regress(profiles.exact(), mixture, torch.full_like(depth[:1], 500)), 800)
    assert found._proportions[0].nonzero()[:, 0].tolist() == [3]
    parts = found.of(0, 3)
    assert parts.estimate == pytest.approx(1.1, abs=0.1) and np.nanmax(np.abs(parts.without - parts.with_tissue)) > 0.1
    assert parts.with_tissue == pytest.approx(mixture[0].numpy(), abs=0.1)


def test_tissues_of_the_same_profile_have_contributions(mixtures):
    profiles, methylation, depth = mixtures
    same = profiles.exact().replaced([1], profiles.exact().of([0]))
    found = Decomposition(regress(same, methylation, depth), 800)
    for row in range(6):
        parts = [found.of(row, tissue) for tissue in (0, 1)]
        assert all(np.isfinite([part.estimate, *part.regions]).all() for part in parts)
