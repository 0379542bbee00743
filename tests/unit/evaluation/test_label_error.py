"""How much of an arm's error labels explain that are not what the donors consist of."""

from dataclasses import replace

import numpy as np
import pytest
from experiments import tiny_mixtures, tiny_reference

from methmix.evaluation.label_error import expected_errors, label_correlation
from methmix.nnls import weighted_nnls


@pytest.fixture(scope="module")
def labelled():
    """The tiny reference, of whose donors only the labels are known."""
    return replace(tiny_reference(), known_composition=None)


@pytest.fixture(scope="module")
def test_mixtures(labelled, tmp_path_factory):
    return tiny_mixtures(labelled, "test", tmp_path_factory.mktemp("mixtures"))


def seen(reference, mixtures):
    """What NNLS sees in the mixtures themselves."""
    found = weighted_nnls(reference.complete_profiles("train"), mixtures.methylation, mixtures.depth)
    return found / found.sum(axis=1, keepdims=True)


def test_errors_of_nnls_are_those_that_its_donors_have_alone(labelled, test_mixtures):
    expected = expected_errors(labelled, test_mixtures)
    assert expected.sum(axis=1) == pytest.approx(0, abs=1e-6)
    correlation = label_correlation(labelled, test_mixtures, seen(labelled, test_mixtures))
    assert correlation == pytest.approx(
        np.corrcoef(expected.ravel(), (seen(labelled, test_mixtures) - test_mixtures.label_proportions).ravel())[0, 1]
    )
    assert correlation > 0.4


def test_other_errors_are_not_explained(labelled, test_mixtures, rng):
    noise = test_mixtures.label_proportions + 0.01 * rng.standard_normal(test_mixtures.proportions.shape)
    assert abs(label_correlation(labelled, test_mixtures, noise)) < 0.15
    assert label_correlation(labelled, test_mixtures, test_mixtures.label_proportions) is None


def test_a_known_composition_needs_no_such_explanation(test_mixtures):
    assert label_correlation(tiny_reference(), test_mixtures, test_mixtures.proportions) is None
