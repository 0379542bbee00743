"""The workflow as others use it: as a Snakemake module from a folder that has none of its files, and deployed."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MODULE = f"""
module methmix:
    snakefile: "{ROOT}/workflow/Snakefile"
    config: config

use rule * from methmix"""
CONFIGURED = 'configfile: "config/config.yaml"\n'


@pytest.fixture
def empty(tmp_path):
    (tmp_path / "Snakefile").write_text(MODULE)
    return tmp_path


def words(done: subprocess.CompletedProcess) -> str:
    return done.stdout + done.stderr


def test_a_module_in_an_empty_folder_is_the_default_experiment(empty, snakemake):
    done = snakemake(empty, "-np", "--cores", "2")
    assert done.returncode == 0, done.stderr
    assert "results/default/phase2/comparison/report.html" in words(done)
    assert f"--config {ROOT}/config/phase2_sparse.yaml" in words(done)


def test_every_shipped_file_is_found(empty, snakemake):
    done = snakemake(empty, "-n", "ablate_phase2", "sweep_phase2", "benchmark", "models", "--cores", "2")
    assert done.returncode == 0, done.stderr


def test_shipped_sheets_are_found(empty, snakemake, data_file, monkeypatch):
    monkeypatch.setenv("METHMIX_DATA", str(data_file("metdecode/gdna.tsv.gz").parents[1]))
    done = snakemake(empty, "-np", "predict", "--cores", "2", "--config", "base=metdecode.yaml")
    assert done.returncode == 0, done.stderr
    assert f"--sheet {ROOT}/config/samples_gdna.tsv" in words(done)


def test_a_module_runs(empty, snakemake):
    """Rules run the package of the workflow, and find what their experiment names."""
    target = "results/tiny/mixtures/phase2_test_mixtures.h5"
    page, tiny = "results/tiny/reference/reference_report.html", ("--config", "base=tiny.yaml", "seed=5")
    done = snakemake(empty, target, page, "--cores", "1", *tiny)
    assert done.returncode == 0, done.stderr
    # The report of Snakemake has the page with its caption, which names the experiment.
    done = snakemake(empty, page, "--report", "report.zip", *tiny)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(empty / "report.zip") as report:
        assert any(name.endswith("reference_report.html") for name in report.namelist())
        assert "similarity of tissues of experiment tiny" in report.read("report/report.html").decode()
    assert (empty / target).stat().st_size > 1000
    record = yaml.safe_load((empty / "results/tiny/config.yaml").read_text())
    assert (record["seed"], record["reference"]["n_regions"]) == (5, 600)
    # From there on, a stage finds the shipped files by itself.
    command = [sys.executable, "-m", "methmix.evaluation", "--arm=nnls_markers", "--reference=none.h5"]
    command += ["--config=results/tiny/config.yaml", "--validation=none.h5", "--test=none.h5", "--output=evaluation"]
    failed = subprocess.run(command, cwd=empty, capture_output=True, text=True)
    assert "none.h5" in failed.stderr and "configuration file" not in failed.stderr


def test_a_base_is_beside_the_file_or_a_shipped_one(empty, snakemake):
    (empty / "Snakefile").write_text(CONFIGURED + MODULE)
    (empty / "config").mkdir()
    (empty / "config/config.yaml").write_text("base: mine.yaml\nseed: 4\n")
    (empty / "config/mine.yaml").write_text("base: tiny.yaml\nname: mine\n")
    done = snakemake(empty, "-n", "--cores", "2")
    assert done.returncode == 0, done.stderr
    record = yaml.safe_load((empty / "results/mine/config.yaml").read_text())
    assert (record["seed"], record["reference"]["n_regions"]) == (4, 600)
    (empty / "config/mine.yaml").write_text("base: tinny.yaml\nname: mine\n")
    done = snakemake(empty, "-n", "--cores", "2")
    assert done.returncode != 0
    assert "config/mine.yaml, line 1: base: expected a YAML file, relative to this one, found 'tinny.yaml'" in words(
        done
    )


def test_rules_of_a_module_may_get_other_names_and_settings(empty, snakemake):
    renamed = MODULE.replace("use rule * from methmix", "use rule * from methmix as tissues_*")
    changed = "\nuse rule train from methmix as tissues_train with:\n    threads: 2\n"
    (empty / "Snakefile").write_text(f"{renamed}\n{changed}")
    done = snakemake(empty, "-n", "--cores", "2", "tissues_compare_phase2")
    assert done.returncode == 0, done.stderr
    assert "tissues_evaluate_model" in words(done)


def test_what_a_catalog_deploys(tmp_path, snakemake):
    """The layout of snakedeploy: copies of config and profiles, and a module that reads config/config.yaml."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    (tmp_path / "workflow").mkdir()
    (tmp_path / "workflow/Snakefile").write_text(CONFIGURED + MODULE)
    done = snakemake(tmp_path, "-n")
    assert done.returncode == 0, done.stderr
    assert "results/default/phase2/comparison/report.html" in words(done)
    assert "--configfile" not in words(done) and (tmp_path / "results/default/config.yaml").is_file()


def test_the_test_of_the_catalog(snakemake, tmp_path):
    """`snakemake --directory .test` with the small configuration that is there."""
    shutil.copytree(ROOT / ".test", tmp_path / "there")
    done = snakemake(tmp_path / "there", "-n", "--cores", "2", "--snakefile", str(ROOT / "workflow/Snakefile"))
    assert done.returncode == 0, done.stderr
    assert "results/test/phase2/comparison/report.html" in words(done)
