"""How much a donor looks like its own tissue."""

from dataclasses import replace

import numpy as np
import pytest
from experiments import NO_VARIATION, drawn_donors

from methmix.reference.fit_variation import read_replicates
from methmix.reference.purity import leave_one_out_proportions, leave_one_out_purity


def test_pure_donors_look_pure():
    purity = leave_one_out_purity(drawn_donors(NO_VARIATION, depth=2000, n_donors=3))
    assert purity.shape == (18,)
    assert (purity > 0.97).all()


def test_a_contaminated_donor_is_found():
    reference = drawn_donors(NO_VARIATION, depth=2000, n_donors=4)
    # Donor 9 (of C) becomes two fifths A.
    mixed = 0.6 * reference.fractions[9] + 0.4 * reference.fractions[0]
    methylated = reference.methylated.copy()
    methylated[9] = np.round(mixed * reference.depth[9])
    proportions = leave_one_out_proportions(replace(reference, methylated=methylated))
    np.testing.assert_allclose(proportions.sum(axis=1), 1)
    assert proportions[9, 0] == pytest.approx(0.4, abs=0.05)
    assert proportions[9, 2] == pytest.approx(0.6, abs=0.05)
    assert leave_one_out_purity(replace(reference, methylated=methylated)).argmin() == 9


def test_the_only_donor_of_a_tissue_cannot_be_checked():
    reference = drawn_donors(NO_VARIATION, depth=2000, n_donors=2)
    alone = replace(reference, tissues=["Z", *reference.tissues[1:]])
    purity = leave_one_out_purity(alone)
    np.testing.assert_array_equal(np.isnan(purity), [True, True] + [False] * 10)


def test_purity_within_some_tissues():
    reference = drawn_donors(NO_VARIATION, depth=2000, n_donors=3)
    assert leave_one_out_proportions(reference, ["D", "B"]).shape == (6, 2)
    # Donors come in the reference's order (B before D), columns in the order asked for.
    assert (leave_one_out_proportions(reference, ["D", "B"])[:3, 1] > 0.97).all()
    assert (leave_one_out_purity(reference, ["D", "B"]) > 0.97).all()


@pytest.mark.data
def test_published_donors_that_do_not_look_like_their_tissue(data_file):
    reference = read_replicates(data_file("metdecode/atlas_with_replicates.tsv.gz"))
    purity = dict(zip(reference.donors, leave_one_out_purity(reference), strict=True))
    assert purity["BRCA-2"] < 0.4
    assert purity["COAD-1"] < 0.5
    assert sum(value < 0.7 for value in purity.values()) == 7
    assert sum(value > 0.9 for value in purity.values()) > 15
