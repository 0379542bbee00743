"""`snakemake --profile slurm`: the whole experiment, every rule a job."""

import json
import re
from pathlib import Path

import pandas as pd
from clusters import jobs, snakemake


def test_the_experiment_end_to_end(cluster, fresh):
    done = snakemake(cluster, fresh)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-4000:]
    submitted = jobs(output)
    rules = [Path(path).relative_to(fresh / "logs/slurm").parts[0] for path in submitted.values()]
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
