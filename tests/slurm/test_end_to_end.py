"""`snakemake --profile slurm`: the whole experiment and then a sweep, every rule a job."""

import json
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
import yaml
from clusters import Cluster, jobs, snakemake

SWEEP = {
    "seeds": 1,
    "search": {
        "kind": "bayesian",
        # Short trainings.
        "ranges": {
            "loss.presence_weight": {"low": 0.25, "high": 8.0, "log": True},
            "training.mixtures_per_epoch": [250],
        },
        "generations": 2,
        "points_per_generation": 1,
    },
}


@pytest.fixture(scope="module")
def experiment(tmp_path_factory, checkout_in, cluster, server) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Give a checkout in which the experiment was run, and what Snakemake said; what the jobs run is forked."""
    folder = checkout_in(tmp_path_factory.mktemp("experiment"))
    return folder, snakemake(cluster, folder, **server.environment)


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
        "rule_evaluate_model": 2, "group_controls_evaluate_control_evaluate_part": 1,
    }  # fmt: skip
    # Nothing is said at the start but what is of use.
    assert not [word for word in ("guess", "invalid option", "Warning", "Traceback") if word in output]
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


@pytest.mark.long
def test_a_sweep_generation_by_generation(cluster, experiment):
    """The shipped point is the experiment's own, which is trained and evaluated already."""
    folder, _ = experiment
    (folder / "config/sweeps/small.yaml").write_text(yaml.safe_dump(SWEEP))
    phase, shown = folder / "results/tiny/phase2", {}
    asked = ("sweep_phase2", "--config", "sweep=config/sweeps/small.yaml")
    with ThreadPoolExecutor() as other:
        run = other.submit(snakemake, cluster, folder, *asked)
        while not run.done():
            time.sleep(0.5)
            # Not all the time: it takes a core for seconds.
            if not shown and any(phase.glob("points/*/training.lock")):
                shown = {row["of"]: row["job"] for row in running(cluster, folder)}
    output = run.result().stdout + run.result().stderr
    assert run.result().returncode == 0, output[-4000:]
    submitted = jobs(output)
    rules = rules_of(submitted, folder)
    trained = [job for job, path in submitted.items() if "rule_train_variant/" in path]
    results = phase / "sweep/small"
    # The recommended point may be the shipped one, which is evaluated.
    again = json.loads((results / "choice.json").read_text())["recommended"]["point"] != "sparse"
    assert sorted(rules) == ["rule_evaluate_variant"] * again + ["rule_train_variant"] * 2
    told = sorted((cluster.told(job) for job in trained), key=lambda job: int(job["JobId"]))
    assert all(job["Partition"] == "gpu" for job in told) and told[0]["EndTime"] <= told[1]["StartTime"]
    # The module has shown a job while it ran, with its id.
    points = pd.read_csv(results / "points.csv")
    assert shown and set(shown.values()) <= set(trained) and {Path(of).name for of in shown} < set(points["point"])
    assert len(points) == len(pd.read_csv(results / "runs.csv")) == 3
    assert "<html" in (results / "sweep.html").read_text()
    recommended = yaml.safe_load((results / "recommended.yaml").read_text())
    assert recommended["arm"] == "sparse" and recommended["experiment"].endswith("small/experiment.yaml")
    second = snakemake(cluster, folder, *asked)
    output = second.stdout + second.stderr
    assert second.returncode == 0 and "Nothing to be done" in output and not jobs(output)


@pytest.mark.long
def test_what_was_enough_is_enough(cluster, experiment):
    """The trainings and the controls run again with what the report says, and no retry."""
    folder, _ = experiment
    phase, path = folder / "results/tiny/phase2", folder / "slurm/config.yaml"
    page = (phase / "comparison/report.html").read_text()
    enough = dict(re.findall(r"<tr><td>(\w+?_phase2_\w+)</td>.*?<td>(\d+ MB, \d+ min)</td></tr>", page))
    profile = yaml.safe_load(path.read_text())
    for rule, jobs_of_rule in (("train", ("train_phase2_sparse",)), ("evaluate_control", ("evaluate_phase2_nnls",))):
        memory, minutes = zip(*(map(int, re.findall(r"\d+", enough[job])) for job in jobs_of_rule), strict=True)
        profile["set-resources"][rule] |= {"mem_mb": max(memory), "runtime": max(minutes)}
        assert max(memory) < 4000
    path.write_text(yaml.safe_dump(profile))
    targets = [phase / "sparse/logs/training_record.json", phase / "nnls/evaluation/metrics.json"]
    shutil.rmtree(phase / "sparse/checkpoints")
    for target in targets:
        target.unlink()
    given = [str(target.relative_to(folder)) for target in targets]
    done = snakemake(cluster, folder, *given, "--retries", "0", "--rerun-triggers", "mtime")
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert all(target.is_file() for target in targets)


def running(cluster: Cluster, folder: Path) -> list[dict[str, str]]:
    """Ask the module for the trainings that run as a SLURM job."""
    told = cluster.run(sys.executable, "-m", "methmix.status", "results/tiny", "--json", folder=folder)
    (rows,) = json.loads(told).values()
    return [row for row in rows if row["state"] == "running" and row.get("job")]
