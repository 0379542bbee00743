"""Every way a cluster takes a job away: nothing is lost, and the weights are those of an undisturbed training."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from clusters import ENDLESS, LONG, PATIENCE, SHORT, assert_nothing_was_repeated, assert_same_training, under_way, until

from methmix.training.checkpoint import load_checkpoint

# In the partition that other tests do not use.
TRAIN = ("--partition=spot", "--nodelist=gpu03", "slurm/train_sparse.sh")


@pytest.fixture
def run(checkout, request) -> Path:
    """Give the run folder of a test."""
    return checkout / "results" / request.node.name


@pytest.fixture(scope="module")
def uninterrupted(checkout) -> Callable[[tuple[str, ...]], Path]:
    """Give the run folder of a training, named by its options, that nothing happens to."""
    runs = {}
    for number, options in enumerate((SHORT, LONG)):
        output = checkout / "results" / f"uninterrupted-{number}"
        command = [sys.executable, "-m", "methmix.training", "--config=config/phase2_sparse.yaml", *options]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [*command, f"--output={output}"], cwd=checkout, env=environment, stderr=subprocess.DEVNULL
        )
        runs[options] = (output, process)

    def finished(options: tuple[str, ...]) -> Path:
        output, process = runs[options]
        assert process.wait(timeout=PATIENCE) == 0
        return output

    return finished


@pytest.fixture(scope="module", autouse=True)
def limited(cluster, checkout, uninterrupted) -> Iterator[dict[str, tuple[str, Path]]]:
    """Start the two trainings with a time limit first: their tests, at the end, only have to look."""
    submitted = {}
    for name, training, options in (
        ("warned", SHORT, ("--time=6", "--signal=USR1@270")),  # after some 90 s
        ("limit", ENDLESS, ("--time=60", "--signal=CONT@1")),  # in effect without a warning
    ):
        output = checkout / "results" / name
        job = cluster.sbatch(checkout, *options, "slurm/train_sparse.sh", *training, f"--output={output}")
        submitted[name] = (job, output)
    # On a fast machine it would come to its end before it is warned, and on a slow one a longer training never would.
    _, run = submitted["warned"]
    under_way(run)
    training = json.loads((run / "training.lock").read_text())["process"]
    with subprocess.Popen(["sh", "-c", f"kill -STOP {training}; sleep 110; kill -CONT {training}"]):
        job, run = submitted["limit"]
        under_way(run)
        cluster.run("scontrol", "update", f"JobId={job}", "TimeLimit=1")
        yield submitted


def log_of(checkout: Path, job: str) -> str:
    log = checkout / "logs" / f"methmix-phase2-sparse-{job}.log"
    return log.read_text() if log.is_file() else ""


def test_preemption(cluster, checkout, run, uninterrupted):
    job = cluster.sbatch(checkout, *TRAIN, *SHORT, f"--output={run}")
    under_way(run)
    urgent = cluster.sbatch(
        checkout, "--partition=urgent", "--nodelist=gpu03", "--exclusive", "--wrap=sleep 1", "--output=/dev/null"
    )
    cluster.wait(urgent, "COMPLETED")
    told = cluster.wait(job, "COMPLETED")
    assert told["Restarts"] == "1"
    assert "SIGTERM: stopped at step" in log_of(checkout, job)
    assert_nothing_was_repeated(run)
    assert_same_training(run, uninterrupted(SHORT))


def test_cancelled_stays_cancelled_and_goes_on_when_submitted_again(cluster, checkout, run, uninterrupted):
    job = cluster.sbatch(checkout, *TRAIN, *SHORT, f"--output={run}")
    under_way(run)
    cluster.run("scancel", job)
    until(lambda: "SIGTERM: stopped at step" in log_of(checkout, job), "state saved")
    cluster.wait(job, "CANCELLED")
    time.sleep(12)  # longer than a requeued job waits here
    assert cluster.told(job)["JobState"] == "CANCELLED"
    again = cluster.sbatch(checkout, *TRAIN, *SHORT, f"--output={run}")
    cluster.wait(again, "COMPLETED")
    assert_nothing_was_repeated(run)
    assert_same_training(run, uninterrupted(SHORT))


@pytest.mark.long
def test_requeue_by_hand(cluster, checkout, run, uninterrupted):
    job = cluster.sbatch(checkout, *TRAIN, *SHORT, f"--output={run}")
    under_way(run)
    cluster.run("scontrol", "requeue", job)
    until(lambda: cluster.told(job)["Restarts"] == "1", "restart")
    cluster.wait(job, "COMPLETED")
    assert_nothing_was_repeated(run)
    assert_same_training(run, uninterrupted(SHORT))


def test_restart_of_the_controller(cluster, checkout, run, uninterrupted):
    job = cluster.sbatch(checkout, *TRAIN, *SHORT, f"--output={run}")
    under_way(run)
    cluster.act("restart-controller")
    told = cluster.wait(job, "COMPLETED")
    assert told["Restarts"] == "0"
    assert_same_training(run, uninterrupted(SHORT))


def test_node_lost_while_its_process_runs_on(cluster, checkout, run, uninterrupted):
    """SLURM starts the job elsewhere; the orphan on the lost node finds its lock taken and writes nothing more."""
    job = cluster.sbatch(checkout, *TRAIN, *LONG, f"--output={run}")
    under_way(run)
    lock = run / "training.lock"
    cluster.act("lose", "gpu03")
    # Held, so that it does not come to its end before SLURM has missed the node.
    orphan = psutil.Process(json.loads(lock.read_text())["process"])
    orphan.suspend()
    try:
        until(lambda: cluster.told(job)["Restarts"] == "1", "restart")
        cluster.run("scontrol", "update", f"JobId={job}", "ReqNodeList=")
        cluster.wait(job, "RUNNING")
        until(lambda: lock.is_file() and '"restarts": 1' in lock.read_text(), "lock taken over")
        orphan.resume()
        orphan.wait(120)
    finally:
        with suppress(psutil.NoSuchProcess):
            orphan.resume()
        cluster.act("restore", "gpu03")
    cluster.wait(job, "COMPLETED")
    assert_same_training(run, uninterrupted(LONG))
    told = (run / "logs/training.txt").read_text()
    assert re.search(r"resuming from \S+ at step [1-9]", told)  # from the last epoch, not from the beginning
    assert "its training is taken over" in log_of(checkout, job)


def test_two_jobs_do_not_write_into_one_folder(cluster, checkout, run):
    first, second = (cluster.sbatch(checkout, *TRAIN, *ENDLESS, f"--output={run}") for _ in range(2))
    failed = until(lambda: [job for job in (first, second) if cluster.told(job)["JobState"] == "FAILED"], "failure")
    assert len(failed) == 1  # whichever came second
    trains = first if failed == [second] else second
    assert cluster.told(failed[0])["ExitCode"] == "1:0"
    log = log_of(checkout, failed[0])
    assert "another process trains here (host" in log and f"SLURM job {trains}" in log and f"scancel {trains}" in log
    cluster.run("scancel", trains)
    cluster.wait(trains, "CANCELLED")


@pytest.mark.long
def test_two_nodes_are_warned_and_go_on(cluster, checkout, run, uninterrupted):
    job = cluster.sbatch(checkout, "--nodes=2", "slurm/train_sparse.sh", *SHORT, f"--output={run}")
    under_way(run)
    cluster.run("scancel", "--signal=USR1", job)
    told = until(lambda: (told := cluster.told(job))["JobState"] == "COMPLETED" and told, "COMPLETED")
    assert told["Restarts"] == "1"
    assert_nothing_was_repeated(run)
    found, expected = (
        load_checkpoint(folder / "checkpoints/checkpoint_last.pt") for folder in (run, uninterrupted(SHORT))
    )
    assert found.record["n_ranks"] == 2 and found.step == expected.step
    # Rounding grows over hundreds of steps; the course of the training stays.
    errors = [[row["val/mae"] for row in checkpoint.history] for checkpoint in (found, expected)]
    assert errors[0][:5] == pytest.approx(errors[1][:5], rel=1e-3)
    assert errors[0][-1] == pytest.approx(errors[1][-1], rel=0.1)


def test_two_nodes_train_as_one(cluster, checkout, run):
    options = ("--experiment=config/tiny.yaml", "--set=model.backbone=mlp")
    job = cluster.sbatch(checkout, "--nodes=2", "slurm/train_sparse.sh", *options, f"--output={run}")
    alone = checkout / "results" / "alone"
    single = cluster.sbatch(checkout, *TRAIN, *options, f"--output={alone}")
    cluster.wait(job, "COMPLETED")
    cluster.wait(single, "COMPLETED")
    two, one = (load_checkpoint(folder / "checkpoints/checkpoint_last.pt") for folder in (run, alone))
    assert two.record["n_ranks"] == 2
    assert [r["val/mae"] for r in two.history] == pytest.approx([r["val/mae"] for r in one.history], rel=1e-3)
    assert [r["train/total_loss"] for r in two.history] == pytest.approx(
        [r["train/total_loss"] for r in one.history], rel=1e-4
    )
    assert log_of(checkout, job).count("epoch 6 of 6") == 1


def test_lead_signal_and_requeue(cluster, limited, checkout, uninterrupted):
    job, run = limited["warned"]
    told = cluster.wait(job, "COMPLETED")
    assert 1 <= int(told["Restarts"]) <= 10
    log = log_of(checkout, job)
    assert "SIGUSR1: stopped at step" in log and "is queued again to go on" in log
    assert_nothing_was_repeated(run)
    assert_same_training(run, uninterrupted(SHORT))


def test_time_limit_without_warning(cluster, limited, checkout):
    job, run = limited["limit"]
    told = cluster.wait(job, "TIMEOUT")
    assert told["Restarts"] == "0"
    assert "SIGTERM: stopped at step" in log_of(checkout, job)
    step = load_checkpoint(run / "checkpoints/checkpoint_last.pt").step
    again = cluster.sbatch(checkout, *TRAIN, *ENDLESS, f"--output={run}")
    until(lambda: f"checkpoint_last.pt at step {step}" in log_of(checkout, again), "resuming from there")
    cluster.run("scancel", again)
