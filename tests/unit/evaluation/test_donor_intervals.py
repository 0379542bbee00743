"""Intervals over donors, against formulas that hold exactly, against loops, and in simulations with donor effects."""

from itertools import combinations

import numpy as np
import pytest
from experiments import random_proportions
from scipy import stats

from methmix.config.sources import CountsReference, SimulatedReference, UxmAtlasReference
from methmix.evaluation.donor_intervals import (
    jackknife_interval,
    leaving_donors_out,
    student_interval,
    with_donor_intervals,
    without_each_donor,
)
from methmix.reference.quality import INVENTED_DONORS
from methmix.scores import Scores


def means_without(values, donors, fold=None):
    counts = without_each_donor(donors, fold)
    return counts @ values / counts.sum(axis=1)


def test_student_interval_is_that_of_scipy():
    values = np.random.default_rng(1).normal(size=8)
    expected = stats.t.interval(0.95, 7, values.mean(), stats.sem(values))
    assert student_interval([*values, None, np.nan]) == pytest.approx(expected)
    assert student_interval([1.0, None]) == student_interval([]) == [None, None]


def test_with_one_donor_a_mixture_the_jackknife_is_the_interval_of_a_mean():
    values = np.random.default_rng(2).normal(size=13)
    donors = np.array([[f"d{number}"] for number in range(13)])
    expected = stats.t.interval(0.95, 12, values.mean(), stats.sem(values))
    assert jackknife_interval(values.mean(), means_without(values, donors)) == pytest.approx(expected)


@pytest.mark.parametrize("size", [2, 4])
def test_with_all_mixtures_of_some_donors_the_jackknife_is_exact(size):
    """A mixture is the sum of its donors' effects: the mean over all of them is the mean effect times their number."""
    effects = np.random.default_rng(3).normal(size=9)
    groups = np.array([*combinations(range(9), size)])
    values, donors = effects[groups].sum(axis=1), groups.astype(str)
    margin = stats.t.ppf(0.975, 8) * size * stats.sem(effects)
    found = jackknife_interval(values.mean(), means_without(values, donors))
    assert found == pytest.approx([size * effects.mean() - margin, size * effects.mean() + margin])


def simulated(rng, n_tissues=13, n_mixtures=200):
    """Give donors [n_mixtures, n_tissues] and errors of mixtures whose donors have effects; the expected error is 1."""
    effects = rng.normal(size=n_tissues)
    donors = np.full((n_mixtures, n_tissues), "", dtype="<U4")
    errors = 1 + rng.normal(size=n_mixtures)
    for row in range(n_mixtures):
        mixed = rng.choice(n_tissues, rng.integers(3, 6), replace=False)
        donors[row, mixed] = [f"d{donor}" for donor in mixed]
        errors[row] += rng.dirichlet(np.full(len(mixed), 2.0)) @ effects[mixed]
    return donors, errors


def test_the_jackknife_covers_where_the_mixtures_of_the_same_donors_do_not():
    covered, too_few = 0, 0
    for number in range(200):
        donors, errors = simulated(np.random.default_rng(number))
        low, high = jackknife_interval(errors.mean(), means_without(errors, donors))
        covered += low <= 1 <= high
        too_few += abs(errors.mean() - 1) <= 1.96 * stats.sem(errors)
    # 0.95 with a standard error of 0.015; conservative.
    assert 0.92 < covered / 200 < 0.999
    assert too_few / 200 < 0.6


def test_a_donor_in_every_mixture_leaves_nothing_to_estimate():
    true, predicted = random_proportions()
    donors = np.tile(["background", "other"], (len(true), 1))
    donors[::2, 1] = "another"
    found = with_donor_intervals(Scores(true, predicted), donors)
    assert found["mae_donors_ci95"] == [None, None] and found["donor_draws"] == 3


def test_every_metric_is_computed_without_the_mixtures_of_each_donor():
    true, predicted = random_proportions()
    names = np.array([["a", "b", ""], ["", "c", "d"], ["a", "", "d"]])
    donors = names[np.arange(len(true)) % 3]
    scores = Scores(true, predicted, predicted.clip(0, 1))
    found = leaving_donors_out(scores, without_each_donor(donors))
    intervals = with_donor_intervals(scores, donors)
    for name, value in scores.estimate().items():
        kept = [~(donors == donor).any(axis=1) for donor in "abcd"]
        alone = [Scores(true[k], predicted[k], predicted[k].clip(0, 1)).value(name) for k in kept]
        assert found[name] == pytest.approx(alone), name
        assert intervals[f"{name}_donors_ci95"] == pytest.approx(jackknife_interval(value, np.array(alone)))


def test_a_fold_keeps_its_weight_without_one_of_its_donors():
    donors = np.array([["a"], ["a"], ["b"], ["c"], ["d"]])
    fold = np.array([0, 0, 0, 1, 1])
    counts = without_each_donor(donors, fold)
    assert counts.tolist() == [[0, 0, 3, 1, 1], [1.5, 1.5, 0, 1, 1], [1, 1, 1, 0, 2], [1, 1, 1, 2, 0]]
    # Donor d is the whole of a fold: without it the average is of something else.
    alone = without_each_donor(np.array([["a"], ["b"], ["d"]]), np.array([0, 0, 1]))
    assert np.isnan(alone[2]).any() and not np.isnan(alone[:2]).any()


def test_sources_whose_donors_a_seed_draws_are_those_without_real_donors():
    drawn = [source.model_fields["source"] for source in (SimulatedReference, UxmAtlasReference)]
    assert {field.annotation.__args__[0] for field in drawn} == INVENTED_DONORS.keys()
    assert SimulatedReference.drawn_donors and UxmAtlasReference.drawn_donors and not CountsReference.drawn_donors
