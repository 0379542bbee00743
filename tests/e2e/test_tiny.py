"""A whole experiment, as a user runs it, on the tiny configuration."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from methmix.arms import names
from methmix.files.mixtures import read_mixtures
from methmix.files.reference import read_reference

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.e2e, pytest.mark.slow]


TINY = ("--configfile", "config/tiny.yaml")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, checkout_in):
    return checkout_in(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def results(checkout, snakemake):
    done = snakemake(checkout, "compare_phase2", *TINY)
    assert done.returncode == 0, done.stderr[-4000:]
    return checkout / "results" / "tiny"


def test_every_file_of_the_contract_is_there(results):
    for split in ("train", "validation", "test"):
        assert len(read_mixtures(results / "mixtures" / f"phase2_{split}_mixtures.h5")) in (20, 100)
    for arm in ("original", "sparse"):
        for name in ("checkpoints/checkpoint_best.pt", "checkpoints/checkpoint_last.pt", "logs/training_log.csv",
                     "logs/config.yaml", "logs/tensorboard", "evaluation/metrics.json"):  # fmt: skip
            assert (results / "phase2" / arm / name).exists(), name
    comparison = results / "phase2" / "comparison"
    assert list(pd.read_csv(comparison / "comparison.csv")["arm"]) == names(compared=True)
    for name in ("report.html", "miami_sparse.png", "miami_original.png", "comparison.json"):
        assert (comparison / name).stat().st_size > 1000
    assert (results / "reference" / "reference_report.html").stat().st_size > 1000
    assert not list(results.rglob("*.part"))


def test_test_mixtures_hold_no_donor_of_the_training(results):
    reference = read_reference(results / "reference" / "reference.h5")
    split_of = dict(zip(reference.donors, reference.split, strict=True))
    for split in ("train", "validation", "test"):
        mixtures = read_mixtures(results / "mixtures" / f"phase2_{split}_mixtures.h5")
        used = {donor for info in mixtures.info for donor in info["donors"].values()}
        assert {split_of[donor] for donor in used} == {split}


def test_arms_order_as_they_must(results):
    arms = json.loads((results / "phase2/comparison/comparison.json").read_text())["arms"]
    assert arms["sparse"]["mae"] < arms["uniform"]["mae"]
    assert arms["oracle"]["mae"] < arms["nnls"]["mae"]
    assert arms["sparse"]["spurious_per_mixture"] < arms["original"]["spurious_per_mixture"]
    assert arms["sparse"]["exact_zero_absent"] > 0.5
    assert arms["original"]["exact_zero_absent"] == 0
    assert arms["all_absent"]["presence_recall"] == 0


def test_limits_of_detection(checkout, results, snakemake):
    done = snakemake(checkout, "detection_limit", *TINY)
    assert done.returncode == 0, done.stderr[-4000:]
    folder = results / "phase2" / "detection"
    for name in ("scores.npz", "detection.png", "detection.html"):
        assert (folder / name).stat().st_size > 1000
    limits = pd.read_csv(folder / "limits.csv")
    # Four arms, seven tissues, two depths, five thresholds.
    assert len(limits) == 4 * 7 * 2 * 5
    of_others = limits[(limits["threshold"] == "other donors") & (limits["fpr"] == 0.05)]
    assert of_others["fpr_attained"].mean() < 0.12
    # More reads, smaller limits.
    medians = of_others[of_others["arm"] == "nnls"].groupby("depth")["limit"].median()
    assert medians[100.0] < medians[10.0]
    stated = json.loads((folder / "detection.json").read_text())["stated_limit"]
    assert len(stated) == (7 + 8) * 2
    assert all((row["limit"] is None) == (row["called"] is None) for row in stated)


def test_predict_samples_of_a_counts_table(checkout, results, snakemake):
    done = snakemake(checkout, "results/tiny/phase3/sparse/evaluation/predictions.csv", *TINY)
    assert done.returncode == 0, done.stderr[-4000:]
    mixtures = read_mixtures(results / "mixtures/phase3_test_mixtures.h5")
    regions = read_reference(results / "reference/reference.h5").regions
    columns = {"CHROM": regions["chrom"], "START": regions["start"], "END": regions["end"]}
    for row, name in enumerate("ABC"):
        depth = mixtures.depth[row].astype(int)
        methylated = np.nan_to_num(mixtures.methylation[row]) * depth
        columns |= {f"{name}_METH": methylated.round().astype(int), f"{name}_DEPTH": depth}
    (checkout / "samples").mkdir()
    pd.DataFrame(columns).to_csv(checkout / "samples/plasma.tsv", sep="\t", index=False)
    done = snakemake(checkout, "predict", *TINY)
    assert done.returncode == 0, done.stderr[-4000:]
    table = pd.read_csv(results / "prediction/predictions.csv")
    assert table["sample"].unique().tolist() == ["plasma-1", "plasma-2", "plasma-3"]
    # The samples are the first test mixtures, which the evaluation has predicted too.
    evaluated = pd.read_csv(results / "phase3/sparse/evaluation/predictions.csv")[: len(table)]
    assert table["proportion"].to_numpy() == pytest.approx(evaluated["predicted_proportion"], abs=1e-3)
    page = (results / "prediction/predictions.html").read_text()
    assert "For research use only" in page and "patient-1" in page
    patients = results / "prediction/predictions_patients"
    assert sorted(path.name for path in patients.glob("*.html")) == ["patient-1.html", "patient-2.html"]
    assert "Course over time" in (patients / "patient-1.html").read_text()
    record = json.loads((results / "prediction/predictions.json").read_text())
    assert record["model"]["donors"]["Blood"]["test"] == 1


def test_ablation_of_one_ingredient(checkout, results, snakemake):
    variants = {"known_donors": {"label": "known", "arm": "sparse", "set": {"training.leave_donors_out": False}}}
    (checkout / "config/one.yaml").write_text(yaml.safe_dump({"variants": variants}))
    experiment = yaml.safe_load((checkout / "config/tiny.yaml").read_text())
    experiment |= {"ablation": "config/one.yaml", "repeats": {"seeds": [], "folds": []}}
    (checkout / "config/mine.yaml").write_text(yaml.safe_dump(experiment))
    done = snakemake(checkout, "ablate_phase2", "--configfile", "config/mine.yaml", "--rerun-triggers", "mtime")
    assert done.returncode == 0, done.stderr[-4000:]
    folder = results / "phase2" / "ablation"
    record = yaml.safe_load((folder / "known_donors" / "logs" / "config.yaml").read_text())
    assert record["training"]["leave_donors_out"] is False
    table = pd.read_csv(folder / "ablation.csv")
    assert list(table["what"]) == ["original", "sparse", "nnls_cut", "em", "least_squares", "oracle", "known_donors"]
    assert (folder / "ablation.png").stat().st_size > 10_000
    page = (folder / "report.html").read_text()
    assert "known" in page and 'src="http' not in page


def test_a_second_run_does_nothing_and_says_so(checkout, results, snakemake):
    done = snakemake(checkout, "compare_phase2", *TINY)
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


def test_the_run_recorded_time_and_memory_of_its_jobs(results):
    page = (results / "phase2/comparison/report.html").read_text()
    assert "train_phase2_sparse" in page
    assert "largest peak memory" in page


def test_same_seed_same_bytes(checkout, results, snakemake):
    path = results / "mixtures" / "phase2_test_mixtures.h5"
    before = path.read_bytes()
    done = snakemake(checkout, "--force", "results/tiny/mixtures/phase2_test_mixtures.h5", *TINY)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize("phase", [pytest.param("phase1", marks=pytest.mark.long), "phase3"])
def test_another_phase_is_evaluated_and_reported_alike(checkout, results, snakemake, phase):
    done = snakemake(checkout, phase, *TINY)
    assert done.returncode == 0, done.stderr[-4000:]
    comparison = results / phase / "comparison"
    assert {path.name for path in comparison.iterdir()} == {
        path.name for path in (results / "phase2" / "comparison").iterdir()
    }
    page = (comparison / "report.html").read_text()
    assert "Errors by abundance" in page and f"train_{phase}_sparse" in page
    arms = json.loads((comparison / "comparison.json").read_text())["arms"]
    assert arms["sparse"]["mae"] < arms["uniform"]["mae"]
    assert ("background_within_3" in arms["sparse"]) == (phase == "phase3")
    for arm in arms:
        table = pd.read_csv(results / phase / arm / "evaluation" / "by_abundance.csv").set_index("abundance")
        # Of donors that are not pure, in every phase.
        assert table.loc["trace", "n"] > 0


def test_phase_3_started_from_phase_2(checkout, results, snakemake):
    assert snakemake(checkout, "phase3", *TINY).returncode == 0
    for arm in ("original", "sparse"):
        record = json.loads((results / "phase3" / arm / "logs" / "training_record.json").read_text())["record"]
        assert record["warm_start"]["checkpoint"] == f"results/tiny/phase2/{arm}/checkpoints/checkpoint_best.pt"
    mixtures = read_mixtures(results / "mixtures" / "phase3_test_mixtures.h5")
    background = mixtures.label_proportions[:, mixtures.tissue_names.index("Blood")]
    assert ((background >= 0.6) & (background <= 0.9)).all()
    # By itself the training finds the same start, so that nothing is left to do.
    command = [sys.executable, "-m", "methmix.training", "--config", "config/phase3_sparse.yaml"]
    environment = {**os.environ, "PYTHONPATH": "src"}
    done = subprocess.run(
        [*command, "--experiment", "config/tiny.yaml"], cwd=checkout, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "training is finished already" in done.stderr
