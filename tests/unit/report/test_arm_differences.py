"""Differences between arms, and which is better on other donors."""

import json

import numpy as np
import pytest
from experiments import random_proportions, write_evaluation
from scipy import stats

from methmix.evaluation.donor_intervals import with_donor_intervals
from methmix.report.arm_differences import difference, draw_differences, over_draws, read_draws
from methmix.report.arm_results import read_arms
from methmix.report.donor_draws import collect_draws
from methmix.scores import Scores

ARMS = ["sparse", "original"]
SEEDS = (1, 2, 3)


@pytest.fixture
def runs(tmp_path):
    """Three draws of donors; in each, original errs by another amount."""
    for seed in SEEDS:
        true, predicted = random_proportions(seed=seed)
        worse = (1 - 0.1 * seed) * predicted + 0.1 * seed / predicted.shape[1]
        for arm, values in zip(ARMS, (predicted, worse), strict=True):
            write_evaluation(tmp_path / f"mine-seed{seed}" / "phase2" / arm / "evaluation", values, true, seed)
    return [tmp_path / f"mine-seed{seed}" / "phase2" for seed in SEEDS]


def written(draws, path):
    path.write_text(json.dumps({"draws": draws}))
    return path


def test_intervals_over_draws_are_of_their_mean_and_paired(runs):
    draws = collect_draws(runs, ARMS)
    assert [draw["seed"] for draw in draws] == [1, 2, 3]
    errors = np.array([[draw["arms"][arm]["mae"] for arm in ARMS] for draw in draws])
    found = over_draws(draws, "sparse")
    assert found["donor_draws"] == 3 and found["mae_donors_mean"] == pytest.approx(errors[:, 0].mean())
    by_scipy = stats.t.interval(0.95, 2, errors[:, 0].mean(), stats.sem(errors[:, 0]))
    assert found["mae_donors_ci95"] == pytest.approx(by_scipy)
    paired = errors[:, 0] - errors[:, 1]
    of_pair = draw_differences(draws, *ARMS)["mae"]
    assert of_pair["donors_mean"] == pytest.approx(paired.mean())
    assert of_pair["donors_ci95"] == pytest.approx(stats.t.interval(0.95, 2, paired.mean(), stats.sem(paired)))


def test_only_donors_decide_which_arm_is_better(runs):
    results = read_arms(runs[0], ARMS)
    alone = difference(*results, 200, 1, [])
    # Over mixtures of the same donors the difference is clear, which says nothing about others.
    assert alone["mae"]["ci95"][1] < 0
    assert alone["mae"]["better"] == "not known" and "donors_ci95" not in alone["mae"]
    draws = collect_draws(runs, ARMS)
    low, high = difference(*results, 200, 1, draws)["mae"]["donors_ci95"]
    expected = "sparse" if high < 0 else "original" if low > 0 else "no clear difference"
    assert difference(*results, 200, 1, draws)["mae"]["better"] == expected
    same = [{"seed": n, "arms": draw["arms"]} for n, draw in enumerate([draws[0], *[draws[0]] * 2])]
    assert difference(*results, 200, 1, same)["mae"]["better"] == "sparse"
    assert difference(*results[::-1], 200, 1, [])["mae"]["estimate"] == pytest.approx(-alone["mae"]["estimate"])


def test_real_donors_are_left_out_of_both_arms_together(runs):
    results = read_arms(runs[0], ARMS)
    for result in results:
        scores = Scores(result.true, result.predicted, result.probability)
        result.metrics.update(with_donor_intervals(scores, result.donors))
    found = difference(*results, 100, 1, [])["mae"]
    low, high = found["donors_ci95"]
    assert low < found["estimate"] < high
    # Common to both arms is what makes some mixtures difficult.
    assert high - low < sum(r.metrics["mae_donors_ci95"][1] - r.metrics["mae_donors_ci95"][0] for r in results)


def test_draws_of_earlier_results_are_not_used(runs, tmp_path, caplog):
    draws, results = collect_draws(runs, ARMS), read_arms(runs[0], ARMS)
    path = written(draws, tmp_path / "donors.json")
    assert read_draws(path, results) == draws
    assert read_draws(None, results) == read_draws(tmp_path / "absent.json", results) == []
    assert read_draws(written(draws[:1], path), results) == []
    draws[0]["arms"]["original"]["mae"] += 0.01
    assert read_draws(written(draws, path), results) == []
    assert "is of earlier results" in caplog.text
