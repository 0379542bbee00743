"""Measures of small answers, computed by hand."""

import numpy as np
import pytest

from methmix.files.mixtures import Mixtures
from methmix.models.prediction import Prediction
from methmix.robustness.answer_quality import Answers, quality, together

TRUE = np.array([[0.4, 0.6, 0.0], [0.0, 0.996, 0.004], [0.2, 0.8, 0.0]], dtype=np.float32)
FOUND = np.array([[0.0, 0.9, 0.1], [0.1, 0.9, 0.0], [0.2, 0.8, 0.0]])
PRESENCE = np.array([[0.1, 0.9, 0.6], [0.2, 1.0, 0.0], [0.9, 1.0, 0.1]])
LOW = np.array([[0.0, 0.5, 0.05], [0.0, 0.8, 0.0], [0.1, 0.9, 0.0]])
HIGH = np.array([[0.1, 1.0, 0.2], [0.2, 1.0, 0.1], [0.3, 1.0, 0.1]])
PRIOR = np.full(3, 0.5)


def mixtures_of(true, n_regions=10) -> Mixtures:
    shape = (len(true), n_regions)
    return Mixtures(np.zeros(shape, np.float32), np.ones(shape, np.float32), true, true, [], [*"ABC"], {})


def prediction(**changes) -> Prediction:
    error = np.full((3, 3), 0.01)
    limit = np.array([[0.02, 0.03, 2.0], [0.02, np.inf, 0.02], [0.02, 0.05, 0.06]])
    parts = {"low": LOW, "high": HIGH, "error": error, "limit": limit, "misfit": np.array([1.0, 3, 1])}
    parts |= {"effect": np.array([1.0, 3, 1]), "rmse": np.full(3, -1.0)}
    return Prediction(FOUND, PRESENCE, **{**parts, "misfit_limit": np.full(3, 2.0), **changes})


def test_measures_by_hand():
    found = quality(Answers.of(prediction(), mixtures_of(TRUE)), PRIOR)
    assert found["mae"] == pytest.approx(np.abs(FOUND - TRUE).mean())
    # Absent: C, A and C; only the first has a presence of 0.5, and an interval that excludes 0.
    assert found["absent_said"] == found["absent_excluded"] == pytest.approx(1 / 3)
    # Present: of 0.4, 0.6, 0.996, 0.2 and 0.8 the first and the last are not in their intervals.
    assert found["coverage"] == pytest.approx(3 / 5)
    # Of the entries of 30 % or more, 0.4, 0.6, 0.996 and 0.8, the first is given 0.
    assert found["large_zero"] == pytest.approx(1 / 4)
    assert found["flagged"] == pytest.approx(1 / 3)
    assert found["unanswered"] == 0
    # Two limits are unknown.
    assert found["limit"] == pytest.approx(0.03)
    # Of 5 x 3 pairs of present and absent the 0.1 of the first is below 0.6 and 0.2, and equal to another 0.1.
    assert found["auc"] == pytest.approx((15 - 2.5) / 15)
    assert found["claimed"] == 1


def test_methods_without_probabilities_are_ordered_by_proportion():
    found = quality(Answers.of(Prediction(FOUND), mixtures_of(TRUE)), PRIOR)
    # The zero of 40 % is below two and equal to one absent tissue.
    assert found["auc"] == pytest.approx((15 - 2.5) / 15)
    missing = ("absent_said", "absent_excluded", "coverage", "flagged", "limit", "claimed")
    assert all(np.isnan(found[name]) for name in missing)


def test_samples_without_numbers_count_as_unanswered_only():
    error = np.array([[0.01] * 3, [1.0] * 3, [0.01] * 3])
    answers = Answers.of(prediction(error=error), mixtures_of(TRUE))
    assert answers.answered.tolist() == [True, False, True]
    found = quality(answers, PRIOR)
    assert found["unanswered"] == pytest.approx(1 / 3)
    # The second mixture, which fits poorly, has no numbers that could be flagged.
    assert found["flagged"] == 0
    assert found["mae"] == pytest.approx(np.abs(FOUND - TRUE)[[0, 2]].mean())


def test_nothing_answered_is_measured_without_a_warning():
    answers = Answers.of(prediction(error=np.ones((3, 3))), mixtures_of(TRUE))
    found = quality(answers, PRIOR)
    assert (found["unanswered"], found["claimed"]) == (1, 0)
    assert np.isnan(found["mae"]) and np.isnan(found["auc"]) and np.isnan(found["limit"])


def test_a_sample_of_nothing_is_claimed_by_an_interval_or_by_presence_above_its_prior():
    nothing = mixtures_of(np.zeros((3, 3), dtype=np.float32))
    low = np.array([[0.0, 0, 0], [0, 0, 0], [0, 0.01, 0]])
    presence = np.array([[0.5, 0.7, 0.5], [0.5, 0.8, 0.5], [0.5, 0.5, 0.5]])
    made = Prediction(FOUND, presence, low=low, high=HIGH)
    answers = Answers.of(made, nothing)
    assert quality(answers, np.full(3, 0.5))["claimed"] == pytest.approx(2 / 3)
    assert quality(answers, np.full(3, 0.7))["claimed"] == pytest.approx(1 / 3)
    assert np.isnan(quality(answers, PRIOR)["mae"])


def test_blocks_are_joined_and_restricted():
    error = np.array([[0.01] * 3, [1.0] * 3, [0.01] * 3])
    whole = Answers.of(prediction(error=error), mixtures_of(TRUE))
    both = together([whole, whole])
    assert quality(both, PRIOR) == pytest.approx(quality(whole, PRIOR), nan_ok=True)
    first = both.only(np.array([True, True, False] * 2))
    assert first.answered.tolist() == [True, False, False] * 2
    assert first.prediction.proportions.tolist() == [FOUND[0].tolist()] * 2
