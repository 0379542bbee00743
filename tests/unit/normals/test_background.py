"""The distribution of controls, held against plain NumPy and SciPy."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from unit.normals.conftest import fractions, plasma

from methmix.normals.background import SHRINKAGES, choose_shrinkage, fit_background, without


@pytest.fixture(scope="module")
def controls():
    return fractions(*plasma(np.random.default_rng(3), 25))


def covariance(background, depth):
    noise = background.variance + background.read_variance(depth)
    return background.factors.T @ background.factors + torch.diag(noise)


def test_products_are_those_of_the_inverse_covariance(controls):
    methylation, depth = controls
    background = fit_background(methylation, depth, 0.2)
    rows = methylation[:4] - background.mean
    products, determinant = background.whitened(depth[0], rows)
    whole = covariance(background, depth[0]).numpy()
    expected = rows.numpy() @ np.linalg.solve(whole, rows.numpy().T)
    np.testing.assert_allclose(products.numpy(), expected, rtol=1e-8)
    assert determinant == pytest.approx(np.linalg.slogdet(whole)[1])


def test_a_region_without_reads_counts_for_nothing(controls):
    methylation, depth = (values.clone() for values in controls)
    background = fit_background(methylation, depth, 0.2)
    depth[0, 10:] = 0
    rows = methylation[:2] - background.mean
    rows[:, 10:] = 7.0
    products, determinant = background.whitened(depth[0], rows)
    whole = covariance(background, depth[0])[:10, :10].numpy()
    few = rows[:, :10].numpy()
    np.testing.assert_allclose(products.numpy(), few @ np.linalg.solve(whole, few.T), rtol=1e-8)
    assert determinant == pytest.approx(np.linalg.slogdet(whole)[1])


def test_regions_that_fewer_than_three_controls_have_are_not_used(controls):
    methylation, depth = (values.clone() for values in controls)
    depth[2:, 5] = 0
    methylation[2:, 5] = torch.nan
    background = fit_background(methylation, depth, 0.2)
    assert torch.isinf(background.variance).nonzero().tolist() == [[5]]
    assert torch.isfinite(background.factors).all() and torch.isfinite(background.mean).all()


def test_factors_are_no_single_controls(controls):
    background = fit_background(*controls, 0.0)
    correlation = torch.corrcoef(torch.cat([background.factors, controls[0] - background.mean]))
    n = len(background.factors)
    assert correlation[:n, n:].abs().max() < 0.99
    # Principal components are orthogonal.
    gram = background.factors @ background.factors.T
    assert (gram - torch.diag(gram.diagonal())).abs().max() < 1e-9 * gram.max()


def test_reads_are_no_variation_between_people():
    rng = np.random.default_rng(0)
    depth = np.full((60, 150), 10)
    same = fractions(rng.binomial(depth, 0.5), depth)
    background = fit_background(*same, 0.2)
    # By reads alone the variance is 0.025.
    assert (background.factors.square().sum(dim=0) + background.variance).median() < 0.01


def test_shrinkage_is_chosen_by_what_is_probable_of_a_control_left_out(controls):
    methylation, depth = controls
    found = {}
    for candidate in SHRINKAGES:
        found[candidate] = 0.0
        for row in range(len(depth)):
            left = without(methylation, depth, [row], candidate)
            law = multivariate_normal(left.mean.numpy(), covariance(left, depth[row]).numpy())
            found[candidate] += law.logpdf(methylation[row].numpy())
    assert choose_shrinkage(methylation, depth, [[row] for row in range(len(depth))]) == max(found, key=found.get)


def test_products_over_many_regions_are_precise_enough():
    rng, n = np.random.default_rng(9), 9000
    depth = rng.poisson(30, (12, n))
    controls = fractions(rng.binomial(depth, rng.beta(0.5, 0.5, n)), depth)
    background = fit_background(*controls, 0.4)
    rows = torch.nan_to_num(controls[0][:3]) - background.mean
    products, _ = background.whitened(controls[1][0], rows)
    precision = 1 / (background.variance + background.read_variance(controls[1][0]))
    across = (background.factors * precision) @ rows.T
    inner = torch.eye(len(background.factors)) + (background.factors * precision) @ background.factors.T
    expected = (rows * precision) @ rows.T - across.T @ torch.linalg.solve(inner, across)
    # A score is the root of such a number, of which 1 matters.
    assert (products - expected).abs().max() < 0.05
