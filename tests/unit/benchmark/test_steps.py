"""Where the time of a step goes: matrix products are those of the layers, and the parts make up the step."""

import pytest
import torch
from experiments import tiny_arm, tiny_experiment, tiny_mixtures, tiny_reference

from methmix.benchmark.steps import PARTS, _attribution
from methmix.training.loop import Trainer


@pytest.fixture(scope="module")
def attribution(tmp_path_factory):
    folder, reference = tmp_path_factory.mktemp("steps"), tiny_reference()
    validation = tiny_mixtures(reference, "validation", folder)

    def of(arm):
        return _attribution(Trainer(arm, tiny_experiment(), reference, validation, folder, torch.device("cpu")), 2)

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
    # 17 features; two rounds that see four times the width; two outputs, and three on features without a gradient.
    rows = 2 * batch * tissues
    of_network = rows * (3 * 17 * head + 2 * 3 * 4 * head * head + 3 * 2 * head + 2 * 3 * head)
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
