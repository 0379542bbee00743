"""What a training knows of the SLURM job around it, and what it uses."""

import time

import pytest
import torch

from methmix.training.job import SlurmJob, Usage, slurm_job

SCONTROL = (
    "JobId=17 JobName=a train of two UserId=u(1) JobState=RUNNING Restarts=2 RunTime=00:00:40 TimeLimit=1-02:30:00 "
    "Partition=gpu BatchHost=gpu07 NumCPUs=8 TRES=cpu=8,mem=32.5G,node=1,billing=8,gres/gpu=2,gres/gpu:a100=2 Power= "
    "TresPerNode=gres:gpu:a100:2"
)


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    def answer(text, code=0):
        (tmp_path / "scontrol").write_text(f"#!/bin/sh\necho '{text}'\nexit {code}\n")
        (tmp_path / "scontrol").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return answer


def test_outside_slurm_there_is_no_job():
    assert slurm_job({}) is None


def test_what_was_asked_for(scontrol):
    scontrol(SCONTROL)
    job = slurm_job({"SLURM_JOB_ID": "17", "SLURMD_NODENAME": "gpu07"})
    assert job == SlurmJob("17", "a train of two", "gpu", "gpu07", 2, cpus=8, gpus=2, memory_mb=33280.0, minutes=1590.0)
    assert str(job) == "SLURM job 17 (a train of two), start 3, node gpu07, partition gpu"


@pytest.mark.parametrize("names", ["ReqTRES={tres} AllocTRES={tres}", "ReqTRES={tres} AllocTRES="])
def test_newer_slurm_names_it_otherwise(scontrol, names):
    tres = "cpu=8,mem=32.5G,node=1,billing=8,gres/gpu=2,gres/gpu:a100=2"
    scontrol(SCONTROL.replace(f"TRES={tres}", names.format(tres=tres)))
    job = slurm_job({"SLURM_JOB_ID": "17"})
    assert (job.gpus, job.memory_mb, job.cpus) == (2, 33280.0, 8)


@pytest.mark.parametrize(
    ("text", "gpus"),
    [("gres:gpu:2080ti:1", 1), ("gres:gpu:a100-sxm4-80gb:4", 4), ("gpu:3", 3), ("gres:gpu", 1), ("gres:fpga:2", 0)],
)
def test_gpus_by_any_name(scontrol, text, gpus):
    told = SCONTROL.replace(",gres/gpu=2,gres/gpu:a100=2", "").replace("gres:gpu:a100:2", text)
    scontrol(told)
    assert slurm_job({"SLURM_JOB_ID": "17"}).gpus == gpus


def test_gpus_that_are_not_tracked_and_no_limit(scontrol):
    told = SCONTROL.replace(",gres/gpu=2,gres/gpu:a100=2", "").replace("1-02:30:00", "UNLIMITED")
    scontrol(told)
    job = slurm_job({"SLURM_JOB_ID": "17"})
    assert job.gpus == 2 and job.minutes == 0 and job.node == "gpu07"


def test_a_controller_that_does_not_answer_is_no_error(scontrol):
    scontrol("slurm_load_jobs error: Unable to contact slurm controller", code=1)
    environment = {"SLURM_JOB_ID": "17", "SLURM_JOB_NAME": "train", "SLURMD_NODENAME": "n1", "SLURM_RESTART_COUNT": "1"}
    assert slurm_job(environment) == SlurmJob("17", "train", "unknown", "n1", 1)


def test_usage_adds_up_over_interruptions():
    before = {
        "train_seconds": 100.0,
        "cpu_seconds": 90.0,
        "peak_memory_mb": 1e6,
        "gpu_utilisation": 0.5,
        "gpu_samples": 4,
    }
    with Usage(torch.device("cpu"), before) as usage:
        time.sleep(0.05)
        sum(range(1_000_000))
        totals = usage.totals()
    assert 100.05 <= totals["train_seconds"] < 110
    assert 90 < totals["cpu_seconds"] < 100
    assert totals["peak_memory_mb"] == 1e6
    assert totals["gpu_utilisation"] == 0.5 and totals["gpu_samples"] == 4
    assert set(totals) == set(Usage.names)


def test_gpu_is_sampled(monkeypatch):
    monkeypatch.setattr("methmix.training.job._SAMPLE_SECONDS", 0.01)
    monkeypatch.setattr(torch.cuda, "utilization", lambda _: 80)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 3 * 2**20)
    with Usage(torch.device("cuda"), {}) as usage:
        time.sleep(0.3)
        totals = usage.totals()
    assert totals["gpu_utilisation"] == pytest.approx(0.8) and totals["gpu_samples"] > 2
    assert totals["gpu_peak_memory_mb"] == 3


def test_a_driver_that_tells_nothing_is_no_error(monkeypatch):
    def fail(_):
        raise RuntimeError("no NVML")

    monkeypatch.setattr("methmix.training.job._SAMPLE_SECONDS", 0.01)
    monkeypatch.setattr(torch.cuda, "utilization", fail)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 0)
    with Usage(torch.device("cuda"), {}) as usage:
        time.sleep(0.05)
        assert usage.totals()["gpu_samples"] == 0
