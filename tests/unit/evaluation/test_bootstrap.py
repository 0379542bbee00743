import json

import numpy as np
import pytest
from experiments import random_proportions

from methmix.evaluation.bootstrap import interval, replicates, resamples, with_intervals
from methmix.scores import Scores


@pytest.fixture
def data():
    true, predicted = random_proportions()
    rng = np.random.default_rng(1)
    return true, predicted, np.clip(predicted * 4 + 0.1 * rng.random(predicted.shape), 0, 1)


def test_resamples_draw_every_mixture_as_often():
    counts = resamples(20, 3000, seed=5)
    assert counts.shape == (3000, 20)
    assert (counts.sum(axis=1) == 20).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(20), abs=0.1)
    # The same resamples, however many: more of them only follow.
    assert np.array_equal(resamples(20, 10, seed=5), counts[:10])


@pytest.mark.slow
def test_interval_covers_the_true_value_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for trial in range(200):
        true = np.zeros((50, 2))
        true[:, 0] = 1
        error = rng.exponential(0.1, 50).clip(0, 1)
        predicted = np.stack([1 - error, error], axis=1)
        low, high = interval(replicates(Scores(true, predicted, predicted), 200, trial)["mae"])
        inside += low <= 0.1 <= high
    assert 0.88 <= inside / 200 <= 0.99


def test_replicates_of_two_arms_are_paired(data):
    true, predicted, probability = data
    shifted = replicates(Scores(true, predicted, probability), 20, seed=4)["mae"]
    same = replicates(Scores(true, predicted, probability), 20, seed=4)["mae"]
    assert np.array_equal(shifted, same)


def test_undefined_values_are_null_in_json(data):
    true, _, _ = data
    nothing = np.zeros_like(true)
    content = json.loads(json.dumps(dict(with_intervals(Scores(true, nothing, nothing), 100, 1))))
    assert content["presence_precision"] is None
    assert content["presence_precision_ci95"] == [None, None]
    assert content["mae_ci95"][0] <= content["mae"] <= content["mae_ci95"][1]


def test_interval_of_the_background():
    true = np.array([[0.5, 0.2, 0.3, 0.0], [0.6, 0.2, 0.1, 0.1], [0.4, 0.3, 0.3, 0.0]])
    predicted = np.array([[0.6, 0.13, 0.27, 0.0], [0.3, 0.5, 0.1, 0.1], [0.35, 0.25, 0.4, 0.0]])
    content = dict(with_intervals(Scores(true, predicted, predicted, background=[0, 1]), 200, 1))
    low, high = content["background_within_3_ci95"]
    assert 0 <= low < 2 / 3 < high <= 1
