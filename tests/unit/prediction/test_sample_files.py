"""Files that are asked for by name, by pattern, and on standard input."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from methmix.errors import InputError
from methmix.prediction.sample_files import sample_files


def test_names_and_patterns(tmp_path):
    for name in ("b.cov", "a.cov", "c.bed", "[1].cov"):
        (tmp_path / name).write_text("x")
    (tmp_path / "d.cov").mkdir()
    found = sample_files([tmp_path / "c.bed", tmp_path / "?.cov", tmp_path / "a.cov", tmp_path / "[1].cov"], tmp_path)
    assert [path.name for path in found] == ["c.bed", "a.cov", "b.cov", "[1].cov"]
    # What does not exist is said by who reads it; a pattern without a match is said here.
    assert sample_files([Path("none.cov")], tmp_path) == [Path("none.cov")]
    with pytest.raises(InputError, match=r"no file matches .*\*\.beta"):
        sample_files([tmp_path / "*.beta"], tmp_path)


def test_standard_input_is_copied_once(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"\x1f\x8bx")))
    (found,) = sample_files([Path("-"), Path("-")], tmp_path)
    assert found.name == "stdin" and found.read_bytes() == b"\x1f\x8bx"
