"""Mutated files of every reader: none fails in a way that was not foreseen; and the harness sees what fails."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from methmix.errors import InputError

from . import fuzz
from .mutations import Target

pytestmark = pytest.mark.slow

GOOD = "a\t1\nb\t2\nc\t3\n"


def read_pairs(path: Path) -> dict[str, float]:
    return {name: float(value) for name, value in (line.split("\t") for line in path.read_text().splitlines())}


def read_strictly(path: Path) -> dict[str, float]:
    try:
        content = path.read_bytes().decode()
        lines = content.splitlines()
        found = {name: float(value) for name, value in (line.split("\t") for line in lines)}
    except (ValueError, UnicodeError) as error:
        raise InputError(f"{path}: {error}") from None
    if len(found) < len(lines) or not content.endswith("\n") or not np.isfinite(list(found.values())).all():
        raise InputError(f"{path}: is no table")
    return found


def found_with(read, n=60) -> dict:
    return fuzz.fuzz([Target("pairs.tsv", lambda path: path.write_text(GOOD), read, 2)], n, 1)


def test_outcomes_are_counted_and_can_be_repeated():
    found = found_with(read_strictly)
    assert sum(found["outcomes"].values()) == 60
    assert set(found["outcomes"]) <= {*fuzz.FINE, *fuzz.FAILURES}
    assert found["outcomes"]["refused"] > 10 and found["outcomes"]["equal"] > 0
    assert found["outcomes"] == found_with(read_strictly)["outcomes"]
    assert "60 inputs of seed 1" in fuzz.in_words(found)


def test_an_unforeseen_exception_is_a_failure():
    found = found_with(read_pairs)
    failures = [failure for failure in found["failures"] if failure["kind"] == "unforeseen"]
    assert failures and "ValueError" in failures[0]["message"] and failures[0]["what"]


def test_a_number_that_changes_is_a_failure():
    def read(path):
        values = read_pairs(path) if path.read_text() == GOOD else {"a": 7.0, "b": 8.0, "c": 9.0}
        return {**values, "notes": []}

    assert found_with(read)["outcomes"]["changed"] > 10


def test_a_hang_a_crash_and_a_bomb_are_failures(monkeypatch):
    monkeypatch.setattr(fuzz, "SECONDS", 0.5)
    calls = {
        "hang": lambda: time.sleep(30),
        "signal": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "memory": lambda: bytearray(8 * 2**30),
    }
    for kind, call in calls.items():

        def read(path, call=call):
            return call() if path.read_bytes() != GOOD.encode() else read_pairs(path)

        found = found_with(read, 3)
        assert found["outcomes"].get(kind, 0) >= 1, (kind, found)
        assert len(found["targets"]["pairs.tsv"]) >= 1 and found["inputs"] == 3


def test_a_message_names_its_file():
    def read(path):
        if path.read_bytes() != GOOD.encode():
            raise InputError("is bad")
        return read_pairs(path)

    assert found_with(read, 20)["outcomes"]["unclear"] > 5


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_2000_mutated_files_of_all_readers():
    found = fuzz.fuzz(fuzz.targets(), 2000, seed=2026)
    assert found["inputs"] == 2000
    assert not found["failures"], fuzz.in_words(found)
