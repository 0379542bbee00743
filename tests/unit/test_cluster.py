"""What happens to a job of SLURM that has failed, by what its log says, and what is checked before any is submitted."""

import asyncio
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from methmix import cluster
from methmix.cluster import Retries, prepare, why_ended
from methmix.errors import InputError
from methmix.small_cluster import Node

# As SLURM 22.05 writes them.
MEMORY = (
    "slurmstepd-gpu01: error: Exceeded job memory limit\n"
    "slurmstepd-gpu01: error: StepId=11.0 exceeded memory limit (357740544 > 262144000), being killed\n"
    "slurmstepd-gpu01: error: *** STEP 11.0 ON gpu01 CANCELLED AT 2026-11-27T07:07:40 ***\n"
)
CGROUP = "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0. Some of the step tasks have been OOM Killed.\n"
TIME = "slurmstepd: error: *** JOB 3 ON cpu01 CANCELLED AT 2026-11-27T07:07:40 DUE TO TIME LIMIT ***\n"
PREEMPTED = "slurmstepd: error: *** JOB 3 ON cpu01 CANCELLED AT 2026-11-27T07:07:40 DUE TO PREEMPTION ***\n"
CANCELLED = "slurmstepd: error: *** JOB 3 ON cpu01 CANCELLED AT 2026-11-27T07:07:40 ***\n"
INPUT = "Command 'python -m methmix.mixtures' returned non-zero exit status 2.\n"
GPU = "error: CUDA out of memory. Tried to allocate\nCommand 'x' returned non-zero exit status 1.\n"


@pytest.mark.parametrize(
    ("log", "why"),
    [(MEMORY, "memory"), (CGROUP, "memory"), (TIME, "time"), (PREEMPTED, "preemption"), (CANCELLED, "cancelled"),
     (INPUT, "input"), (GPU, ""), ("", ""), ("srun: error: cpu01: task 0: Out Of Memory\n", "memory")],
)  # fmt: skip
def test_why_a_job_has_ended(log, why):
    assert why_ended(log) == why


@dataclass(eq=False)
class Job:
    """A job of Snakemake, as far as it is asked."""

    folder: Path
    name: str = "train"
    retries: int = 2
    attempt: int = 1
    wildcards: tuple[str, ...] = ("tiny", "phase2/x")
    said: list[str] = field(default_factory=list)
    submitted: int = 0
    module: str = "snakemake_executor_plugin_slurm"

    @property
    def output(self) -> list[str]:
        return [str(self.folder / "run/logs/training_record.json")]

    @property
    def rule(self) -> SimpleNamespace:
        return SimpleNamespace(restart_times=self.retries)

    @property
    def dag(self) -> SimpleNamespace:
        settings = type("Settings", (), {"__module__": self.module, "logdir": str(self.folder / "slurm")})()
        return SimpleNamespace(workflow=SimpleNamespace(executor_settings=settings))

    def is_group(self) -> bool:
        return False

    def fails(self, retries: Retries, log: str | None, saves: bool = False) -> bool:
        """Do what Snakemake does when a job fails; whether it is submitted again."""
        self.submitted += 1
        later = time.time() + self.submitted
        if log is not None:
            path = self.folder / "slurm/rule_train/tiny_phase2_x" / f"{self.submitted}.log"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(log)
            os.utime(path, (later, later))
        if saves:
            state = self.folder / "run/checkpoints/checkpoint_last.pt"
            state.parent.mkdir(parents=True, exist_ok=True)
            state.touch()
            os.utime(state, (later, later))
        allowed = retries.of(self)
        if again := allowed > self.attempt - 1:
            self.attempt += 1
        return again


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path)


@pytest.fixture
def retries(job):
    return Retries(job.said.append)


def test_wrong_input_is_not_tried_again(job, retries):
    assert not job.fails(retries, INPUT)
    assert "exit code 2, wrong input or configuration: it is not tried again; see " in job.said[0]


def test_memory_grows_after_an_out_of_memory_only(job, retries):
    assert job.fails(retries, MEMORY) and job.attempt == 2
    assert job.fails(retries, TIME) and job.attempt == 2
    assert not job.fails(retries, CANCELLED) and job.attempt <= 2
    assert "ended 3 times without progress; see " in job.said[-1]


def test_want_of_memory_is_named_with_what_to_do(job, retries):
    assert [job.fails(retries, CGROUP) for _ in range(3)] == [True, True, False]
    assert job.attempt == 3 and "raise mem_mb of this rule in slurm/config.yaml" in job.said[-1]


def test_a_training_that_saves_does_not_lose_a_retry(job, retries):
    assert all(job.fails(retries, TIME, saves=True) for _ in range(9)) and job.attempt == 1
    assert [job.fails(retries, TIME) for _ in range(3)] == [True, True, False]
    assert "raise runtime of this rule in slurm/config.yaml" in job.said[-1]


def test_without_retries_there_are_none(job, retries):
    job.retries = 0
    assert not job.fails(retries, TIME, saves=True)


@pytest.mark.parametrize("change", [{"module": "snakemake_executor_plugin_local"}, {"log": None}])
def test_elsewhere_snakemake_counts(job, retries, change):
    job.module = change.get("module", job.module)
    log = change.get("log", TIME)
    assert [job.fails(retries, log) for _ in range(3)] == [True, True, False] and job.attempt == 3


class Group:
    """A group of jobs of Snakemake, which is one job of SLURM."""

    def __init__(self, *jobs: Job) -> None:
        self.jobs, self.name, self.attempt, self.dag = jobs, "controls", 1, jobs[0].dag

    def is_group(self) -> bool:
        return True


def test_a_group_has_one_log_and_the_most_retries_of_its_jobs(job):
    path = job.folder / "slurm/group_controls/5.log"
    path.parent.mkdir(parents=True)
    path.write_text(MEMORY)
    retries = Retries(job.said.append)
    retries._started -= 60
    assert retries.of(Group(job, Job(job.folder, retries=1))) == 2


def workflow(*partitions: str, module: str = "snakemake_executor_plugin_slurm") -> Any:
    jobs = [SimpleNamespace(is_local=False, resources={"slurm_partition": name}) for name in partitions]
    jobs.append(SimpleNamespace(is_local=True, resources={"slurm_partition": "none"}))
    settings = type("Settings", (), {"__module__": module, "no_account": True})()
    executor = SimpleNamespace(_fallback_account_arg=None)
    dag, scheduler = SimpleNamespace(needrun_jobs=lambda: jobs), SimpleNamespace(_executor=executor)
    return SimpleNamespace(executor_settings=settings, dag=dag, scheduler=scheduler)


@pytest.fixture
def sinfo(monkeypatch):
    """A cluster with two partitions."""
    monkeypatch.setattr(cluster, "nodes", lambda: [Node(name, 2, 7900, False) for name in ("cpu", "gpu")])
    monkeypatch.setattr(cluster.shutil, "which", lambda _: None)


def test_a_partition_that_is_not_there_is_named_with_the_file_to_edit(sinfo):
    with pytest.raises(InputError, match=r"no partition gpus; it has cpu, gpu\n  set slurm_partition in slurm/config"):
        prepare(workflow("cpu", "gpus", "cpu,gpu"), [], print)


def test_a_run_on_a_cluster_is_prepared_and_no_other(sinfo):
    kind = type("Kind", (), {"restart_times": 7})
    prepare(workflow("cpu", "gpu", module="somewhere"), [kind], print)
    assert kind.restart_times == 7
    prepare(made := workflow("cpu", "gpu"), [kind], print)
    assert isinstance(kind.restart_times, property)
    assert made.scheduler._executor._fallback_account_arg == ""


def test_a_cluster_that_does_not_answer_has_all_partitions(monkeypatch):
    monkeypatch.setattr(cluster, "nodes", list)
    prepare(workflow("whatever"), [], print)


def test_who_has_cancelled_a_job_does_not_hide_that_it_is(monkeypatch):
    """The plugin compares with CANCELLED, while sacct says CANCELLED by 0."""
    plugin: Any = ModuleType("snakemake_executor_plugin_slurm")

    async def asked(command: str, logger: Any) -> tuple[dict[str, str], float]:
        return {"1": "CANCELLED by 0", "2": "RUNNING"}, 0.1

    plugin.query_job_status = asked
    monkeypatch.setitem(sys.modules, plugin.__name__, plugin)
    monkeypatch.setattr(cluster.shutil, "which", lambda _: "/usr/bin/sacct")
    monkeypatch.setattr(cluster, "nodes", list)
    for _ in range(2):
        prepare(workflow("cpu"), [], print)
    # In a thread of its own: a browser that another test has started runs an event loop in this one.
    with ThreadPoolExecutor(1) as thread:
        states, _seconds = thread.submit(asyncio.run, plugin.query_job_status("sacct", None)).result()
    assert states == {"1": "CANCELLED", "2": "RUNNING"}


def test_the_plugin_still_has_what_is_mended():
    """If it fails after an update, see whether the plugin does it by itself now."""
    plugin = pytest.importorskip("snakemake_executor_plugin_slurm")
    jobs = pytest.importorskip("snakemake.jobs")
    assert callable(plugin.query_job_status) and "_fallback_account_arg" in Path(plugin.__file__).read_text()
    assert isinstance(jobs.Job.restart_times, property) and isinstance(jobs.GroupJob.restart_times, property)
