"""Times in turn: their ratios hold on a machine that is slowed by something else."""

import multiprocessing
import os

import numpy as np
import pandas as pd
import pytest

from methmix.benchmark.timing import growth, in_turn


class SlowedMachine:
    """A clock that work moves on, on a machine that is seven times slower in every second round."""

    def __init__(self):
        self.now, self.calls = 0.0, 0

    def work(self, seconds):
        # In a round each of two calls is made once to warm up and once to be timed.
        self.now += seconds * (7 if self.calls // 4 % 2 else 1)
        self.calls += 1


def test_ratios_within_rounds_are_those_of_the_work_whatever_the_machine_does():
    machine = SlowedMachine()
    calls = {"once": lambda: machine.work(1), "twice": lambda: machine.work(2)}
    times = in_turn(calls, 5, clock=lambda: machine.now)
    assert times["once"].tolist() == [1, 7, 1, 7, 1]
    assert times["twice"].tolist() == [2, 14, 2, 14, 2]


def burn():
    while True:
        np.linalg.svd(np.ones((64, 64)))


@pytest.fixture
def busy_machine():
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=burn, daemon=True) for _ in range(len(os.sched_getaffinity(0)))]
    for other in others:
        other.start()
    yield
    for other in others:
        other.kill()
        other.join()


def test_twice_the_work_takes_about_twice_the_time_on_a_busy_machine(busy_machine):
    matrix = np.random.default_rng(0).random((300, 300))

    def work(times):
        for _ in range(times):
            np.linalg.eigvalsh(matrix)

    times = in_turn({"once": lambda: work(3), "twice": lambda: work(6)}, 15)
    assert (times["twice"] / times["once"]).median() == pytest.approx(2, abs=0.5)


def test_growth_for_each_doubling():
    assert growth(pd.DataFrame([[1.0, 2.0, 8.0]] * 3, columns=[1, 2, 4])) == pytest.approx(4)
    assert growth(pd.DataFrame([[1.0, 9.0]], columns=[10, 40])) == pytest.approx(3)
    # A round that was disturbed while one size was timed is outvoted.
    disturbed = pd.DataFrame([[1.0, 2.0], [1.0, 20.0], [3.0, 6.0]], columns=[64, 128])
    assert growth(disturbed) == pytest.approx(2)
