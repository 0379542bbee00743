"""The benchmark: its arithmetic, and every measurement at a toy size. No time is tested, only what is made of it."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from experiments import ROOT, TINY, tiny_arm, tiny_experiment, tiny_reference

from methmix.benchmark import larger, processes, streaming
from methmix.benchmark.__main__ import measure
from methmix.benchmark.apart import Used, apart
from methmix.benchmark.apart import _status as memory_of_this_process
from methmix.benchmark.checks import checks
from methmix.benchmark.clock import growth, medians
from methmix.benchmark.inputs import drawn_reference, resized
from methmix.benchmark.larger import cost_model
from methmix.benchmark.page import number, render
from methmix.benchmark.sizes import Sizes
from methmix.benchmark.steps import PARTS, TimedTraining

CPU = torch.device("cpu")
TOY = Sizes(
    repetitions=1,
    solved=12,
    solved_by_scipy=3,
    written=(5, 10),
    writings=1,
    loaded=3,
    regions=(0.5, 1),
    batch_sizes=(10, 20),
    scaling_repetitions=1,
    streamed_regions=0.5,
    streamed=(10, 20),
    trained_mixtures=10,
    trained_steps=1,
    grid_regions=(0.5, 1),
    grid_donors=(1, 2),
    processes_regions=0.5,
    processes_steps=4,
    processes_arms=("sparse",),
)


def test_growth_for_each_doubling():
    assert growth([1, 2, 4], [1, 2, 8]) == pytest.approx(4)
    assert growth([10, 40], [1, 9]) == pytest.approx(3)
    assert growth([64, 125, 250], [64, 125, 250]) == pytest.approx(2)
    assert medians([{"a": 1.0}, {"a": 9.0}, {"a": 2.0}]) == {"a": 2.0}


def test_the_cost_model_recovers_made_up_coefficients():
    a, b, c = 3.0, 2e-5, 7e-9
    points = [
        {"regions": r, "donors": d, "seconds": a + b * r + c * d * r} for r in (1000, 30000, 60000) for d in (100, 300)
    ]
    fit = cost_model(points, "seconds", 500_000, 1200)
    assert [fit["constant"], fit["per_region"], fit["per_donor_and_region"]] == pytest.approx([a, b, c], rel=1e-6)
    assert fit["extrapolated"] == pytest.approx(a + b * 500_000 + c * 1200 * 500_000)
    assert fit["largest_relative_residual"] < 1e-9
    points[0]["seconds"] *= 1.1
    assert 0.02 < cost_model(points, "seconds", 500_000, 1200)["largest_relative_residual"] < 0.1


def products(arm):
    experiment, reference = tiny_experiment(), tiny_reference()
    return TimedTraining(arm, experiment, reference, CPU).products()


def test_products_of_an_mlp_are_those_of_its_linear_maps():
    batch, regions, width, tissues = 50, 600, 32, 8
    maps = [regions * width, width * width, width * tissues]
    # Forward, weight gradient and, but for the first, input gradient.
    assert products(tiny_arm("original")).flop == 2 * batch * (3 * sum(maps) - maps[0])


def test_products_of_least_squares_are_those_with_a_region_axis_and_of_the_small_network():
    batch, regions, tissues, head = 50, 600, 8, 48
    pairs = tissues * (tissues + 1) // 2
    solve, weigh, residual = pairs + 2 * tissues, 2 * tissues, tissues
    of_regions = 2 * batch * regions * (3 * solve + 2 * weigh + residual)
    # 17 features; two rounds that see four times the width; two outputs, and three on features without a gradient.
    rows = 2 * batch * tissues
    of_network = rows * (3 * 17 * head + 2 * 3 * 4 * head * head + 3 * 2 * head + 2 * 3 * head)
    of_similarity = 2 * 2 * 2 * batch * tissues * tissues * head
    listed = products(tiny_arm("sparse", **{"model.backbone": "reference"}))
    assert listed.flop == of_regions + of_network + of_similarity
    assert not any("float64" in line for line in listed.listed())


def test_resized_and_drawn_references():
    reference = tiny_reference()
    twice = resized(reference, 2)
    assert twice.depth.shape == (32, 1200)
    np.testing.assert_array_equal(twice.methylated[:, 600:], reference.methylated)
    np.testing.assert_array_equal(resized(reference, 0.5).depth, reference.depth[:, :300])
    drawn = drawn_reference(["a", "b"], 12, 50, np.random.default_rng(0))
    assert {split: drawn.split.count(split) for split in set(drawn.split)} == {"train": 8, "validation": 2, "test": 2}
    fractions = drawn.fractions[:]
    # Donors of one tissue, which take turns, are alike.
    assert np.abs(fractions[0] - fractions[2]).mean() < 0.2 < np.abs(fractions[0] - fractions[1]).mean()


def use_memory(megabytes):
    before = memory_of_this_process("RssAnon")
    return before, float(np.ones(megabytes * 2**17).sum())


def test_memory_of_a_process_of_its_own():
    used = apart(use_memory, 300)
    before, total = used.result
    assert total == 300 * 2**17
    assert used.anonymous_mb - before == pytest.approx(300, abs=30)
    assert used.resident_mb > used.anonymous_mb


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """Everything that is measured, with functions in this process and a made-up training of several."""

    def here(function, *arguments):
        return Used(function(*arguments), 0.1, 300.0, 200.0)

    class OneByOne:
        """Trainings handle signals, which only the main thread may."""

        def __init__(self, _):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        map = staticmethod(map)

    def train(command, **_):
        output, number_of = (Path(command[command.index(name) + 1]) for name in ("--output", "--processes"))
        assert "--set=training.mixtures_per_epoch=500" in command
        (output / "logs").mkdir(parents=True)
        record = {"record": {"train_seconds": {"1": 2.0, "2": 1.25}[str(number_of)]}}
        (output / "logs" / "training_record.json").write_text(json.dumps(record))
        return subprocess.CompletedProcess(command, 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(streaming, "apart", here)
        patch.setattr(streaming, "ThreadPoolExecutor", OneByOne)
        patch.setattr(larger, "apart", here)
        patch.setattr(processes.subprocess, "run", train)
        folder = tmp_path_factory.mktemp("benchmark")
        made = measure(TINY, TOY, CPU, folder)
    assert not list(folder.iterdir())
    return json.loads(json.dumps({"mode": "quick", **made}))


def test_ratios_are_of_what_was_measured(content):
    for step in content["training_step"].values():
        assert list(step["part_seconds"]) == list(PARTS)
        assert all(spent > 0 for spent in step["part_seconds"].values())
        assert step["step_over_products"] == step["step_seconds"] / step["products_seconds"]
        assert step["generation_over_step"] == step["part_seconds"]["mixing_and_reads"] / step["step_seconds"]
    nnls, writing, loader = content["nnls"], content["writing"], content["loader"]
    assert nnls["largest_difference"] < 1e-6
    assert nnls["speed_over_scipy"] == nnls["scipy_seconds_scaled_up"] / nnls["seconds"]
    assert nnls["scipy_solver_seconds_scaled_up"] < nnls["scipy_seconds_scaled_up"]
    assert writing["bytes"] > 10 * 600 * 6
    assert writing["speed_over_plain"] == writing["plain_seconds"] / writing["seconds"][-1]
    assert loader["loader_mixtures"] == 3
    assert loader["speed_over_loader"] == pytest.approx(loader["own_per_second"] / loader["loader_per_second"])
    assert content["scaling"]["regions"]["sizes"] == [300, 600]
    assert set(content["scaling"]["regions"]["growth"]) == {"original", "sparse", "mixing_and_reads"}
    assert content["memory"]["write"]["growth_per_byte"] == 0
    assert content["memory"]["file_mb"][1] > content["memory"]["file_mb"][0]
    assert [(point["regions"], point["donors"]) for point in content["larger_reference"]["points"]] == [
        (300, 32), (300, 64), (600, 32), (600, 64),
    ]  # fmt: skip
    assert content["processes"]["sparse"] == {"steps_per_second": {"1": 2.0, "2": 3.2}, "efficiency": 0.8}


def test_a_missed_target_is_shown_as_missed(content):
    content = json.loads(json.dumps(content))
    content["training_step"]["sparse"]["step_over_products"] = 1.61
    content["training_step"]["original"]["step_over_products"] = 1.6
    content["loader"]["speed_over_loader"] = 99.9
    content["checks"] = table = checks(content)
    met = {check["quantity"]: check["met"] for check in table}
    assert met["original: step / its matrix products"]
    assert not met["sparse: step / its matrix products"]
    assert not met["mixtures per second / straightforward loader"]
    assert met["training of sparse: largest memory, MB"]
    page = render(content)
    assert page.count(">missed<") == sum(not check["met"] for check in table)
    assert page.count(">met<") == sum(check["met"] for check in table)
    assert f"{sum(met.values())} of {len(table)} targets met" in page
    assert "There was no GPU" in page
    assert 'src="data:image/png' in page and "http" not in page.replace("http-equiv", "")


def test_numbers_are_shown_with_the_digits_that_count():
    assert [number(value) for value in (1.6042, 7.3e-9, 51089.4, 0, 0.30)] == ["1.6", "7.3e-09", "51,089", "0", "0.3"]
