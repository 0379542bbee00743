"""`snakemake --profile slurm`: the whole experiment and then a sweep, every rule a job."""

import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from clusters import Cluster, jobs, snakemake

SWEEP = {
    "seeds": 1,
    "search": {
        "kind": "bayesian",
        "ranges": {"loss.presence_weight": {"low": 0.25, "high": 8.0, "log": True}},
        "generations": 2,
        "points_per_generation": 2,
    },
}


@pytest.fixture(scope="module")
def experiment(tmp_path_factory, checkout_in, cluster) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Give a checkout in which the experiment was run, and what Snakemake said."""
    folder = checkout_in(tmp_path_factory.mktemp("experiment"))
    return folder, snakemake(cluster, folder)


def rules_of(submitted: dict[str, str], folder: Path) -> list[str]:
    return [Path(path).relative_to(folder / "logs/slurm").parts[0] for path in submitted.values()]


def test_the_experiment_end_to_end(cluster, experiment):
    fresh, done = experiment
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-4000:]
    submitted = jobs(output)
    rules = rules_of(submitted, fresh)
    counts = {rule: rules.count(rule) for rule in rules}
    assert counts == {
        "rule_reference": 1, "rule_reference_report": 1, "rule_mixtures": 3, "rule_train": 2,
        "rule_evaluate_model": 2, "rule_evaluate_control": 7, "rule_evaluate_part": 2,
    }  # fmt: skip
    assert "localrule compare:" in output
    told = {job: cluster.told(job) for job in submitted}
    trainings = [told[job] for job, path in submitted.items() if "rule_train/" in path]
    assert all(t["Partition"] == "gpu" and "gpu:a100:1" in str(t) for t in trainings)
    assert all(t["Partition"] == "cpu" for t in told.values() if t not in trainings)
    # Side by side: each began before the other ended.
    first, second = trainings
    assert first["StartTime"] < second["EndTime"] and second["StartTime"] < first["EndTime"]
    # A log for each job, and names that say what it is.
    assert all(Path(path).is_file() for path in submitted.values())
    assert {"rule_train_wildcards_tiny_phase2_original", "rule_train_wildcards_tiny_phase2_sparse"} == {
        t["Comment"] for t in trainings
    }
    # The training says where it ran, and the report what was asked for.
    phase = fresh / "results/tiny/phase2"
    log = pd.read_csv(phase / "sparse/logs/training_log.csv", dtype=str)
    assert set(log["slurm_job_id"]) <= set(submitted) and set(log["node"]) <= {"gpu01", "gpu02"}
    record = json.loads((phase / "sparse/logs/training_record.json").read_text())["record"]
    assert record["slurm"]["memory_mb"] == 8000 and record["slurm"]["gpus"] == 1 and record["slurm"]["minutes"] == 120
    page = (phase / "comparison/report.html").read_text()
    assert "enough next time" in page and re.search(r"\d+ / 8000 MB", page)


def test_a_sweep_generation_by_generation(cluster, experiment):
    """The shipped point is the experiment's own, which is trained and evaluated already."""
    folder, _ = experiment
    (folder / "config/sweeps/small.yaml").write_text(yaml.safe_dump(SWEEP))
    results, shown = folder / "results/tiny/phase2/sweep/small", {}
    asked = ("sweep_phase2", "--config", "sweep=config/sweeps/small.yaml")
    done = []
    run = threading.Thread(target=lambda: done.append(snakemake(cluster, folder, *asked)))
    run.start()
    while run.is_alive():
        for row in running(cluster, folder):
            shown[row["of"]] = row["job"]
        time.sleep(0.5)
    output = done[0].stdout + done[0].stderr
    assert done[0].returncode == 0, output[-4000:]
    submitted = jobs(output)
    rules = rules_of(submitted, folder)
    trained = [job for job, path in submitted.items() if "rule_train_variant/" in path]
    # The recommended point may be the shipped one.
    choice = json.loads((results / "choice.json").read_text())
    again = choice["recommended"]["point"] != "sparse"
    assert len(trained) == 4 and sorted(rules) == ["rule_evaluate_variant"] * again + ["rule_train_variant"] * 4
    assert all(cluster.told(job)["Partition"] == "gpu" for job in trained)
    # Generation by generation, and its points side by side.
    told = [cluster.told(job) for job in trained]
    assert told[0]["StartTime"] < told[1]["EndTime"] <= told[2]["StartTime"] < told[3]["EndTime"]
    # The module has shown jobs that were running, with their ids.
    points = pd.read_csv(results / "points.csv")
    assert shown and set(shown.values()) <= set(trained) and {Path(of).name for of in shown} < set(points["point"])
    assert len(points) == 5 and len(pd.read_csv(results / "runs.csv")) == 5
    assert "<html" in (results / "sweep.html").read_text()
    recommended = yaml.safe_load((results / "recommended.yaml").read_text())
    assert recommended["arm"] == "sparse" and recommended["experiment"].endswith("small/experiment.yaml")
    second = snakemake(cluster, folder, *asked)
    output = second.stdout + second.stderr
    assert second.returncode == 0 and "Nothing to be done" in output and not jobs(output)


def running(cluster: Cluster, folder: Path) -> list[dict[str, str]]:
    """Ask the module for the trainings that run as a SLURM job."""
    told = cluster.run(sys.executable, "-m", "methmix.status", "results/tiny", "--json", folder=folder)
    (rows,) = json.loads(told).values()
    return [row for row in rows if row["state"] == "running" and row.get("job")]
