"""Further runs of an experiment, with other seeds and other donors."""

import pytest
import yaml
from experiments import ROOT

from methmix.config.load import load_experiment
from methmix.config.reruns import fold_runs, seed_runs
from methmix.errors import InputError


def whole(name):
    return load_experiment(ROOT / f"config/{name}.yaml").model_dump(mode="json")


def test_further_runs_have_names_and_seeds_of_their_own():
    content = {"name": "mine", "seed": 1, "reference": {"split": {"test": 0.2}}}
    runs = seed_runs(content, [5])
    assert list(runs) == ["mine", "mine-seed5"] and runs["mine"] is content
    assert runs["mine-seed5"] == {**content, "name": "mine-seed5", "seed": 5, "repeats": {}}
    folds = fold_runs(content, [1, 2])
    assert [run["reference"]["split"].get("fold") for run in folds.values()] == [None, 1, 2]
    assert content["reference"]["split"] == {"test": 0.2}


@pytest.mark.parametrize("name", ["default", "metdecode", "tiny"])
def test_every_further_run_is_a_valid_experiment(tmp_path, name):
    content = whole(name)
    repeats = load_experiment(ROOT / f"config/{name}.yaml").repeats
    runs = {**seed_runs(content, repeats.seeds), **fold_runs(content, repeats.folds)}
    assert len(runs) == 1 + len(repeats.seeds) + len(repeats.folds) > 1
    for number, run in enumerate(runs.values()):
        (tmp_path / f"{number}.yaml").write_text(yaml.safe_dump(run))
        assert load_experiment(tmp_path / f"{number}.yaml").name == run["name"]


@pytest.mark.parametrize("repeats", [{"seeds": [1]}, {"seeds": [2, 2]}, {"folds": [1, 1]}, {"folds": [0]}])
def test_a_run_is_not_repeated_as_it_is(tmp_path, repeats):
    content = {**whole("tiny"), "repeats": repeats}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match="repeats"):
        load_experiment(tmp_path / "mine.yaml")
