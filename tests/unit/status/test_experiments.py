"""The status of a made-up tree of results: each state, and how it is known."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from methmix.config.load import load_experiment
from methmix.errors import InputError
from methmix.status.experiments import experiment_states, print_status
from methmix.status.planned_steps import planned_steps

TRAINING = {"epochs": 10, "mixtures_per_epoch": 100, "batch_size": 10}


@pytest.fixture
def root(tmp_path, repository, monkeypatch):
    """Make the folder of a checkout in which the experiment ``tiny`` was planned; there is no SLURM."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "config").symlink_to(repository / "config")
    write_record(tmp_path, repository)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_record(root, repository, name="tiny", **changes):
    content = load_experiment(repository / "config/tiny.yaml").model_dump(mode="json")
    write(root / f"results/{name}/config.yaml", yaml.safe_dump({**content, "name": name, **changes}))


def write(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def finish(root, name, of=lambda step: True):
    """Write the files of the steps of an experiment that a function chooses."""
    for step in planned_steps(load_experiment(root / f"results/{name}/config.yaml"), root):
        for file in step.files if of(step) else ():
            write(root / file)


def state(root, name="tiny", **of):
    """Give the only step with some attributes."""
    states = experiment_states(root / "results" / name)
    (found,) = (s for s in states if all(getattr(s.step, key) == value for key, value in of.items()))
    return found


def ready_to_train(root, name="tiny"):
    finish(root, name, lambda step: step.stage in ("reference", "mixtures") and step.phase in ("", "phase2"))


def lock(root, process, started=None, beat=0.0, **changes):
    """Leave the lock of a training; ``beat`` seconds ago it was touched last."""
    owner = {
        "token": "1", "host": os.uname().nodename, "process": process, "process_started": started or time.time(),
        "job_id": "", "restarts": 0, "since": "2026-01-01 00:00:00", **changes,
    }  # fmt: skip
    path = root / "results/tiny/phase2/sparse/training.lock"
    write(path, json.dumps(owner))
    os.utime(path, (time.time() - beat,) * 2)


def reach(root, epoch, seconds):
    logs = root / "results/tiny/phase2/sparse/logs"
    write(logs / "config.yaml", yaml.safe_dump({"training": TRAINING}))
    write(logs / "training_log.csv", f"epoch,step,seconds\n{epoch},{epoch * 10},{seconds}\n")


def squeue(root, *rows):
    """Stand in for SLURM's squeue."""
    lines = "\n".join("|".join(row) for row in rows)
    write(root / "bin/squeue", f"#!/bin/sh\n/bin/cat <<'END'\n{lines}\nEND\n")
    (root / "bin/squeue").chmod(0o755)


def test_a_fresh_experiment_shows_what_is_next_of_the_default_target(root):
    assert state(root, rule="reference").state == "next"
    assert state(root, rule="train", of="sparse").state == "waiting"
    assert {s.step.target for s in experiment_states(root / "results/tiny")} == {"", "phase2"}


def test_done_next_and_waiting(root):
    ready_to_train(root)
    assert state(root, rule="reference").state == "done"
    assert state(root, rule="mixtures", of="test").state == "done"
    assert state(root, rule="train", of="sparse").state == "next"
    assert state(root, rule="evaluate_control", of="nnls").state == "next"
    assert state(root, rule="evaluate_model", of="sparse").state == "waiting"
    assert state(root, rule="compare").state == "waiting"


def test_a_later_phase_waits_for_the_weights_that_it_starts_with(root):
    finish(root, "tiny", lambda step: step.stage in ("reference", "mixtures"))
    assert state(root, rule="train", phase="phase3", of="sparse").state == "waiting"
    finish(root, "tiny", lambda step: (step.phase, step.of) == ("phase2", "sparse"))
    assert state(root, rule="train", phase="phase3", of="sparse").state == "next"


def test_a_target_that_was_begun_is_shown(root):
    write(root / "logs/tiny/robustness_phase2.log", "error: no checkpoint\n  train first\n")
    found = state(root, rule="measure_robustness")
    assert (found.state, found.facts["last_lines"]) == ("failed", ["error: no checkpoint", "  train first"])


def test_a_training_runs_whose_process_lives_and_touches_its_lock(root):
    ready_to_train(root)
    reach(root, epoch=4, seconds=200.0)
    lock(root, os.getpid(), psutil_start())
    found = state(root, rule="train", of="sparse")
    assert found.state == "running"
    assert (found.facts["epoch"], found.facts["epochs"], found.facts["step"], found.facts["steps"]) == (4, 10, 40, 100)
    assert 295 <= found.facts["seconds_left"] <= 300
    assert "epoch 4 of 10, step 40 of 100, at most" in found.words and str(os.getpid()) in found.words


def psutil_start():
    import psutil

    return psutil.Process().create_time()


def test_the_copy_of_a_lock_is_not_running(root, tmp_path_factory, monkeypatch):
    ready_to_train(root)
    lock(root, os.getpid(), psutil_start(), beat=1000)
    assert state(root, rule="train", of="sparse").state == "unknown"
    lock(root, os.getpid(), psutil_start())
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert state(root, rule="train", of="sparse").state == "unknown"


def test_a_lock_of_a_dead_process_is_a_failure_and_the_number_of_another_process_no_owner(root):
    ready_to_train(root)
    write(root / "results/tiny/phase2/sparse/logs/training.txt", "2026-01-01 00:00:00 INFO epoch 1 of 10\n")
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    for process, started in ((done.pid, time.time()), (os.getpid(), psutil_start() - 10000)):
        lock(root, process, started)
        found = state(root, rule="train", of="sparse")
        assert (found.state, found.facts["last_lines"]) == ("failed", ["2026-01-01 00:00:00 INFO epoch 1 of 10"])
        assert "ended without a message" in found.words


def test_a_lock_of_another_host_is_unknown_without_slurm_and_running_if_slurm_says_so(root):
    ready_to_train(root)
    lock(root, 1, host="gpu01", job_id="77")
    found = state(root, rule="train", of="sparse")
    assert found.state == "unknown" and "gpu01" in found.words
    write(root / "bin/squeue", '#!/bin/sh\ncase "$*" in *jobs=77*) echo RUNNING;; esac\n')
    (root / "bin/squeue").chmod(0o755)
    found = state(root, rule="train", of="sparse")
    assert (found.state, found.facts["job"]) == ("running", "77")
    lock(root, 1, host="gpu01", job_id="77", beat=1000)
    assert state(root, rule="train", of="sparse").state == "unknown"


def test_jobs_in_the_queue_are_found_by_their_comment_and_folder(root):
    ready_to_train(root)
    squeue(
        root,
        ("11", "RUNNING", "cpu01", str(root), "rule_evaluate_control_wildcards_tiny_phase2_nnls"),
        ("12", "PENDING", "", str(root), "rule_train_wildcards_tiny_phase2_sparse"),
        ("13", "COMPLETING", "cpu01", str(root), "rule_evaluate_control_wildcards_tiny_phase2_em"),
        ("14", "RUNNING", "cpu01", "/elsewhere", "rule_evaluate_control_wildcards_tiny_phase2_uniform"),
    )
    found = state(root, rule="evaluate_control", of="nnls")
    assert (found.state, found.facts["job"], found.facts["host"]) == ("running", "11", "cpu01")
    assert state(root, rule="train", of="sparse").state == "queued"
    assert state(root, rule="evaluate_control", of="em").state == "unknown"
    assert state(root, rule="evaluate_control", of="uniform").state == "next"


def test_a_process_of_this_host_is_found_by_what_it_writes(root):
    ready_to_train(root)
    folder = "results/tiny/phase2/nnls/evaluation"
    program = "import time; time.sleep(60)"
    command = [sys.executable, "-c", program, "-m", "methmix.evaluation", f"--output={folder}"]
    with subprocess.Popen(command, cwd=root) as process:
        try:
            found = state(root, rule="evaluate_control", of="nnls")
            assert (found.state, found.facts) == ("running", {"process": process.pid})
            assert state(root, rule="evaluate_control", of="em").state == "next"
        finally:
            process.kill()
    assert state(root, rule="evaluate_control", of="nnls").state == "next"


def test_a_log_without_an_end_is_unknown_unless_snakemake_has_seen_it_fail(root):
    ready_to_train(root)
    log = root / "logs/tiny/evaluate_phase2_nnls.log"
    write(log, "2026-01-01 00:00:00 INFO NNLS, blocks of mixtures: 3 of 9\n")
    assert state(root, rule="evaluate_control", of="nnls").state == "unknown"
    when = time.strftime("%a %b %e %H:%M:%S %Y")
    failed = (
        f"[{when}]\nError in rule evaluate_control:\n    log: {log.relative_to(root)} (check log file(s) for error)\n"
    )
    write(root / ".snakemake/log/1.snakemake.log", failed)
    found = state(root, rule="evaluate_control", of="nnls")
    assert found.state == "failed" and found.facts["last_lines"][0].endswith("3 of 9")
    # However often it has been looked at since.
    for number in range(2, 9):
        write(root / f".snakemake/log/{number}.snakemake.log", f"[{when}]\nlocalrule status:\n    jobid: 0\n")
    assert state(root, rule="evaluate_control", of="nnls").state == "failed"
    # It was started again since.
    os.utime(log, (time.time() + 100,) * 2)
    assert state(root, rule="evaluate_control", of="nnls").state == "unknown"


def test_a_step_that_ended_well_and_lost_its_files_is_next(root):
    ready_to_train(root)
    write(root / "logs/tiny/evaluate_phase2_nnls.log", "2026-01-01 00:00:00 INFO finished in 3 s, peak memory 1 MiB\n")
    assert state(root, rule="evaluate_control", of="nnls").state == "next"


def test_a_stopped_training(root):
    ready_to_train(root)
    line = "2026-01-01 00:00:00 WARNING SIGTERM: stopped at step 40 of 100; the same command resumes from there\n"
    end = "2026-01-01 00:00:01 INFO ended with exit code 143 in 9 s, peak memory 1 MiB; output in results\n"
    write(root / "logs/tiny/train_phase2_sparse.log", line + end)
    found = state(root, rule="train", of="sparse")
    assert found.state == "stopped" and "step 40 of 100" in found.words


def test_a_lock_that_cannot_be_read_is_unknown(root):
    ready_to_train(root)
    write(root / "results/tiny/phase2/sparse/training.lock", "{")
    assert state(root, rule="train", of="sparse").state == "unknown"


def test_points_of_a_sweep_are_found_and_failures_of_any_other_rule(root):
    folder = root / "results/tiny/phase2/sweep/sparse/0.001"
    write(folder / "logs/config.yaml", yaml.safe_dump({"training": TRAINING}))
    write(root / "logs/tiny/sweep_phase2_sparse_0.001.log", "error: the training loss is nan in epoch 1\n")
    write(root / "logs/tiny/ablate_phase2.log", "Traceback (most recent call last):\nKeyError\n")
    assert state(root, of="sweep/sparse/0.001").state == "failed"
    assert state(root, rule="ablate_phase2").state == "failed"
    write(folder / "logs/training_record.json")
    assert state(root, of="sweep/sparse/0.001").state == "done"


def test_a_repetition_is_evaluated_and_not_compared(root, repository):
    write_record(root, repository, "tiny-seed2", seed=2, repeats={})
    rules = {s.step.rule for s in experiment_states(root / "results/tiny-seed2")}
    assert rules == {"reference", "mixtures", "train", "evaluate_model", "evaluate_control", "evaluate_part"}


def test_the_table_joins_what_is_alike_and_says_how_to_go_on(root, capsys):
    ready_to_train(root)
    write(root / "logs/tiny/train_phase2_sparse.log", "error: no memory\n  use less\n")
    print_status([], as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "results/tiny: 5 done, 0 running, 1 failed, of 19 steps"
    assert any(line.split() == ["phase2", "mixtures", "done", "train,", "validation,", "test"] for line in lines)
    place = next(number for number, line in enumerate(lines) if "failed   sparse: logs/tiny/train" in line)
    assert lines[place + 1 : place + 3] == ["      | error: no memory", "      |   use less"]
    assert lines[-1] == "  to go on: snakemake compare_phase2 --configfile config/tiny.yaml"


def test_json_has_every_step(root, capsys):
    finish(root, "tiny")
    print_status([Path("results/tiny")], as_json=True)
    rows = json.loads(capsys.readouterr().out)["results/tiny"]
    assert {row["state"] for row in rows} == {"done"}
    assert {row["target"] for row in rows} >= {"phase1", "phase2", "phase3", "donors_phase2", "robustness", "predict"}


def test_no_results(root, tmp_path_factory, monkeypatch):
    with pytest.raises(InputError, match=r"results/other: has no config\.yaml"):
        print_status([Path("results/other")], as_json=False)
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    with pytest.raises(InputError, match="no experiment has been started here"):
        print_status([], as_json=False)


def test_nothing_is_written(root):
    def content():
        return {path: path.stat().st_mtime_ns for path in root.rglob("*")}

    ready_to_train(root)
    lock(root, 1, host="gpu01")
    before = content()
    print_status([], as_json=True)
    assert content() == before


def test_ten_experiments_take_no_longer_than_the_imports_and_no_torch(root, repository):
    for number in range(10):
        write_record(root, repository, f"copy{number}")
        finish(root, f"copy{number}")
    program = (
        "import sys, time\nfrom methmix.status.experiments import print_status\nimported = time.process_time()\n"
        "print_status([], True)\ntaken = time.process_time() - imported\n"
        "assert 'torch' not in sys.modules\nassert taken < imported, (taken, imported)\n"
    )
    path = os.pathsep.join([str(repository / "src"), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
