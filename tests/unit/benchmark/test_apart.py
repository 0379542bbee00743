"""Processes of their own: one thread, and memory that is theirs alone."""

import numpy as np
import pytest
import torch

from methmix.benchmark.apart import apart, peak_memory


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
