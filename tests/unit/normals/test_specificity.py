import numpy as np
import pytest

from methmix.normals.specificity import specificity_of, thresholds


@pytest.mark.parametrize(("stated", "n", "rank", "reached"), [
    (0.95, 93, 90, True), (0.99, 93, 93, False), (0.99, 99, 99, True), (0.95, 19, 19, True), (0.95, 18, 18, False),
])  # fmt: skip
def test_rank_is_the_lowest_whose_expected_specificity_is_the_stated_one(stated, n, rank, reached):
    found = specificity_of(stated, n)
    assert (found.rank, found.reached) == (rank, reached)
    assert ("cannot be stated" in found.words) != reached


@pytest.mark.slow
def test_specificity_and_its_interval_hold_for_further_controls():
    rng, n = np.random.default_rng(0), 60
    scores = rng.gamma(0.5, size=(4000, n, 1))
    further = rng.gamma(0.5, size=(4000, 2000))
    found = specificity_of(0.95, n)
    reached = np.array([(more <= thresholds(own)[0, 0]).mean() for own, more in zip(scores, further, strict=True)])
    assert reached.mean() == pytest.approx(found.mean, abs=0.003)
    assert np.mean((found.low <= reached) & (reached <= found.high)) == pytest.approx(0.95, abs=0.02)


def test_each_column_has_its_own_thresholds():
    scores = np.column_stack([np.arange(100.0), 10 * np.arange(100.0)])
    np.testing.assert_array_equal(thresholds(scores), [[95, 950], [99, 990]])
