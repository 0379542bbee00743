"""Amounts above the controls, taken apart by region."""

import numpy as np
import pytest
import torch
from unit.normals.conftest import fractions, plasma, profiles

from methmix.normals.background import fit_background
from methmix.normals.excess import estimate_excess
from methmix.normals.panel_contributions import ExcessDecomposition

COLUMNS = [4, 6, 7]


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(2)
    background = fit_background(*fractions(*plasma(rng, 25)), 0.2)
    methylation, depth = fractions(*plasma(rng, 2))
    tissues = torch.from_numpy(profiles())
    methylation = 0.7 * methylation + 0.2 * tissues[0] + 0.1 * tissues[2]
    depth[:, 40:60] = 0
    methylation[:, 40:60] = torch.nan
    excess = estimate_excess(background, tissues, methylation, depth)
    return excess, methylation, ExcessDecomposition(background, tissues, COLUMNS, methylation, depth)


@pytest.mark.parametrize("place", [0, 2])
def test_contributions_sum_to_the_amount(found, place):
    excess, _, decomposition = found
    for row in range(2):
        parts = decomposition.of(row, COLUMNS[place])
        assert parts.estimate == pytest.approx(float(excess.amounts[row, place]), rel=1e-6)
        assert parts.regions.sum() == pytest.approx(parts.estimate)
        assert (parts.regions[40:60] == 0).all() and (parts.information[40:60] == 0).all()
        assert parts.information.sum() == pytest.approx(1) and (parts.information >= 0).all()


def test_a_tissue_that_is_not_there_has_no_positive_estimate(found):
    excess, _, decomposition = found
    for row in range(2):
        if excess.amounts[row, 1] == 0:
            assert decomposition.of(row, COLUMNS[1]).estimate <= 1e-9


def test_what_is_expected_with_the_tissue_is_nearer(found):
    _, methylation, decomposition = found
    parts = decomposition.of(0, COLUMNS[0])
    known = np.isfinite(parts.without)
    observed = methylation[0].numpy()
    assert known.sum() == 130
    with_tissue, without = (np.square(observed - part)[known].sum() for part in (parts.with_tissue, parts.without))
    assert with_tissue < 0.5 * without


def test_residuals_are_of_about_one_standard_deviation(found):
    standardised, modelled = found[2].residuals()
    assert np.isnan(standardised[:, 40:60]).all() and np.isnan(modelled[:, 40:60]).all()
    assert 0.5 < np.nanstd(standardised) < 1.3
