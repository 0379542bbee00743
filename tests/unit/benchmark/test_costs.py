"""Costs: the parts and products of a step, and ratios of times that hold on a machine that is slowed by other work."""

import multiprocessing
import os

import numpy as np
import pandas as pd
import pytest
import torch
from experiments import tiny_arm, tiny_experiment, tiny_mixtures, tiny_reference

from methmix.benchmark import costs
from methmix.benchmark.costs import PARTS, growth, in_turn
from methmix.benchmark.costs import attribution as attribute
from methmix.training.loop import Trainer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def attribution(tmp_path_factory):
    folder, reference = tmp_path_factory.mktemp("steps"), tiny_reference()
    validation = tiny_mixtures(reference, "validation", folder)

    def of(arm):
        return attribute(Trainer(arm, tiny_experiment(), reference, validation, folder, torch.device("cpu")), 2)

    return of


def test_products_of_an_mlp_are_those_of_its_linear_maps(attribution):
    batch, regions, width, tissues = 50, 600, 32, 8
    maps = [regions * width, width * width, width * tissues]
    # Forward, weight gradient and, but for the first, input gradient.
    flop = 2 * batch * (3 * sum(maps) - maps[0])
    assert attribution(tiny_arm("original"))["products_gflop"] == pytest.approx(flop / 1e9, rel=1e-9)


def test_products_of_least_squares_are_those_with_a_region_axis_and_of_the_small_network(attribution):
    batch, regions, tissues, head = 50, 600, 8, 48
    pairs = tissues * (tissues + 1) // 2
    solve, weigh, residual = pairs + 2 * tissues, 2 * tissues, tissues
    of_regions = 2 * batch * regions * (3 * solve + 2 * weigh + residual)
    # 17 features; two rounds that see four times the width; two outputs, and two on features without a gradient.
    rows = 2 * batch * tissues
    of_network = rows * (3 * 17 * head + 2 * 3 * 4 * head * head + 3 * 2 * head + 2 * 2 * head)
    of_similarity = 2 * 2 * 2 * batch * tissues * tissues * head
    flop = of_regions + of_network + of_similarity
    found = attribution(tiny_arm("sparse", **{"model.backbone": "reference"}))
    assert found["products_gflop"] == pytest.approx(flop / 1e9, rel=1e-9)


def test_the_parts_make_up_the_step(attribution):
    found = attribution(tiny_arm("sparse", **{"model.backbone": "reference"}))
    assert list(found["part_seconds"]) == list(PARTS)
    assert all(seconds > 0 for seconds in found["part_seconds"].values())
    assert sum(found["part_seconds"].values()) == pytest.approx(found["step_seconds"], rel=0.2)
    assert found["products_seconds"] < found["part_seconds"]["forward"] + found["part_seconds"]["backward"]
    assert 0 < found["generation_over_step"] < 1 < found["step_over_products"]


class SlowedMachine:
    """A clock that work moves on, on a machine that is seven times slower in every second round."""

    def __init__(self):
        self.now, self.calls = 0.0, 0

    def work(self, seconds):
        # In a round each of two calls is made once to warm up and once to be timed.
        self.now += seconds * (7 if self.calls // 4 % 2 else 1)
        self.calls += 1


def test_ratios_within_rounds_are_those_of_the_work_whatever_the_machine_does(monkeypatch):
    machine = SlowedMachine()
    monkeypatch.setattr(costs, "timer", lambda: machine.now)
    calls = {"once": lambda: machine.work(1), "twice": lambda: machine.work(2)}
    times = in_turn(calls, 5)
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

    # Rounds enough for the median to be that of this code, whatever else the machine does.
    times = in_turn({"once": lambda: work(3), "twice": lambda: work(6)}, 45)
    assert (times["twice"] / times["once"]).median() == pytest.approx(2, abs=0.5)


def test_growth_for_each_doubling():
    assert growth(pd.DataFrame([[1.0, 2.0, 8.0]] * 3, columns=[1, 2, 4])) == pytest.approx(4)
    assert growth(pd.DataFrame([[1.0, 9.0]], columns=[10, 40])) == pytest.approx(3)
    # A round that was disturbed while one size was timed is outvoted.
    disturbed = pd.DataFrame([[1.0, 2.0], [1.0, 20.0], [3.0, 6.0]], columns=[64, 128])
    assert growth(disturbed) == pytest.approx(2)
