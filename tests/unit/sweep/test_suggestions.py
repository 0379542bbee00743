"""Suggested points are new, lie in their ranges, and follow from the seed and the results."""

import pandas as pd
import pytest

from methmix.errors import InputError
from methmix.sweep.suggestions import suggest

RANGES = {
    "loss.presence_weight": {"low": 1, "high": 8, "log": True},
    "training.epochs": {"low": 5, "high": 50},
    "model.dropout": [0.0, 0.1, 0.3],
}
NONE = pd.DataFrame()


def bayesian(swept_by, ranges=RANGES, n=8):
    return swept_by({"search": {"kind": "bayesian", "ranges": ranges, "generations": 9, "points_per_generation": n}})


def results(swept, points, mae, false_positives=lambda values: 0.1):
    rows = {p.name: (mae(swept.values(p)), false_positives(swept.values(p))) for p in [swept.shipped, *points]}
    return pd.DataFrame(rows, index=["mae", "spurious_per_mixture"]).T


def test_points_lie_in_their_ranges_and_have_the_types_of_their_keys(swept_by):
    swept = bayesian(swept_by)
    points = suggest(swept, 1, [], NONE)
    assert len({point.name for point in points}) == 8
    for values in map(swept.values, points):
        assert 1 <= values["loss.presence_weight"] <= 8 and isinstance(values["loss.presence_weight"], float)
        assert 5 <= values["training.epochs"] <= 50 and isinstance(values["training.epochs"], int)
        assert values["model.dropout"] in RANGES["model.dropout"]


def test_the_same_results_give_the_same_points_and_others_give_others(swept_by):
    swept = bayesian(swept_by)
    first = suggest(swept, 1, [], NONE)
    assert first == suggest(swept, 1, [], NONE)
    low, high = (
        results(swept, first, lambda v, sign=sign: 1 + sign * v["loss.presence_weight"]) for sign in (0.1, -0.1)
    )
    second = suggest(swept, 2, first, low)
    assert second == suggest(swept, 2, first, low) != suggest(swept, 2, first, high)
    assert not {p.name for p in first} & {p.name for p in second}


def test_another_seed_gives_other_points(swept_by):
    swept = bayesian(swept_by)
    first = suggest(swept, 1, [], NONE)
    swept.experiment = swept.experiment.model_copy(update={"seed": 2})
    assert first != suggest(swept, 1, [], NONE)


def test_suggestions_approach_the_lowest_error_that_the_false_positives_allow(swept_by):
    """The error falls with the weight, but above 4 there are more false positives than as shipped."""
    swept = bayesian(swept_by, {"loss.presence_weight": {"low": 0.5, "high": 8.0}})
    points = []
    for generation in range(1, 6):
        measured = results(
            swept,
            points,
            lambda v: 1 / v["loss.presence_weight"],
            lambda v: 0.1 + 0.1 * (v["loss.presence_weight"] > 4),
        )
        points += suggest(swept, generation, points, measured)
    weights = [swept.values(point)["loss.presence_weight"] for point in points]
    assert sum(2.5 < weight <= 4 for weight in weights[16:]) > sum(2.5 < weight <= 4 for weight in weights[:8])
    assert 3.5 < max(weight for weight in weights if weight <= 4) <= 4


def test_more_random_points_leave_the_first_as_they_are(swept_by):
    few, many = (
        suggest(swept_by({"search": {"kind": "random", "ranges": RANGES, "n_points": n}}), 1, [], NONE) for n in (4, 7)
    )
    assert many[:4] == few and len(many) == 7


def test_a_space_that_is_exhausted_gives_what_it_has(swept_by):
    swept = bayesian(swept_by, {"model.dropout": [0.0, 0.1, 0.3]})
    points = suggest(swept, 1, [], NONE)
    # 0.1 is the shipped value.
    assert sorted(point.changes["model.dropout"] for point in points) == [0.0, 0.3]


def test_a_grid_suggests_nothing(grid):
    with pytest.raises(TypeError, match="grid: its points are not sampled"):
        suggest(grid, 1, [], NONE)


def test_values_that_do_not_fit_other_keys_are_passed_over(swept_by):
    """An epoch of 5,000 mixtures is a multiple of 50, 100, 125, 200 and 250 among these batch sizes."""
    swept = bayesian(swept_by, {"training.batch_size": {"low": 50, "high": 250}}, n=2)
    swept.check()
    points = suggest(swept, 1, [], NONE)
    assert points and all(5000 % swept.values(point)["training.batch_size"] == 0 for point in points)
    none = bayesian(swept_by, {"training.batch_size": {"low": 501, "high": 599}}, n=2)
    with pytest.raises(InputError, match="not a multiple of batch_size"):
        suggest(none, 1, [], NONE)
