"""The arms, variants and runs of an experiment."""

import pytest
import yaml
from experiments import ROOT

from methmix.config.configured import check_arms, configured_arm, effective_variants, fold_runs, seed_runs
from methmix.config.experiment import Experiment
from methmix.config.load import load_ablation, load_arm, load_experiment
from methmix.errors import InputError


def whole(name):
    return load_experiment(ROOT / f"config/{name}.yaml").model_dump(mode="json")


def test_arms_of_an_experiment(settings, repository, monkeypatch):
    monkeypatch.chdir(repository)
    recipes = settings["mixtures"]["recipes"]
    recipes["phase3"] = {**recipes["phase2"]}
    settings["arms"] = {"phase3": {"sparse": "config/phase3_sparse.yaml"}}
    settings["overrides"] = {"training.epochs": 2}
    with pytest.raises(InputError, match="warm_start: experiment small has no sparse arm of phase2"):
        check_arms(Experiment.model_validate(settings))
    settings["arms"]["phase2"] = {"sparse": "config/phase2_sparse.yaml"}
    experiment = Experiment.model_validate(settings)
    check_arms(experiment)
    arm = configured_arm(experiment, "phase3", "sparse", {"training.batch_size": 50})
    assert (arm.training.epochs, arm.training.batch_size, arm.training.warm_start) == (2, 50, "phase2")
    with pytest.raises(InputError, match=r"arms\.phase3: experiment small has no original arm there"):
        configured_arm(experiment, "phase3", "original")
    settings["arms"]["phase2"] = {"sparse": "config/phase1_sparse.yaml"}
    with pytest.raises(InputError, match=r"phase: is phase1, but the experiment names the file in arms\.phase2"):
        check_arms(Experiment.model_validate(settings))


def test_a_new_phase_is_a_recipe_and_an_overlay(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    (tmp_path / "phase10_sparse.yaml").write_text(
        f"base: {ROOT}/config/phase3_sparse.yaml\nphase: phase10\ntraining: {{warm_start: phase3}}\n"
    )
    (tmp_path / "mine.yaml").write_text(
        f"""base: {ROOT}/config/default.yaml
name: mine
mixtures: {{recipes: {{phase10: {{kind: background, background: Liver, n_others: [2]}}}}}}
arms: {{phase10: {{sparse: {tmp_path}/phase10_sparse.yaml}}}}
"""
    )
    experiment = load_experiment(tmp_path / "mine.yaml")
    check_arms(experiment)
    assert list(experiment.arms) == ["phase1", "phase2", "phase3", "phase10"]
    assert configured_arm(experiment, "phase10", "sparse").training.epochs == 5
    # Of the last phase by number, not by name.
    assert experiment.background == ["Liver"]


@pytest.mark.parametrize("name", ["default", "full_scale", "loyfer_u25", "metdecode", "metdecode_294", "tiny"])
def test_arms_and_variants_of_every_shipped_experiment(monkeypatch, name):
    monkeypatch.chdir(ROOT)
    experiment = load_experiment(ROOT / f"config/{name}.yaml")
    check_arms(experiment)
    variants = effective_variants(experiment, "phase2")
    assert {"sparse_mlp", "original_reference", "warm_start_phase1"} <= variants.keys()


def test_shipped_variants_change_keys_that_their_arms_have():
    files = {"sparse": "phase2_sparse.yaml", "original": "phase2_multitissue.yaml"}
    for name, variant in load_ablation(ROOT / "config/phase2_ablation.yaml").variants.items():
        changed = load_arm(ROOT / "config" / files[variant.arm], overrides=variant.set)
        assert changed != load_arm(ROOT / "config" / files[variant.arm]), name


def test_a_variant_that_an_experiment_has_already_is_left_out(monkeypatch):
    monkeypatch.chdir(ROOT)
    everything = set(load_ablation(ROOT / "config/phase2_ablation.yaml").variants)
    assert set(effective_variants(load_experiment(ROOT / "config/default.yaml"), "phase2")) == everything
    left = set(effective_variants(load_experiment(ROOT / "config/metdecode.yaml"), "phase2"))
    assert everything - left == {"exact_profiles"}


def test_a_variant_that_starts_from_a_phase_that_an_experiment_has_not_is_left_out(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    content = whole("default")
    del content["arms"]["phase1"]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    everything = set(load_ablation(ROOT / "config/phase2_ablation.yaml").variants)
    left = set(effective_variants(load_experiment(tmp_path / "mine.yaml"), "phase2"))
    assert everything - left == {"warm_start_phase1"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["variants"]["raw_donors"].update(label=c["variants"]["sparse_mlp"]["label"]), "the same label"),
        (lambda c: c["variants"].update(sparse=c["variants"].pop("raw_donors")), "sparse: is the name of an arm"),
        (lambda c: c["variants"]["raw_donors"].update(arms="sparse"), "unknown key variants.raw_donors.arms"),
    ],
)
def test_a_mistake_in_the_ablation_is_named(tmp_path, change, message):
    content = load_ablation(ROOT / "config/phase2_ablation.yaml").model_dump()
    change(content)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=message):
        load_ablation(tmp_path / "mine.yaml")


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
