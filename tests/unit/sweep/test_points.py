"""Points are valid, the same under any spelling, and named by what they change."""

import re

import pytest

from methmix.config.load import load_experiment
from methmix.errors import InputError
from methmix.sweep.points import POINT_NAME, Point, SweptArm, generation_file, setting_text, write_generation


def test_points_of_a_grid_with_the_shipped_one_first(grid):
    changes = [point.changes for point in grid.planned]
    weight, sparsity = "loss.presence_weight", "loss.sparsity_weight"
    assert changes == [{}, {sparsity: 0.05}, {weight: 2.0}, {weight: 2.0, sparsity: 0.05}]
    assert grid.planned[0].folder == grid.shipped.name == "sparse"
    assert all(re.fullmatch(POINT_NAME, point.name) for point in grid.planned[1:])
    assert grid.planned[1].folder == f"points/{grid.planned[1].name}"
    assert grid.values(grid.planned[1]) == {weight: 1.0, sparsity: 0.05}


def test_a_point_has_one_name_however_it_is_written(grid):
    weight, sparsity = "loss.presence_weight", "loss.sparsity_weight"
    written = [
        {weight: 2, sparsity: 0.05},
        {sparsity: 0.05, weight: 2.0},
        {weight: 2.0, sparsity: 5e-2, "model.dropout": 0.1},
    ]
    assert len({grid.point(changes).name for changes in written}) == 1
    assert grid.point({weight: 2.0}).name != grid.point({weight: 2.1}).name
    # A name that changed would train every point again.
    assert Point("sparse", {weight: 2.0}).name == "sparse-107a74d641"


def test_a_point_may_change_what_the_experiment_overrides(swept_by):
    swept = swept_by({"search": {"kind": "list", "points": [{"training.epochs": 6}, {"training.epochs": 2}]}}, "tiny")
    assert [point.changes for point in swept.planned] == [{}, {"training.epochs": 2}]
    assert swept.settings(swept.planned[1].changes).training.epochs == 2


def test_suggested_points_are_known_once_their_generation_is_written(swept_by, tmp_path):
    ranges = {"model.dropout": {"low": 0.0, "high": 0.5}}
    swept = swept_by({"search": {"kind": "bayesian", "ranges": ranges, "generations": 2, "points_per_generation": 2}})
    first, second = swept.point({"model.dropout": 0.2}), swept.point({"model.dropout": 0.3})
    assert swept.known(tmp_path) == [swept.shipped]
    write_generation(generation_file(tmp_path, 1), [first, swept.shipped])
    write_generation(generation_file(tmp_path, 2), [second, first])
    assert swept.known(tmp_path, 0) == [swept.shipped]
    assert swept.known(tmp_path, 1) == [swept.shipped, first]
    assert swept.known(tmp_path) == [swept.shipped, first, second]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"points": '])
def test_a_damaged_generation_can_be_suggested_again(swept_by, tmp_path, content):
    ranges = {"model.dropout": [0.0, 0.1]}
    swept = swept_by({"search": {"kind": "bayesian", "ranges": ranges, "generations": 2, "points_per_generation": 2}})
    generation_file(tmp_path, 1).write_text(content)
    with pytest.raises(InputError, match=r"generation_1\.json: is damaged .*\n  delete it"):
        swept.known(tmp_path)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({"loss.presense_weight": 2.0}, r"loss.presense_weight: .*no such key \(did you mean presence_weight\?\)"),
        ({"loss.presence_weight": "much"}, "loss.presence_weight: Input should be a valid number.*found 'much'"),
        ({"model.hidden_sizes": [8]}, "model.hidden_sizes: .*another section, arm or backbone"),
        ({"training.batch_size": 7}, "mixtures_per_epoch: 5000 is not a multiple of batch_size 7"),
    ],
)
def test_a_point_that_is_not_possible(swept_by, points, message):
    with pytest.raises(InputError, match=f"(?s)mine.yaml: .*{message}"):
        swept_by({"search": {"kind": "list", "points": [points]}}).check()


def test_the_ends_of_a_range_and_every_choice_must_be_possible(swept_by):
    for ranges in ({"model.dropout": {"low": 0.5, "high": 1.5}}, {"loss.teacher_forcing": [True, "sometimes"]}):
        with pytest.raises(InputError, match=f"mine.yaml: .*{next(iter(ranges))}"):
            swept_by({"search": {"kind": "random", "ranges": ranges, "n_points": 3}}).check()


def test_shipped_sweeps_are_possible(repository, monkeypatch):
    monkeypatch.chdir(repository)
    experiment = load_experiment(repository / "config/default.yaml")
    numbers = {}
    for path in sorted(repository.glob("config/sweeps/*.yaml")):
        swept = SweptArm(experiment.model_copy(update={"sweep": str(path)}), "phase2")
        numbers[path.stem] = len(swept.planned)
    assert numbers == {
        "bayesian": 1, "knobs": 11, "learning_rate": 5, "loss_weights": 9, "not_sparse_enough": 9,
        "presence_not_learning": 6, "too_sparse": 8,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("not_sparse_enough", {"loss.presence_weight": 2.0, "loss.sparsity_weight": 0.05}),
        (
            "too_sparse",
            {"loss.presence_weight": 0.5, "loss.presence_threshold": 0.005, "model.presence_threshold": 0.3},
        ),
        ("presence_not_learning", {"loss.presence_weight": 5.0, "loss.mse_weight": 0.5}),
    ],
)
def test_the_recipes_of_the_design_note_are_points_of_their_sweeps(repository, monkeypatch, name, values):
    monkeypatch.chdir(repository)
    experiment = load_experiment(repository / "config/default.yaml")
    swept = SweptArm(experiment.model_copy(update={"sweep": f"config/sweeps/{name}.yaml"}), "phase2")
    assert values in [swept.values(point) for point in swept.planned]


def test_settings_are_written_as_in_yaml():
    assert [setting_text(v) for v in (0.5, 2.0, 3, True, None, "auto", [1, 2])] == [
        "0.5", "2", "3", "true", "null", '"auto"', "[1, 2]",
    ]  # fmt: skip
