"""What a sample has above the controls, held against SciPy's non-negative least squares."""

import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from unit.normals.conftest import fractions, plasma, profiles

from methmix.normals.background import fit_background
from methmix.normals.excess import estimate_excess


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(8)
    background = fit_background(*fractions(*plasma(rng, 25)), 0.2)
    methylated, depth = plasma(rng, 4)
    methylation, reads = fractions(methylated, depth)
    truth = torch.tensor([[0.0, 0, 0], [0.1, 0, 0], [0.05, 0.2, 0], [0, 0, 0.4]], dtype=torch.float64)
    tissues = torch.from_numpy(profiles())
    methylation = (1 - truth.sum(dim=1, keepdim=True)) * methylation + truth @ tissues
    return background, tissues, methylation, reads, truth, estimate_excess(background, tissues, methylation, reads)


def test_amounts_are_the_generalised_least_squares(found):
    background, tissues, methylation, reads, _, excess = found
    for row in range(len(reads)):
        noise = background.variance + background.read_variance(reads[row])
        whole = (background.factors.T @ background.factors + torch.diag(noise)).numpy()
        root = np.linalg.cholesky(np.linalg.inv(whole)).T
        deviation = root @ (methylation[row] - background.mean).numpy()
        expected, residual = nnls(root @ (tissues - background.mean).numpy().T, deviation)
        np.testing.assert_allclose(excess.amounts[row], expected, atol=1e-7)
        assert excess.total_score[row] ** 2 == pytest.approx(deviation @ deviation - residual**2, abs=1e-6)
        assert excess.misfit[row] == pytest.approx(residual**2 / len(deviation))


def test_amounts_are_near_the_truth(found):
    *_, truth, excess = found
    assert (excess.amounts - truth).abs().max() < 0.03
    assert (excess.misfit < 2).all()


def test_fewer_reads_and_regions_make_it_less_certain(found):
    background, tissues, methylation, reads, _, excess = found
    shallow = estimate_excess(background, tissues, methylation, reads / 20)
    assert (shallow.error > 1.5 * excess.error).all()
    few = reads.clone()
    few[:, ::2] = 0
    assert (estimate_excess(background, tissues, methylation, few).error > excess.error).all()


def test_without_any_read_nothing_is_found(found):
    background, tissues, methylation, reads, _, _ = found
    nothing = estimate_excess(background, tissues, torch.full_like(methylation, torch.nan), torch.zeros_like(reads))
    assert (nothing.amounts == 0).all() and (nothing.total_score == 0).all() and (nothing.error > 1e3).all()


def test_no_samples():
    background = fit_background(*fractions(*plasma(np.random.default_rng(1), 12)), 0.2)
    empty = torch.empty(0, len(background.mean), dtype=torch.float64)
    assert estimate_excess(background, torch.from_numpy(profiles()), empty, empty).amounts.shape == (0, 3)


def test_a_poor_fit_makes_it_less_certain_and_a_good_one_not_much_more(found):
    *_, excess = found
    misfit = torch.tensor([1.0, 2.0, 6.0, 0.01], dtype=torch.float64)
    doubted = excess._replace(misfit=misfit).doubted(2.0)
    for row, times in enumerate((0.7, 1, 3, 0.7)):
        torch.testing.assert_close(doubted.error[row], times * excess.error[row])
        torch.testing.assert_close(doubted.scores[row], excess.scores[row] / times)
        torch.testing.assert_close(doubted.total_score[row], excess.total_score[row] / times)
    assert (doubted.amounts == excess.amounts).all() and (doubted.misfit == misfit).all()
