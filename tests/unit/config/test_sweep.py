"""What a sweep's file may say, and what it says of a mistake."""

import pytest

from methmix.config.load import load_sweep
from methmix.config.sweep import MOST_POINTS, MOST_TRAININGS
from methmix.errors import InputError


def search(kind, **settings):
    return {"search": {"kind": kind, **settings}}


RANGE = {"low": 0.1, "high": 10.0, "log": True}


def test_points_of_a_grid_are_all_combinations(write_yaml):
    values = {"loss.presence_weight": [1.0, 2.0], "loss.sparsity_weight": [0.0, 0.1, 0.2]}
    found = load_sweep(write_yaml(search("grid", values=values))).search
    assert found.n_points == len(found.points) == 6 and found.generations == 0
    assert found.points[1] == {"loss.presence_weight": 1.0, "loss.sparsity_weight": 0.1}
    assert found.varied == [*values]


def test_keys_of_listed_points_are_those_of_any_point(write_yaml):
    points = [{"model.dropout": 0.0}, {"model.dropout": 0.2, "training.epochs": 3}]
    found = load_sweep(write_yaml(search("list", points=points))).search
    assert (found.varied, found.n_points, found.points) == (["model.dropout", "training.epochs"], 2, points)


def test_sampled_points_are_suggested_by_generations(write_yaml):
    ranges = {"loss.presence_weight": RANGE, "model.dropout": [0.0, 0.1]}
    one = load_sweep(write_yaml(search("random", ranges=ranges, n_points=30))).search
    assert (one.generations, one.points_per_generation, one.n_points, one.points) == (1, 30, 30, [])
    several = load_sweep(write_yaml(search("bayesian", ranges=ranges, generations=3, points_per_generation=5))).search
    assert (several.generations, several.n_points) == (3, 15)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (search("grid", values={}), "search.values: Dictionary should have at least 1 item"),
        (search("grid", values={"model.dropout": []}), "search.values.model.dropout: List should have at least 1 item"),
        (search("list", points=[{}]), "search.points.0: Dictionary should have at least 1 item"),
        (search("walk"), "search.kind: unknown value 'walk'; expected one of 'grid', 'list', 'random', 'bayesian'"),
        (search("grid", value={"model.dropout": [0.1]}), r"unknown key search.value \(did you mean values\?\)"),
        (
            search("random", ranges={"model.dropout": {"low": 0.2, "high": 0.1}}, n_points=3),
            "0.2 is not below high 0.1",
        ),
        (search("random", ranges={"model.dropout": {**RANGE, "low": 0.0}}, n_points=3), "low: 0.0 has no logarithm"),
        (
            search("grid", values={f"model.key{i}": [*range(11)] for i in range(3)}),
            f"search: 1,331 points, expected at most {MOST_POINTS:,}; give fewer values, or draw some of them",
        ),
        (
            {**search("grid", values={"model.dropout": [0.1]}), "map_keys": ["model.dropout", "loss.mse_weight"]},
            "map_keys: loss.mse_weight is not varied; expected two of model.dropout",
        ),
        (search("grid", values={"output": ["a"]}), "search: output cannot be varied; expected keys such as"),
        (search("list", points=[{"mse_weight": 2.0}]), "search: mse_weight cannot be varied"),
        (
            {"seeds": 6000, **search("grid", values={"model.dropout": [0.2]})},
            f"seeds: 6,000 of each point are 6,000 trainings, expected at most {MOST_TRAININGS:,}",
        ),
        (
            {**search("grid", values={"model.dropout": [0.1]}), "map_keys": ["model.dropout"] * 2},
            "map_keys: model.dropout is named twice",
        ),
        ({"seeds": 2}, "missing key search"),
    ],
)
def test_a_mistake_is_explained(write_yaml, content, message):
    with pytest.raises(InputError, match=message):
        load_sweep(write_yaml(content))
