"""Processes of their own: one thread, and memory that is theirs alone."""

import math
import multiprocessing
import os
import time
from functools import partial

import numpy as np
import pytest
import torch

from methmix.benchmark.apart import apart, at_once, peak_memory
from methmix.errors import RunError

pytestmark = pytest.mark.slow


def use_memory(megabytes):
    before = peak_memory()
    total = float(np.ones(megabytes * 2**17).sum())
    return {"before": before, "total": total, "after": peak_memory(), "threads": torch.get_num_threads()}


def test_a_process_of_its_own_has_one_thread_and_only_its_own_memory(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    held = np.ones(1500 * 2**17)
    used = apart(use_memory, 300)
    assert used["total"] == 300 * 2**17
    assert used["threads"] == 1
    assert used["after"] - used["before"] == pytest.approx(300, abs=30)
    assert used["after"] < held.nbytes / 2**20


def test_calls_at_once_wait_for_each_other(tmp_path):
    answers = at_once([partial(answer_after, tmp_path, me, 1 - me) for me in range(2)], 600)
    assert answers == [0, 1]


def answer_after(folder, mine, other):
    """Answer once the other process has come here too."""
    (folder / str(mine)).touch()
    while not (folder / str(other)).exists():
        time.sleep(0.01)
    return mine


@pytest.mark.parametrize(
    ("failing", "message"),
    [
        (partial(math.sqrt, -1), "ValueError"),
        (partial(os._exit, 3), "ended without an answer"),
        (partial(time.sleep, 600), "1 of 2 processes have not ended in time"),
    ],
)
def test_a_call_that_fails_or_hangs_ends_all(failing, message):
    begun = time.monotonic()
    late = "in time" in message
    with pytest.raises(RunError, match=message):
        at_once([partial(math.sqrt, 4), failing] if late else [partial(time.sleep, 600), failing], 15 if late else 300)
    assert time.monotonic() - begun < 300
    assert not multiprocessing.active_children()
