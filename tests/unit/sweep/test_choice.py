"""The table, the front and the recommendation, by values that are computed by hand."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from methmix.config.load import load_arm, load_experiment
from methmix.errors import InputError
from methmix.sweep.choice import choose, on_front, read_runs, recommended, standard_error, summary

# MAE, false positives and missed tissues of the four points of `grid`, in two runs.
VALUES = {
    0: [(0.0030, 0.10, 0.50), (0.0032, 0.12, 0.52)],
    1: [(0.0024, 0.08, 0.60), (0.0026, 0.10, 0.62)],
    2: [(0.0020, 0.30, 0.30), (0.0022, 0.32, 0.32)],
    3: [(0.0040, 0.20, 0.70), (0.0042, 0.22, 0.72)],
}


@pytest.fixture
def runs(grid, tmp_path, write_training):
    folders = [tmp_path / "results" / name / "phase2" for name in ("default", "default-seed2")]
    for number, values in VALUES.items():
        for seed, (folder, reached) in enumerate(zip(folders, values, strict=True), start=1):
            write_training(folder / grid.planned[number].folder, *reached, seed=seed)
    return folders


def test_a_row_for_each_point_and_seed_at_its_best_epoch(grid, runs):
    table = read_runs(runs, grid.planned)
    assert list(table["run"]) == ["default", "default-seed2"] * 4 and list(table["seed"]) == [1, 2] * 4
    assert list(table["mae"]) == [reached[0] for values in VALUES.values() for reached in values]
    assert set(table["epoch"]) == {2} and set(table["seconds"]) == {9.0}


def test_a_row_for_each_point_with_mean_and_spread(grid, runs):
    whole = summary(read_runs(runs, grid.planned), grid, grid.planned)
    assert list(whole["mae_mean"]) == pytest.approx([0.0031, 0.0025, 0.0021, 0.0041])
    # Two values that differ by d have the standard deviation d / sqrt(2).
    assert list(whole["mae_sd"]) == pytest.approx([0.0002 / np.sqrt(2)] * 4)
    assert list(whole["missed_per_mixture_mean"]) == pytest.approx([0.51, 0.61, 0.31, 0.71])
    assert list(whole["loss.sparsity_weight"]) == [0.01, 0.05, 0.01, 0.05]
    assert list(whole["changed"]) == [0, 1, 1, 2] and set(whole["seeds"]) == {2}
    # False positives: 0.11 as shipped, 0.09, 0.31 and 0.21.
    assert list(whole["admissible"]) == [True, True, False, False]
    assert list(whole["on_front"]) == [True, True, True, False]


def test_front():
    errors = np.array([[0.1, 0.5], [0.2, 0.4], [0.2, 0.5], [0.3, 0.1], [0.1, 0.5], [0.4, 0.1]])
    # The third is beaten by the first, the last by the fourth; equal points do not beat each other.
    assert list(on_front(errors)) == [True, True, False, True, True, False]


def test_standard_error_is_of_what_remains_beside_points_and_seeds():
    """Residuals of [[1, 2], [3, 6]] are 0.5 in size: a variance of 1 with one degree of freedom, and sqrt(2 / 2)."""
    table = pd.DataFrame({"point": ["a", "a", "b", "b"], "run": [1, 2, 1, 2], "mae": [1.0, 2.0, 3.0, 6.0]})
    assert standard_error(table) == pytest.approx(1.0)
    table["mae"] = [1.0, 2.0, 3.0, 4.0]
    assert standard_error(table) == pytest.approx(0.0)
    assert np.isnan(standard_error(table[table["run"] == 1]))
    assert np.isnan(standard_error(table[table["point"] == "a"]))
    table["mae"] = [1.0, 2.0, 3.0, 6.0]
    failed = pd.DataFrame({"point": ["c", "c"], "run": [1, 2], "mae": [20.0, 90.0]})
    assert standard_error(pd.concat([table, failed])) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("mae", "error", "expected"),
    [
        # The lowest error of those with few enough false positives, not of all.
        ([0.0030, 0.0020, 0.0010], 0.0001, "changed"),
        # Within one standard error the shipped value stays.
        ([0.0030, 0.0029, 0.0010], 0.0002, "shipped"),
        ([0.0030, 0.0029, 0.0010], float("nan"), "changed"),
    ],
)
def test_recommendation(mae, error, expected):
    names, admissible = ["shipped", "changed", "inadmissible"], [True, True, False]
    whole = pd.DataFrame({"point": names, "mae_mean": mae, "admissible": admissible, "changed": [0, 2, 1]})
    assert recommended(whole, error) == expected


def test_among_as_good_points_the_fewest_changes():
    whole = pd.DataFrame({"point": ["s", "a", "b", "c"], "mae_mean": [0.9, 0.5, 0.52, 0.51], "changed": [0, 2, 1, 1]})
    assert recommended(whole.assign(admissible=True), 0.05) == "c"


def test_what_is_written(grid, runs, tmp_path):
    output = tmp_path / "sweep"
    choose(grid, grid.planned, runs, output)
    points, table = pd.read_csv(output / "points.csv"), pd.read_csv(output / "runs.csv")
    assert (len(points), len(table)) == (4, 8)
    assert list(points["recommended"]) == [False, True, False, False]
    assert list(points["shipped"]) == [True, False, False, False]
    assert list(table.columns[:4]) == ["point", "loss.presence_weight", "loss.sparsity_weight", "run"]
    choice = json.loads((output / "choice.json").read_text())
    assert choice["recommended"]["changes"] == {"loss.sparsity_weight": 0.05}
    assert choice["recommended"]["folder"] == grid.planned[1].folder and choice["shipped"]["folder"] == "sparse"
    text = (output / "recommended.yaml").read_text()
    assert "config/phase2_sparse.yaml with\n#   loss.sparsity_weight: 0.05 (there 0.01)\n" in text
    arm = load_arm(output / "recommended.yaml")
    assert arm.output == str(output / "recommended") and arm.experiment == str(output / "experiment.yaml")
    assert arm.loss == grid.settings({"loss.sparsity_weight": 0.05}).loss


def test_a_recommended_key_is_not_undone_by_the_overrides(swept_by, tmp_path, write_training):
    swept = swept_by({"search": {"kind": "list", "points": [{"training.epochs": 2}]}}, "tiny")
    for point, mae in zip(swept.planned, (0.003, 0.002), strict=True):
        write_training(tmp_path / "results/tiny/phase2" / point.folder, mae, 0.1, 0.5)
    choose(swept, swept.planned, [tmp_path / "results/tiny/phase2"], tmp_path)
    experiment = load_experiment(tmp_path / "experiment.yaml")
    arm = load_arm(tmp_path / "recommended.yaml", experiment.overrides)
    assert (arm.training.epochs, arm.training.mixtures_per_epoch) == (2, 1000)
    assert json.loads((tmp_path / "choice.json").read_text())["standard_error"] is None
    assert yaml.safe_load((tmp_path / "recommended.yaml").read_text())["phase"] == "phase2"


def test_a_training_that_is_missing(grid, runs):
    (runs[1] / grid.planned[2].folder / "logs" / "training_log.csv").unlink()
    with pytest.raises(InputError, match=r"training_log.csv: there is no such file\n  train the points"):
        read_runs(runs, grid.planned)
