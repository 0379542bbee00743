"""The Snakemake workflow: what users type resolves to the right jobs, and mistakes are told in their words."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from methmix.config.load import load_experiment
from methmix.files.mixtures import read_mixtures

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ("default", "full_scale", "loyfer_u25", "loyfer_uxm", "metdecode", "metdecode_294", "tiny")


@pytest.fixture
def checkout(tmp_path, checkout_in):
    return checkout_in(tmp_path)


def whole(name: str) -> dict:
    """Give the content of a shipped experiment with all that it takes from its base and from defaults."""
    return load_experiment(ROOT / f"config/{name}.yaml").model_dump(mode="json")


def jobs(output: str) -> dict[str, int]:
    """Read the table of job counts of a dry run."""
    lines = output.split("Job stats:")[1].splitlines()
    rows = [line.split() for line in lines if len(line.split()) == 2 and line.split()[1].isdigit()]
    return {name: int(number) for name, number in rows[: [r[0] for r in rows].index("total") + 1]}


@pytest.mark.parametrize("target", [[], ["compare_phase2"]], ids=["default target", "compare_phase2"])
def test_compare_phase2_as_typed(checkout, snakemake, target):
    done = snakemake(checkout, "-n", *target)
    assert done.returncode == 0, done.stderr
    expected = {
        "reference": 1, "reference_report": 1, "mixtures": 3, "train": 2, "evaluate_model": 2,
        "evaluate_control": 6, "compare": 1, "compare_phase2": 1, "total": 17,
    }  # fmt: skip
    assert jobs(done.stdout + done.stderr) == expected


@pytest.mark.parametrize(("phase", "trained"), [("phase1", 2), ("phase3", 4)])
def test_another_phase_trains_what_it_starts_from(checkout, snakemake, phase, trained):
    done = snakemake(checkout, "-np", phase)
    assert done.returncode == 0, done.stderr
    output = done.stdout + done.stderr
    found = jobs(output)
    assert (found["train"], found["evaluate_model"], found["evaluate_control"], found["compare"]) == (trained, 2, 6, 1)
    for arm in ("original", "sparse"):
        start = f"--warm-start=results/default/phase2/{arm}/checkpoints/checkpoint_best.pt"
        assert output.count(start) == (phase == "phase3")
    assert f"results/default/{phase}/comparison/report.html" in output


def test_a_phase_without_arms(checkout, snakemake):
    content = whole("tiny")
    del content["arms"]["phase1"]
    (checkout / "config/mine.yaml").write_text(yaml.safe_dump(content))
    assert snakemake(checkout, "-n", "phase3", "--configfile", "config/mine.yaml").returncode == 0
    done = snakemake(checkout, "-n", "phase1", "--configfile", "config/mine.yaml")
    assert done.returncode != 0
    assert "arms.phase1: experiment tiny has no original arm there" in done.stdout + done.stderr
    del content["arms"]["phase2"]
    (checkout / "config/mine.yaml").write_text(yaml.safe_dump(content))
    done = snakemake(checkout, "-n", "phase3", "--configfile", "config/mine.yaml")
    assert done.returncode != 0
    assert "training.warm_start: experiment tiny has no original arm of phase2" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_shipped_experiment_resolves(checkout, snakemake, name):
    done = snakemake(checkout, "-n", "phase1", "phase3", "compare_phase2", "--configfile", f"config/{name}.yaml")
    assert done.returncode == 0, done.stderr
    for phase in ("phase1", "phase2", "phase3"):
        assert f"results/{name}/{phase}/comparison/report.html" in done.stdout + done.stderr


def test_the_configuration_is_written_out_as_the_record(checkout, snakemake):
    assert snakemake(checkout, "-n", "--config", "seed=7").returncode == 0
    record = yaml.safe_load((checkout / "results/default/config.yaml").read_text())
    assert record["seed"] == 7
    assert record["reference"]["n_regions"] == 5000


def test_sweep_trains_each_arm_at_each_rate(checkout, snakemake):
    done = snakemake(checkout, "-n", "sweep_phase2")
    assert done.returncode == 0, done.stderr
    rates = yaml.safe_load((ROOT / "config/default.yaml").read_text())["sweep"]["learning_rates"]
    assert jobs(done.stdout + done.stderr)["train_sweep"] == 2 * len(rates)


@pytest.mark.parametrize("target", ["benchmark", "benchmark_full"])
def test_benchmark_is_of_the_full_size_whichever_experiment_is_chosen(checkout, snakemake, target):
    done = snakemake(checkout, "-np", target, "--configfile", "config/tiny.yaml")
    assert done.returncode == 0, done.stderr
    assert jobs(done.stdout + done.stderr) == {target: 1, "total": 1}
    printed = done.stdout + done.stderr
    assert "--config config/full_scale.yaml" in printed
    assert f"results/{target}/benchmark.html" in printed
    assert ("--full" in printed) == (target == "benchmark_full")


def test_detection_limit_needs_the_trained_arms_and_no_evaluation(checkout, snakemake):
    done = snakemake(checkout, "-n", "detection_limit")
    assert done.returncode == 0, done.stderr
    expected = {
        "reference": 1, "mixtures": 1, "train": 2,
        "detection": 1, "detection_report": 1, "detection_limit": 1, "total": 7,
    }  # fmt: skip
    assert jobs(done.stdout + done.stderr) == expected


def test_predict_trains_the_sparse_arm_with_what_it_starts_from_and_nothing_else(checkout, snakemake):
    done = snakemake(checkout, "-n", "predict", "--configfile", "config/tiny.yaml")
    assert done.returncode != 0
    assert "config/samples.tsv: sample plasma-1: samples/plasma.tsv: there is no such file" in done.stdout + done.stderr
    (checkout / "samples").mkdir()
    (checkout / "samples/plasma.tsv").touch()
    done = snakemake(checkout, "-n", "predict", "--configfile", "config/tiny.yaml")
    assert done.returncode == 0, done.stderr
    expected = {"reference": 1, "mixtures": 2, "train": 2, "prediction": 1, "predict": 1, "total": 7}
    assert jobs(done.stdout + done.stderr) == expected


def test_predict_without_its_section_says_what_to_write(checkout, snakemake):
    content = whole("tiny")
    del content["prediction"]
    (checkout / "config/mine.yaml").write_text(yaml.safe_dump(content))
    done = snakemake(checkout, "-n", "predict", "--configfile", "config/mine.yaml")
    assert done.returncode != 0
    assert "config/mine.yaml: missing key prediction" in done.stdout + done.stderr
    assert "samples: config/samples.tsv" in done.stdout + done.stderr


def test_ablation_trains_each_variant_with_each_seed(checkout, snakemake):
    done = snakemake(checkout, "-n", "ablate_phase2")
    assert done.returncode == 0, done.stderr
    variants = yaml.safe_load((ROOT / "config/phase2_ablation.yaml").read_text())["variants"]
    # Two arms, and phase 1 of the sparse one, which a variant starts from.
    expected = {"reference": 3, "train": 9, "train_variant": 3 * len(variants), "evaluate_variant": 3 * len(variants)}
    found = jobs(done.stdout + done.stderr)
    assert {name: found[name] for name in expected} == expected
    printed = snakemake(checkout, "-np", "ablate_phase2")
    assert "--set=model.errors_in_variables=false" in printed.stdout + printed.stderr
    start = "--warm-start=results/default-seed2/phase1/sparse/checkpoints/checkpoint_best.pt"
    assert (printed.stdout + printed.stderr).count(start) == 1
    record = yaml.safe_load((checkout / "results/default-seed2/config.yaml").read_text())
    assert (record["name"], record["seed"]) == ("default-seed2", 2)


def test_folds_repeat_the_experiment_with_other_donors(checkout, snakemake):
    done = snakemake(checkout, "-n", "folds_phase2", "--configfile", "config/metdecode.yaml")
    assert done.returncode == 0, done.stderr
    found = jobs(done.stdout + done.stderr)
    assert (found["reference"], found["train"], found["pool_folds"]) == (3, 6, 1)
    record = yaml.safe_load((checkout / "results/metdecode-fold2/config.yaml").read_text())
    assert record["reference"]["split"]["fold"] == 2
    own = yaml.safe_load((checkout / "results/metdecode/config.yaml").read_text())
    assert own["reference"]["split"]["fold"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["reference"].pop("n_regions"), "missing key reference.n_regions"),
        (lambda c: c["mixtures"].update(n_tests=5), "unknown key mixtures.n_tests (did you mean n_test?)"),
        (lambda c: c.update(seed="one"), "seed:"),
        (lambda c: c["reference"].update(source="oracle"), "reference.source: unknown value 'oracle'"),
        (
            lambda c: c["arms"].pop("phase3"),
            "arms.phase3 has no sparse arm that could predict",
        ),
        (lambda c: c["detection"]["background"].update(Liver=0.1), "detection.background: the proportions sum to 1.1"),
    ],
)
def test_a_mistake_in_the_configuration_is_named(checkout, snakemake, change, message):
    content = whole("tiny")
    change(content)
    (checkout / "config/mine.yaml").write_text(yaml.safe_dump(content))
    done = snakemake(checkout, "-n", "--configfile", "config/mine.yaml")
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("section", ["reference", "mixtures", "arms", "seed"])
def test_a_given_configuration_is_not_filled_up_from_the_default(checkout, snakemake, section):
    content = whole("tiny")
    del content[section]
    (checkout / "config/mine.yaml").write_text(yaml.safe_dump(content))
    done = snakemake(checkout, "-n", "--configfile", "config/mine.yaml")
    assert done.returncode != 0
    assert f"config/mine.yaml: missing key {section}" in done.stdout + done.stderr


def test_an_experiment_may_be_its_base_and_a_name(checkout, snakemake):
    (checkout / "config/mine.yaml").write_text("base: tiny.yaml\nname: mine\n")
    done = snakemake(checkout, "-n", "--configfile", "config/mine.yaml", "--config", "seed=7")
    assert done.returncode == 0, done.stderr
    record = yaml.safe_load((checkout / "results/mine/config.yaml").read_text())
    assert record == {**whole("tiny"), "name": "mine", "seed": 7}


def test_a_name_that_leads_out_of_results_is_refused(checkout, snakemake):
    done = snakemake(checkout, "-n", "--config", "name=../outside")
    assert done.returncode != 0
    assert "name:" in done.stdout + done.stderr
    assert not (checkout / "outside").exists()


def test_the_message_about_a_bad_input_file_reaches_the_user(checkout, snakemake):
    (checkout / "counts.tsv").write_text("CHROM\tSTART\tEND\tA-1_METH\tA-1_DEPTH\n")
    content = whole("metdecode")
    content["reference"]["file"] = "counts.tsv"
    (checkout / "config/mine.yaml").write_text(yaml.safe_dump(content))
    done = snakemake(checkout, "--configfile", "config/mine.yaml")
    assert done.returncode != 0
    assert "counts.tsv: has a header but no regions" in done.stdout + done.stderr


def test_results_that_cannot_be_written(checkout, snakemake):
    (checkout / "results").write_text("a file where the folder should be")
    done = snakemake(checkout, "-n")
    assert done.returncode != 0
    assert "cannot write here" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_resume_files_are_no_outputs_and_no_shell_stands_before_a_training():
    rule = (ROOT / "workflow/rules/training.smk").read_text()
    for block in rule.split("output:")[1::2]:
        assert ".pt" not in block.split("log:")[0]
    assert "directory(" not in rule
    # A shell would die of SIGTERM before the state is saved.
    assert rule.count("exec python -m methmix.training") == rule.count("python -m methmix.training") == 3


def test_every_rule_calls_a_module_with_quoted_values():
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        for command in re.findall(r'shell:\n\s+"""(.*?)"""', path.read_text(), flags=re.DOTALL):
            assert command.strip().removeprefix("exec ").startswith("python -m methmix.")
            for placeholder in re.findall(r"\{(.*?)\}", command):
                assert placeholder.endswith(":q"), f"{path.name}: {{{placeholder}}}"


def test_schemas_reject_what_the_code_rejects():
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "workflow/schemas/experiment.schema.json").read_text())
    for name in EXPERIMENTS:
        jsonschema.validate(whole(name), schema)
    wrong = whole("tiny")
    wrong["reference"]["coverge"] = 3
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)


def test_a_reference_of_other_tissues_needs_no_code(checkout, snakemake):
    """The smallest experiment on a table of four tissues that nothing here has heard of."""
    rng = np.random.default_rng(4)
    tissues = ["Spleen marginal zone", "Thymus+", "Übergang", "Xylem"]
    means = rng.beta(0.4, 0.4, (len(tissues), 200))
    start = np.arange(200) * 500
    columns = {"chr": "chrZ", "start": start, "end": start + 90, "startCpG": start + 1, "endCpG": start + 5}
    for tissue, mean in zip(tissues, means, strict=True):
        for number in (1, 2, 3):
            drawn = np.clip(mean + 0.05 * rng.standard_normal(200), 0, 1)
            columns[f"{tissue}-{number}"] = np.where(rng.random(200) < 0.02, np.nan, drawn.round(3))
    pd.DataFrame(columns).to_csv(checkout / "betas.tsv.gz", sep="\t", index=False, na_rep="NA")
    content = whole("tiny")
    content["name"] = "mine"
    content["reference"] = {
        "source": "beta_table",
        "file": "betas.tsv.gz",
        "genome": "mine1",
        "pseudo_depth": 40,
        "regions": {"top_k_per_tissue": 30},
        "split": content["reference"]["split"],
    }
    content["mixtures"]["recipes"]["phase2"]["n_tissues"] = [2, 3]
    content["mixtures"]["recipes"]["phase3"].update(background="Xylem", n_others=[2, 3])
    content["detection"]["background"] = {"Xylem": 0.7, "Thymus+": 0.3}
    (checkout / "config/mine.yaml").write_text(yaml.safe_dump(content, allow_unicode=True))
    targets = [f"results/mine/mixtures/{phase}_test_mixtures.h5" for phase in ("phase1", "phase2", "phase3")]
    report = "results/mine/reference/reference_report.html"
    done = snakemake(checkout, *targets, report, "--cores", "1", "--configfile", "config/mine.yaml")
    assert done.returncode == 0, done.stderr
    assert "Spleen marginal zone" in (checkout / report).read_text()
    for target in targets:
        mixtures = read_mixtures(checkout / target)
        assert mixtures.tissue_names == sorted(tissues)
        assert 60 <= mixtures.methylation.shape[1] <= 120
    planned = snakemake(checkout, "-n", "compare_phase2", "detection_limit", "--configfile", "config/mine.yaml")
    assert planned.returncode == 0, planned.stderr
