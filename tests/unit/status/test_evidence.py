"""What is read from logs, command lines and SLURM."""

from pathlib import Path

import pytest

from methmix.status import evidence
from methmix.status.evidence import Seen, newest_log, training_progress


def test_a_bar_leaves_its_last_state_in_a_log(tmp_path):
    (tmp_path / "a.log").write_text("50%|###\r 100%|######\nerror: bad\n")
    log = newest_log(tmp_path / "a.log", tmp_path / "missing.log")
    assert log.lines == [" 100%|######", "error: bad"] and log.failed and not log.finished
    assert newest_log(tmp_path / "missing.log") is None


def test_only_the_end_of_a_long_log_is_read(tmp_path):
    (tmp_path / "a.log").write_text("a line\n" * 100_000 + "the last\n")
    log = newest_log(tmp_path / "a.log")
    assert log.lines[-1] == "the last" and len(log.lines) < 1000
    assert log.tail == ["a line"] * 5 + ["the last"]


def test_a_hanging_squeue_is_no_slurm(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "_SQUEUE_SECONDS", 0.2)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Seen(tmp_path).jobs == {}
    (tmp_path / "squeue").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    (tmp_path / "squeue").chmod(0o755)
    assert Seen(tmp_path).jobs == {}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python -m methmix.mixtures --config c --output a.h5", [("mixtures", "a.h5")]),
        ("/usr/bin/python3 -m methmix.training --output=results/x", [("training", "results/x")]),
        ("python /opt/bin/methmix evaluation --arm nnls --output b", [("evaluation", "b")]),
        ("python -m methmix.report detection --folder results/d", [("report", "results/d")]),
        ("python -m methmix.training --config c", []),
        ("bash -c methmix.mixtures", []),
        ("python -m other --output a", []),
    ],
)
def test_what_a_command_line_writes(command, expected):
    assert list(evidence._stage_and_output(command.split())) == expected


def test_failures_in_the_log_of_snakemake():
    text = """
[Fri Nov 27 10:00:00 2026]
rule mixtures:
    log: logs/tiny/good.log
[Fri Nov 27 10:00:05 2026]
Error in rule mixtures:
    message: None
    log: logs/tiny/bad.log (check log file(s) for error details)
"""
    ((path, when),) = evidence._failures(text)
    assert path == Path("logs/tiny/bad.log")
    assert evidence.datetime.fromtimestamp(when).strftime("%H:%M:%S") == "10:00:05"


def test_a_training_without_an_epoch_has_no_progress(tmp_path):
    assert training_progress(tmp_path) == {}
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/training_log.csv").write_text("epoch,step,seconds\n")
    assert training_progress(tmp_path) == {}
