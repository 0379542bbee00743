"""What the workflow asks of a configuration."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from experiments import ROOT

from methmix.arms import names
from methmix.config.load import load_experiment
from methmix.errors import InputError
from methmix.workflow import Plan, checkpoint, fold_runs, seed_runs


def plan_of(path: Path) -> Plan:
    """Make the plan of a file, as the Snakefile does."""
    return Plan(yaml.safe_load(path.read_text()), path)


@pytest.fixture
def in_repository(repository, monkeypatch):
    monkeypatch.chdir(repository)
    return repository


@pytest.fixture
def plan(in_repository):
    return plan_of(in_repository / "config/default.yaml")


class Job(SimpleNamespace):
    """The wildcards of a job."""

    def __getitem__(self, name):
        return getattr(self, name)


def job(**wildcards: str) -> Job:
    return Job(**{"name": "default", "phase": "phase2", **wildcards})


class Checkpoints:
    """The checkpoints of a sweep, all done; records which generations were asked for."""

    def __init__(self, choice=None):
        self.asked = []
        self.suggest = SimpleNamespace(get=lambda **wildcards: self.asked.append(wildcards))
        self.choose = SimpleNamespace(get=lambda **_: SimpleNamespace(output=SimpleNamespace(choice=choice)))


def test_runs_are_the_experiment_and_its_repeats(in_repository):
    path = in_repository / "config/default.yaml"
    content = load_experiment(path).model_dump(mode="json")
    content["repeats"] = {"seeds": [4], "folds": [2], "draws": 3}
    plan = Plan(content, path)
    assert [*plan.runs] == ["default", "default-seed4", "default-seed2", "default-seed3", "default-fold2"]
    assert [*plan.draw_runs] == ["default", "default-seed2", "default-seed3"]
    assert ([*plan.seed_runs], [*plan.fold_runs]) == (["default", "default-seed4"], ["default", "default-fold2"])
    assert plan.settings("overrides")(job(name="default-seed4")) == [4, plan.content["overrides"]]
    assert plan.settings("reference")(job(name="default-fold2"))[1]["split"]["fold"] == 2


def test_draws_of_donors_are_eight_by_default_and_none_of_real_ones(in_repository):
    assert len(plan_of(in_repository / "config/full_scale.yaml").draw_runs) == 8
    assert [*plan_of(in_repository / "config/metdecode.yaml").draw_runs] == ["metdecode"]
    moved = Plan({**load_experiment(in_repository / "config/tiny.yaml").model_dump(mode="json"), "seed": 7}, Path("x"))
    assert [run["seed"] for run in moved.draw_runs.values()] == [7, 8]


@pytest.mark.parametrize(
    "name", ["default", "full_scale", "loyfer_u25", "loyfer_uxm", "metdecode", "metdecode_one", "tiny"]
)
def test_the_record_of_a_run_is_the_whole_experiment(in_repository, tmp_path, monkeypatch, name):
    path = in_repository / f"config/{name}.yaml"
    plan = plan_of(path)
    monkeypatch.chdir(tmp_path)
    record = tmp_path / plan.record(job(name=name))
    assert load_experiment(record) == load_experiment(path)
    assert yaml.safe_load(record.read_text()).keys() == type(plan.experiment).model_fields.keys()
    written = record.stat().st_mtime_ns
    plan.record(job(name=name))
    assert record.stat().st_mtime_ns == written


def test_the_record_of_the_main_arm_is_that_of_the_job(plan):
    assert plan.main_record(job(phase="phase3")) == "results/default/phase3/sparse/logs/training_record.json"


def test_a_training_of_an_arm(plan):
    assert plan.arm_file(job(arm="sparse")) == "config/phase2_sparse.yaml"
    assert plan.starts(job(arm="sparse")) == []
    assert plan.training_options(job(arm="sparse"), SimpleNamespace(start=[])) == ["--arm=sparse"]


def test_a_training_that_starts_from_another_phase(plan):
    wildcards = job(phase="phase3", arm="sparse")
    record = "results/default/phase2/sparse/logs/training_record.json"
    assert plan.starts(wildcards) == [record]
    start = "results/default/phase2/sparse/checkpoints/checkpoint_best.pt"
    options = plan.training_options(wildcards, SimpleNamespace(start=[record]))
    assert options == ["--arm=sparse", f"--warm-start={start}"]


def test_a_training_of_a_point_of_a_sweep(plan):
    point = plan.swept.point({"loss.presence_weight": 2.0})
    wildcards = job(study="points", variant=point.name)
    options = plan.training_options(wildcards, SimpleNamespace(start=[]))
    assert options == ["--arm=sparse", "--set=loss.presence_weight=2.0"]
    assert plan.arm_settings(wildcards)["loss"]["presence_weight"] == 2.0
    assert [*plan.sweep_runs] == ["default", "default-seed2"]
    records = plan.sweep_records(Checkpoints(), job(sweep="loss_weights"))
    assert len(records) == len(set(records)) == 18
    assert f"results/default-seed2/phase2/points/{point.name}/logs/training_record.json" in records
    assert records[0] == "results/default/phase2/sparse/logs/training_record.json"


def test_the_recommended_and_the_shipped_point_are_evaluated_once_in_each_run(plan, tmp_path):
    choice, wildcards = tmp_path / "choice.json", job(sweep="loss_weights")
    for folder in ("points/sparse-0123456789", "sparse"):
        choice.write_text(json.dumps({"recommended": {"folder": folder}, "shipped": {"folder": "sparse"}}))
        found = plan.confirmations(Checkpoints(choice), wildcards)
        assert len(found) == (2 if folder == "sparse" else 4)
        assert found[1] == f"results/default-seed2/phase2/{folder}/evaluation/metrics.json"


def test_a_generation_waits_for_all_earlier_ones(in_repository):
    content = yaml.safe_load((in_repository / "config/default.yaml").read_text())
    plan = Plan({**content, "sweep": "config/sweeps/bayesian.yaml"}, in_repository / "config/default.yaml")
    checkpoints = Checkpoints()
    assert plan.earlier_records(checkpoints, job(sweep="bayesian", generation="1")) == []
    assert checkpoints.asked == []
    # No generation has been suggested here: the shipped point alone is known.
    shipped = ["results/default/phase2/sparse/logs/training_record.json"]
    assert plan.earlier_records(checkpoints, job(sweep="bayesian", generation="3")) == shipped
    wanted = {"name": "default", "phase": "phase2", "sweep": "bayesian"}
    assert checkpoints.asked == [{**wanted, "generation": n} for n in (1, 2)]
    plan.sweep_records(checkpoints, job(sweep="bayesian"))
    assert [asked["generation"] for asked in checkpoints.asked[2:]] == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["sparse_mlp", "original_reference", "warm_start_phase1"])
def test_a_training_of_a_variant(plan, name):
    variant, wildcards = plan.variants[name], job(variant=name)
    options = plan.training_options(wildcards, SimpleNamespace(start=[]))
    assert options[0] == f"--arm={variant.arm}"
    assert len([option for option in options if option.startswith("--set=")]) == len(variant.set)
    start = "results/default/phase1/sparse/logs/training_record.json"
    assert plan.starts(wildcards) == ([start] if name == "warm_start_phase1" else [])
    for key, value in variant.set.items():
        section, _, setting = key.partition(".")
        assert plan.arm_settings(wildcards)[section][setting] == value
    evaluated = plan.evaluation_options(wildcards, SimpleNamespace(record=f"run/{name}/logs/record.json"))
    assert evaluated == [f"--arm={variant.arm}", f"--checkpoint=run/{name}/checkpoints/checkpoint_best.pt"]


def test_a_part_of_the_main_arm_has_its_settings(plan):
    part, whole = job(arm="least_squares"), job(arm="sparse")
    assert plan.arm_file(part) == plan.arm_file(whole) == "config/phase2_sparse.yaml"
    assert plan.arm_settings(part) == plan.arm_settings(whole)


def test_an_arm_that_the_experiment_lacks(in_repository):
    path = in_repository / "config/default.yaml"
    content = load_experiment(path).model_dump(mode="json")
    del content["arms"]["phase1"]
    plan = Plan(content, path)
    assert (plan.trained_arms(job(phase="phase1")), plan.trained_arms(job())) == ([], names("trained"))
    for ask in (plan.arm_file, plan.arm_settings, plan.starts):
        with pytest.raises(InputError, match="experiment default has no sparse arm there"):
            ask(job(phase="phase1", arm="sparse"))


def test_a_prediction(in_repository):
    path = in_repository / "config/default.yaml"
    content = load_experiment(path).model_dump(mode="json")
    assert Plan(content, path).predicting_run == "phase3/sparse"
    assert Plan(content, path).sample_regions(job()) == []
    content["prediction"] |= {"checkpoint_phase": "phase2", "regions_file": "regions.bed", "pseudo_depth": 20}
    content["prediction"]["presence_threshold"] = 0.3
    plan = Plan(content, path)
    assert plan.predicting_run == "phase2/sparse"
    assert plan.sample_regions(job()) == ["regions.bed"]
    restricted = {**content, "prediction": content["prediction"] | {"exclude_regions": "x.bed"}}
    assert Plan(restricted, path).sample_regions(job()) == ["regions.bed", "x.bed"]
    for panel, read in (("n.h5", ["n.h5"]), ("controls", []), ("none", [])):
        beside = {**content, "prediction": content["prediction"] | {"normals": panel}}
        assert Plan(beside, path).sample_regions(job()) == ["regions.bed", *read]
    expected = {"--regions-file=regions.bed", "--pseudo-depth=20", "--presence-threshold=0.3"}
    assert expected <= set(plan.prediction_options(job()))
    del content["prediction"]
    with pytest.raises(InputError, match="missing key prediction"):
        Plan(content, path).samples(job())


@pytest.mark.parametrize("name", ["of <results>.tsv", "of {name}.tsv", "}.tsv"])
def test_a_sample_file_whose_name_snakemake_would_change(in_repository, tmp_path, name):
    (tmp_path / name).touch()
    (tmp_path / "sheet.tsv").write_text(f"sample\tfile\nS1\t{tmp_path}/{name}\n")
    path = in_repository / "config/default.yaml"
    content = load_experiment(path).model_dump(mode="json")
    content["prediction"]["samples"] = str(tmp_path / "sheet.tsv")
    with pytest.raises(InputError, match=rf"{re.escape(name)}: Snakemake takes braces, or a word in <>"):
        Plan(content, path).samples(job())


@pytest.mark.parametrize(("source", "files"), [
    ({"source": "counts", "file": "t.tsv", "sample_sheet": "s.tsv"}, ["t.tsv", "s.tsv"]),
    ({"source": "counts", "file": "absent.tsv", "sample_sheet": "s.tsv"}, ["s.tsv"]),
    ({"source": "counts", "file": "METHMIX_DATA/t.tsv", "sample_sheet": None}, []),
    ({"source": "array_atlas", "file": "t.tsv", "manifest": "m.csv", "donors_per_tissue": 3, "pseudo_depth": 30},
     ["t.tsv", "m.csv"]),
    ({"source": "files", "folder": "d", "sample_sheet": "s.tsv", "regions_bed": "r.bed", "measure": "cpg"},
     ["s.tsv", "r.bed", "d/a.gz"]),
])  # fmt: skip
def test_a_reference_is_made_again_of_other_files(in_repository, tmp_path, monkeypatch, source, files):
    path = in_repository / "config/default.yaml"
    content = load_experiment(path).model_dump(mode="json")
    assert Plan(content, path).reference_files(job()) == []
    content["reference"] = {"genome": "hg38", **source}
    plan = Plan(content, path)
    for name in ("t.tsv", "m.csv", "r.bed", "d/a.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "s.tsv").write_text("donor\ttissue\tfile\nA-1\tA\ta.gz\nA-2\tA\tabsent.gz\n")
    monkeypatch.chdir(tmp_path)
    assert plan.reference_files(job()) == files


def test_a_checkpoint_lies_beside_the_logs_of_its_training():
    record = "results/default/phase2/sparse/logs/training_record.json"
    assert checkpoint(record) == "results/default/phase2/sparse/checkpoints/checkpoint_best.pt"


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
    content = load_experiment(ROOT / f"config/{name}.yaml").model_dump(mode="json")
    repeats = load_experiment(ROOT / f"config/{name}.yaml").repeats
    runs = {**seed_runs(content, repeats.seeds), **fold_runs(content, repeats.folds)}
    assert len(runs) == 1 + len(repeats.seeds) + len(repeats.folds) > 1
    for number, run in enumerate(runs.values()):
        (tmp_path / f"{number}.yaml").write_text(yaml.safe_dump(run))
        assert load_experiment(tmp_path / f"{number}.yaml").name == run["name"]


@pytest.mark.parametrize("repeats", [{"seeds": [1]}, {"seeds": [2, 2]}, {"folds": [1, 1]}, {"folds": [0]}])
def test_a_run_is_not_repeated_as_it_is(tmp_path, repeats):
    content = {**load_experiment(ROOT / "config/tiny.yaml").model_dump(mode="json"), "repeats": repeats}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match="repeats"):
        load_experiment(tmp_path / "mine.yaml")
