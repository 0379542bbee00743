"""What jobs used beside what they requested."""

import json
import math

import pytest

from methmix.report import job_costs

HEADER = "s\th:m:s\tmax_rss\tcpu_time\tthreads\tresources\n"
PROFILE = {"tmpdir": "/tmp", "mem_mb": 4000, "slurm_partition": "cpu", "runtime": 30, "cpus_per_task": 2}
RECORD = {
    "train_seconds": 600.0,
    "cpu_seconds": 900.0,
    "peak_memory_mb": 1500.0,
    "gpu_peak_memory_mb": 2048.0,
    "gpu_utilisation": 0.75,
    "gpu_samples": 300.0,
    "n_ranks": 1,
    "slurm": {"minutes": 120.0, "memory_mb": 8000.0, "cpus": 4, "gpus": 1},
}


@pytest.fixture
def run(tmp_path):
    """Benchmarks of three jobs, one of another phase, and the record of a training that was submitted by hand."""
    benchmarks = tmp_path / "benchmarks"
    benchmarks.mkdir()
    (benchmarks / "reference.tsv").write_text(f"{HEADER}60\t0:01:00\t1000\t90\t1\t{PROFILE}\n")
    (benchmarks / "mixtures_phase2_test.tsv").write_text(f"{HEADER}0.4\t0:00:00\t-\t0.2\t1\t{{'tmpdir': '/tmp'}}\n")
    (benchmarks / "mixtures_phase3_test.tsv").write_text(f"{HEADER}60\t0:01:00\t1000\t90\t1\t{PROFILE}\n")
    logs = tmp_path / "phase2/sparse/logs"
    logs.mkdir(parents=True)
    (logs / "training_record.json").write_text(json.dumps({"record": RECORD}))
    return tmp_path


def training_of(run):
    """Give the row of the training, of which Snakemake has measured the last attempt."""
    asked = PROFILE | {"gpu": 1, "runtime": 120, "mem_mb": 8000}
    measured = run / "benchmarks/train_phase2_sparse.tsv"
    measured.write_text(f"{HEADER}30\t0:00:30\t1700\t30\t4\t{asked}\n")
    table = job_costs.rows(job_costs.read_jobs(run / "benchmarks", run / "phase2", "phase2", ["sparse"]))
    return next(row for row in table if row["job"] == "train_phase2_sparse")


def test_used_and_requested(run):
    jobs = job_costs.read_jobs(run / "benchmarks", run / "phase2", "phase2", ["sparse", "nnls"]).set_index("job")
    assert list(jobs.index) == ["mixtures_phase2_test", "reference", "train_phase2_sparse"]
    assert jobs.loc["reference", "cores"] == 1.5
    assert jobs.loc["reference", "asked_memory_mb"] == 4000
    assert math.isnan(jobs.loc["mixtures_phase2_test", "memory_mb"])
    assert math.isnan(jobs.loc["mixtures_phase2_test", "asked_minutes"])
    training = jobs.loc["train_phase2_sparse"]
    assert (training["seconds"], training["cores"], training["gpu_utilisation"]) == (600, 1.5, 0.75)
    assert (training["asked_minutes"], training["asked_cores"], training["asked_gpus"]) == (120, 4, 1)
    rows = {row["job"]: row for row in job_costs.rows(jobs.reset_index())}
    assert rows["train_phase2_sparse"] == {
        "job": "train_phase2_sparse", "time": "10.0 / 120 min", "memory": "1500 / 8000 MB", "cores": "1.5 / 4",
        "gpu": "2048 MB, 75 % busy of 1", "enough": "3000 MB, 25 min",
    }  # fmt: skip
    assert rows["mixtures_phase2_test"]["memory"] == "not measured" and rows["mixtures_phase2_test"]["enough"] == ""
    assert job_costs.efficiency(jobs.reset_index()) is not None


def test_a_training_of_several_starts_took_what_all_took(run):
    """The next request must hold for the whole."""
    job = training_of(run)
    assert (job["time"], job["memory"], job["cores"]) == ("10.0 / 120 min", "1700 / 8000 MB", "1.5 / 4")


def test_where_slurm_records_nothing_the_profile_does(run):
    record = {**RECORD, "slurm": {"minutes": 0.0, "memory_mb": 0.0, "cpus": 0, "gpus": 0}}
    (run / "phase2/sparse/logs/training_record.json").write_text(json.dumps({"record": record}))
    job = training_of(run)
    assert (job["time"], job["memory"], job["cores"]) == ("10.0 / 120 min", "1700 / 8000 MB", "1.5 / 2")


def test_a_gpu_that_was_not_used_is_named(run):
    record = {**RECORD, "gpu_peak_memory_mb": 0.0, "gpu_samples": 0.0}
    (run / "phase2/sparse/logs/training_record.json").write_text(json.dumps({"record": record}))
    jobs = job_costs.read_jobs(None, run / "phase2", "phase2", ["sparse"])
    assert job_costs.rows(jobs)[0]["gpu"] == "not used, 1 requested"


def test_without_slurm_nothing_was_requested(run):
    record = {**RECORD, "slurm": {}}
    (run / "phase2/sparse/logs/training_record.json").write_text(json.dumps({"record": record}))
    jobs = job_costs.read_jobs(None, run / "phase2", "phase2", ["sparse"])
    assert job_costs.efficiency(jobs) is None
    assert job_costs.rows(jobs)[0]["memory"] == "1500 MB"


def test_without_records_there_is_no_table(tmp_path):
    jobs = job_costs.read_jobs(tmp_path / "none", tmp_path, "phase2", ["sparse"])
    assert job_costs.rows(jobs) == [] and job_costs.efficiency(jobs) is None


@pytest.mark.parametrize(("used", "asked", "expected"), [(100, 4000, 1000), (1000, 4000, 2500), (3900, 4000, 4000)])
def test_enough_is_never_more_than_was_requested(used, asked, expected):
    assert job_costs.enough(used, asked, spare=1.5, beside=600, step=500) == expected
