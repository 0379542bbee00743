"""What the workflow asks of a configuration."""

from types import SimpleNamespace

import pytest
import yaml

from methmix.arms import names
from methmix.config.load import load_experiment, read_yaml
from methmix.errors import InputError
from methmix.workflow import Plan, checkpoint


@pytest.fixture
def in_repository(repository, monkeypatch):
    monkeypatch.chdir(repository)
    return repository


@pytest.fixture
def plan(in_repository):
    path = in_repository / "config/default.yaml"
    return Plan(read_yaml(path), path)


def job(**wildcards: str) -> SimpleNamespace:
    return SimpleNamespace(**{"name": "default", "phase": "phase2", **wildcards})


def test_runs_are_the_experiment_and_its_repeats(in_repository):
    path = in_repository / "config/default.yaml"
    content = read_yaml(path)
    content["repeats"] = {"seeds": [4], "folds": [2]}
    plan = Plan(content, path)
    assert [*plan.runs] == ["default", "default-seed4", "default-fold2"]
    assert ([*plan.seed_runs], [*plan.fold_runs]) == (["default", "default-seed4"], ["default", "default-fold2"])
    assert plan.settings("overrides")(job(name="default-seed4")) == [4, plan.content["overrides"]]
    assert plan.settings("reference")(job(name="default-fold2"))[1]["split"]["fold"] == 2


@pytest.mark.parametrize("name", ["default", "full_scale", "loyfer_u25", "loyfer_uxm", "metdecode", "tiny"])
def test_the_record_of_a_run_is_the_whole_experiment(in_repository, tmp_path, monkeypatch, name):
    path = in_repository / f"config/{name}.yaml"
    plan = Plan(read_yaml(path), path)
    monkeypatch.chdir(tmp_path)
    record = tmp_path / plan.record(job(name=name))
    assert load_experiment(record) == load_experiment(path)
    assert yaml.safe_load(record.read_text()).keys() == type(plan.experiment).model_fields.keys()
    written = record.stat().st_mtime_ns
    plan.record(job(name=name))
    assert record.stat().st_mtime_ns == written


def test_a_training_of_an_arm(plan):
    inputs = plan.training_inputs(job(arm="sparse"))
    assert inputs == {"config": "config/phase2_sparse.yaml", "start": []}
    assert plan.training_options(job(arm="sparse"), SimpleNamespace(**inputs)) == ["--arm=sparse"]


def test_a_training_that_starts_from_another_phase(plan):
    wildcards = job(phase="phase3", arm="sparse")
    inputs = plan.training_inputs(wildcards)
    assert inputs["start"] == ["results/default/phase2/sparse/logs/training_record.json"]
    start = "results/default/phase2/sparse/checkpoints/checkpoint_best.pt"
    assert plan.training_options(wildcards, SimpleNamespace(**inputs)) == ["--arm=sparse", f"--warm-start={start}"]


def test_a_training_of_a_sweep(plan):
    options = plan.training_options(job(arm="original", rate="0.0003"), SimpleNamespace(start=[]))
    assert options == ["--arm=original", "--set=training.learning_rate=0.0003"]


@pytest.mark.parametrize("name", ["sparse_mlp", "original_reference", "warm_start_phase1"])
def test_a_training_of_a_variant(plan, name):
    variant = plan.variants[name]
    inputs = plan.training_inputs(job(variant=name))
    options = plan.training_options(job(variant=name), SimpleNamespace(**inputs))
    assert options[0] == f"--arm={variant.arm}"
    assert len([option for option in options if option.startswith("--set=")]) == len(variant.set)
    start = "results/default/phase1/sparse/logs/training_record.json"
    assert inputs["start"] == ([start] if name == "warm_start_phase1" else [])
    evaluated = plan.evaluation_options(job(variant=name), SimpleNamespace(record=f"run/{name}/logs/record.json"))
    assert evaluated == [f"--arm={variant.arm}", f"--checkpoint=run/{name}/checkpoints/checkpoint_best.pt"]


def test_arms_of_a_phase(plan):
    assert plan.trained_arms(job()) == names("trained")
    assert plan.main_arm(job()) == "config/phase2_sparse.yaml"


def test_an_arm_that_the_experiment_lacks(in_repository):
    path = in_repository / "config/default.yaml"
    content = read_yaml(path)
    del content["arms"]["phase1"]
    plan = Plan(content, path)
    assert plan.trained_arms(job(phase="phase1")) == []
    for ask in (plan.main_arm, plan.training_inputs):
        with pytest.raises(InputError, match="experiment default has no sparse arm there"):
            ask(job(phase="phase1", arm="sparse"))


def test_a_prediction(in_repository):
    path = in_repository / "config/default.yaml"
    content = read_yaml(path)
    assert Plan(content, path).predicting_run == "phase3/sparse"
    assert Plan(content, path).sample_regions(job()) == []
    content["prediction"] |= {"checkpoint_phase": "phase2", "regions_file": "regions.bed", "pseudo_depth": 20}
    plan = Plan(content, path)
    assert plan.predicting_run == "phase2/sparse"
    assert plan.sample_regions(job()) == ["regions.bed"]
    assert {"--regions-file=regions.bed", "--pseudo-depth=20"} <= set(plan.prediction_options(job()))
    del content["prediction"]
    with pytest.raises(InputError, match="missing key prediction"):
        Plan(content, path).samples(job())


def test_a_checkpoint_lies_beside_the_logs_of_its_training():
    record = "results/default/phase2/sparse/logs/training_record.json"
    assert checkpoint(record) == "results/default/phase2/sparse/checkpoints/checkpoint_best.pt"
