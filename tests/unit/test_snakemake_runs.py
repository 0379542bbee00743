"""Snakemake's lock: whose it is, and that only one of the dead is taken over."""

import json
from dataclasses import asdict, replace

import pytest

from methmix.files.owner import this_process
from methmix.snakemake_runs import take_over


@pytest.fixture
def folder(tmp_path):
    """A folder of Snakemake that is locked."""
    (tmp_path / "locks").mkdir()
    for name in ("0.input.lock", "0.output.lock"):
        (tmp_path / "locks" / name).write_text("a\n")
    return tmp_path


def enter(folder, **changes):
    owner = replace(this_process(), **changes)
    (folder / "runs").mkdir(exist_ok=True)
    (folder / "runs" / f"{owner.token}.json").write_text(json.dumps(asdict(owner)))


def locks(folder):
    return sorted(path.name for path in folder.glob("locks/*"))


def test_without_a_lock_nothing_is_said(tmp_path):
    enter(tmp_path, process_started=1.0)
    assert [*take_over(tmp_path)] == []
    # It is entered itself, and who is gone is not any more.
    (entered,) = tmp_path.glob("runs/*.json")
    assert json.loads(entered.read_text())["process"] == this_process().process


def test_the_lock_of_a_killed_run_is_taken_over(folder):
    enter(folder, process_started=1.0)
    (words,) = take_over(folder)
    assert "was killed" in words and "is taken over" in words and "process" in words
    assert locks(folder) == [] and len([*folder.glob("runs/*")]) == 1


def test_that_of_a_living_run_is_kept_and_its_owner_named(folder):
    enter(folder, process_started=1.0)
    enter(folder)
    (words,) = take_over(folder)
    assert f"kill {this_process().process}" in words and "another Snakemake runs" in words
    assert len(locks(folder)) == 2


@pytest.mark.parametrize("entered", [True, False])
def test_one_that_cannot_be_known_is_kept_and_the_remedy_named(folder, entered):
    if entered:
        enter(folder, host="elsewhere")
    (words,) = take_over(folder)
    assert "snakemake --unlock" in words
    assert len(locks(folder)) == 2


def test_slurm_has_started_the_job_of_a_run_again(folder, monkeypatch):
    enter(folder, host="elsewhere", job_id="7", restarts=0)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert "is taken over" in next(take_over(folder))
    assert locks(folder) == []
