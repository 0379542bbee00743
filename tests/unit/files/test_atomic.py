"""Files are written whole or not at all, and what killed commands have left is swept."""

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from methmix.errors import InputError, RunError, refused
from methmix.files import atomic
from methmix.files.atomic import all_or_none, atomic_path, create_text, write_text

GONE = 2**22 - 3  # a number that no process has, as the largest one is seldom reached


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Sweep a folder again in each test."""
    atomic._swept.clear()


def part(folder: Path, process: int = GONE, started: float = 1.0, host: str | None = None, job: str = "") -> Path:
    """Leave what a process would have left."""
    host = host or atomic._flat(atomic._me(os.getpid()).host)
    path = folder / f".x.csv.{host}.{process}.{started:.0f}.{job}-0.abc.part"
    path.write_text("half")
    return path


def test_a_killed_command_leaves_a_part_that_the_next_one_removes(tmp_path):
    code = f"""if True:
        import os, pathlib, signal
        from methmix.files.atomic import atomic_path
        with atomic_path(pathlib.Path({str(tmp_path / "out.csv")!r})) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert re.fullmatch(r"\.out\.csv\..*\.part", left.name)
    write_text(tmp_path / "other.txt", "")
    assert [path.name for path in tmp_path.iterdir()] == ["other.txt"]


def test_what_a_living_process_writes_is_not_swept(tmp_path):
    me = atomic._me(os.getpid())
    mine, other = part(tmp_path, me.process, me.process_started), part(tmp_path, me.process, 1.0)
    write_text(tmp_path / "a", "")
    assert mine.exists()
    # A later process of the same number is not the one that wrote it.
    assert not other.exists()


def test_what_cannot_be_seen_from_here_is_swept_when_it_is_old(tmp_path):
    elsewhere, foreign = part(tmp_path, host="elsewhere"), tmp_path / ".y.xyz.part"
    foreign.write_text("of an earlier version")
    write_text(tmp_path / "a", "")
    assert elsewhere.exists() and foreign.exists()
    atomic._swept.clear()
    for path in (elsewhere, foreign):
        os.utime(path, (1, 1))
    write_text(tmp_path / "a", "")
    assert not elsewhere.exists() and not foreign.exists()


@pytest.mark.parametrize(("state", "left"), [("RUNNING", True), ("FAILED", False)])
def test_slurm_is_asked_about_a_job_elsewhere(tmp_path, monkeypatch, state, left):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/squeue").write_text(f"#!/bin/sh\necho {state}\n")
    (tmp_path / "bin/squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    path = part(tmp_path, host="elsewhere", job="77")
    write_text(tmp_path / "a", "")
    assert path.exists() == left


def test_a_file_is_on_the_disk_before_it_has_its_name_and_the_folder_after(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, Path.replace

    def note(file):
        done.append(str(Path(f"/proc/self/fd/{file}").readlink()))
        fsync(file)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(Path, "replace", lambda path, to: (done.append("renamed"), replace(path, to))[1])
    write_text(tmp_path / "a", "1")
    assert done[0].endswith(".part") and done[1:] == ["renamed", str(tmp_path)]


def test_several_files_get_their_names_together(tmp_path):
    write_text(tmp_path / "a", "old")
    with all_or_none():
        write_text(tmp_path / "a", "new")
        with all_or_none():
            write_text(tmp_path / "b", "new")
        assert (tmp_path / "a").read_text() == "old" and not (tmp_path / "b").exists()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "new", "b": "new"}


def test_of_several_files_none_is_there_after_a_failure(tmp_path):
    write_text(tmp_path / "a", "old")
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match="b: is a folder, expected the name of a file"), all_or_none():
        write_text(tmp_path / "a", "new")
        write_text(tmp_path / "b", "new")
    assert (tmp_path / "a").read_text() == "old" and {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_a_name_of_255_bytes(tmp_path):
    name = "ü" * 125 + ".html"
    write_text(tmp_path / name, "page")
    assert create_text(tmp_path / name, "other") is False
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), RunError, "No space left.*\n.*free some space"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), RunError, "quota.*\n.*free some of your quota"),
        (OSError(errno.EROFS, "Read-only file system"), InputError, "Read-only.*\n.*write elsewhere"),
        (OSError(errno.EMFILE, "Too many open files"), RunError, "Too many open files.*\n.*ulimit -n"),
        (RuntimeError("Can't decrement id ref count (file write failed, errno = 28, x)"), RunError, "No space left"),
    ],
)
def test_what_the_disk_refuses_is_said_in_one_sentence(tmp_path, error, kind, words):
    write_text(tmp_path / "a", "old")
    with pytest.raises(kind, match=f"cannot (be written|write here) .*{words}"), atomic_path(tmp_path / "a"):
        raise error
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old"}


def test_the_cause_is_found_behind_what_a_library_makes_of_it():
    try:
        try:
            raise OSError(errno.ENOSPC, "")
        except OSError:
            raise RuntimeError("unexpected pos 64 vs 0")  # noqa: B904
    except RuntimeError as error:
        assert refused(error) == errno.ENOSPC
    assert refused(ValueError("errno = 2")) is None


def test_hdf5_is_written_without_a_lock_of_its_own(tmp_path):
    with atomic_path(tmp_path / "a.h5") as temporary, h5py.File(temporary, "w", locking=False) as file:
        file["x"] = [1]
    with h5py.File(tmp_path / "a.h5") as file:
        assert list(file["x"]) == [1]
