"""One writer on a run folder."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, replace

import pytest

from methmix.errors import RunError
from methmix.training import lock as module
from methmix.training.job import SlurmJob
from methmix.training.lock import RunLock


def job(number="7", restarts=0):
    return SlurmJob(id=number, name="train", partition="gpu", node="gpu01", restarts=restarts)


def put(folder, lock, **changes):
    """Leave a lock that says what another process would have written."""
    folder.mkdir(exist_ok=True)
    owner = replace(lock._me, token="other", **changes)
    (folder / "training.lock").write_text(json.dumps(asdict(owner)))
    return owner


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(module, "_WAIT_SECONDS", 0.3)
    monkeypatch.setattr(module, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(module, "_SILENT_SECONDS", 0.6)
    monkeypatch.setattr(module, "_BEAT_SECONDS", 0.1)


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Stand in for SLURM's squeue."""

    def answer(output="", code=0, error=""):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "squeue").write_text(f"#!/bin/sh\necho '{output}'\necho '{error}' >&2\nexit {code}\n")
        (folder / "squeue").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    return answer


def test_taken_and_given_back(tmp_path):
    with RunLock(tmp_path / "run", job()) as lock:
        content = json.loads((tmp_path / "run/training.lock").read_text())
        assert content["process"] == os.getpid() and content["job_id"] == "7" and content["host"]
        lock.check()
    assert not list((tmp_path / "run").iterdir())


def test_second_process_on_this_host_is_refused_by_name(tmp_path):
    with (
        RunLock(tmp_path, job("41")),
        pytest.raises(RunError, match=rf"process {os.getpid()}, SLURM job 41.*\n.*scancel 41"),
        RunLock(tmp_path, job("42")),
    ):
        pass
    assert not (tmp_path / "training.lock").exists()


@contextmanager
def held_elsewhere(folder, seconds):
    """Let another process hold the lock for a while."""
    code = f"""if True:
        import time, pathlib
        from methmix.training.lock import RunLock
        with RunLock(pathlib.Path({str(folder)!r}), None):
            print("taken", flush=True)
            time.sleep({seconds})
    """
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "taken\n"
        yield other


def test_an_owner_that_ends_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_WAIT_SECONDS", 20)
    with held_elsewhere(tmp_path, seconds=1), RunLock(tmp_path, None) as lock:
        lock.check()


def test_lock_of_a_killed_process_is_taken_over(tmp_path, caplog):
    with held_elsewhere(tmp_path, seconds=60) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
    with RunLock(tmp_path, None):
        assert "taken over" in caplog.text


def test_another_process_of_the_same_number_is_not_the_owner(tmp_path):
    lock = RunLock(tmp_path, None)
    put(tmp_path, lock, process_started=1.0)
    with lock:
        lock.check()


def test_earlier_start_of_the_same_job_is_superseded(tmp_path):
    """As after the loss of a node, though its process may run on; that one finds out before it writes."""
    with RunLock(tmp_path, job("7", restarts=0)) as orphan:
        with RunLock(tmp_path, job("7", restarts=1)) as lock:
            lock.check()
            with pytest.raises(RunError, match=r"taken this training over.*SLURM job 7"):
                orphan.check()
        with pytest.raises(RunError, match="its lock was removed"):
            orphan.check()


def test_beats_of_an_orphan_do_not_take_the_lock_back(tmp_path):
    with RunLock(tmp_path, job("7", restarts=0)), RunLock(tmp_path, job("7", restarts=1)) as lock:
        time.sleep(0.4)
        lock.check()


@pytest.mark.parametrize(
    ("answer", "gone"),
    [
        ({"output": "RUNNING"}, False),
        ({"output": "COMPLETING"}, False),
        ({"output": "SUSPENDED"}, False),
        ({"output": "CANCELLED"}, True),
        ({"output": "PENDING"}, True),
    ],
)
def test_slurm_is_asked_about_an_owner_elsewhere(tmp_path, squeue, answer, gone):
    squeue(**answer)
    lock = RunLock(tmp_path, job("8"))
    put(tmp_path, lock, host="elsewhere", job_id="7")
    if gone:
        with lock:
            lock.check()
    else:
        with pytest.raises(RunError, match="host elsewhere"), lock:
            pass


@pytest.mark.parametrize(
    "answer",
    [
        {"code": 1, "error": "Unable to contact slurm controller"},
        {"code": 1, "error": "slurm_load_jobs error: Invalid job id specified"},  # perhaps another cluster's job
        {"output": ""},  # perhaps hidden from us
    ],
)
def test_silence_means_death_where_nobody_can_say(tmp_path, squeue, answer):
    squeue(**answer)
    lock = RunLock(tmp_path, None)
    put(tmp_path, lock, host="elsewhere", job_id="7")
    began = time.monotonic()
    with lock:
        assert time.monotonic() - began > 0.6


def test_a_beating_owner_elsewhere_lives(tmp_path, squeue):
    squeue(code=1, error="Unable to contact slurm controller")
    lock = RunLock(tmp_path, None)
    put(tmp_path, lock, host="elsewhere", job_id="7")
    beat = f"os.utime({str(tmp_path / 'training.lock')!r}); print(flush=True); time.sleep(.05)"
    command = [sys.executable, "-c", f"import os, time\nwhile True: {beat}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as beating:
        beating.stdout.readline()
        with pytest.raises(RunError, match="host elsewhere"), lock:
            pass
        beating.kill()


def test_a_file_that_is_no_lock(tmp_path):
    (tmp_path / "training.lock").write_text("?")
    with pytest.raises(RunError, match="is not a lock of ours"), RunLock(tmp_path, None):
        pass
