"""The GPU run as a dry run at a toy size. No time is tested, only what is made of it."""

import json
import re
import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from experiments import ROOT, TINY, undrawn

from methmix import cli
from methmix.benchmark import gpu_checks, gpu_processes, gpu_run, gpu_times
from methmix.benchmark.gpu_page import aims, floor_seconds, page
from methmix.benchmark.gpu_parts import Deadline, NotMeasuredError
from methmix.benchmark.gpu_room import DRY, Room
from methmix.benchmark.gpu_times import whole
from methmix.errors import InputError
from methmix.training.monitor import Validation

pytestmark = pytest.mark.slow

TOY = replace(DRY, regions=200, few_regions=100, seeds=(1, 2), training_steps=2, draws=2**14, batch_sizes=(50, 100))
CONFIG = f"""
base: {TINY}
name: toy
overrides: {{model.hidden_sizes: [16], training.epochs: 1, training.mixtures_per_epoch: 200, training.batch_size: 100}}
"""
LEFT_OUT = {"ranks original", "ranks sparse", "resume sparse"}
NEED_A_GPU = {"waits original", "waits sparse"}
ON_GPU_ALONE = {"waits in a step", "bfloat16", "memory", "out of memory"}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "toy.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def patched():
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(gpu_run, "DRY", TOY)
        # Importing torch alone takes 20 s on a slow machine.
        for name in ("_SECONDS", "_MESSAGE_SECONDS"):
            patch.setattr(gpu_processes, name, 600.0)
        yield patch


@pytest.fixture(scope="module")
def room(config, patched, tmp_path_factory):
    return Room(config, TOY, torch.device("cpu"), tmp_path_factory.mktemp("room"), Deadline(600))


@pytest.fixture(scope="module")
def finished(config, patched, tmp_path_factory):
    output = tmp_path_factory.mktemp("gpu")
    parts = gpu_run.parts
    with undrawn(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("methmix.training.batches._CALIBRATION", 500)
        # What takes seconds of its own is tested apart, or is the same code as for the other arm.
        patch.setattr(gpu_checks, "_CPU_SECONDS", 600.0)
        patch.setattr(gpu_times, "apart", lambda function, *arguments: function(*arguments))
        patch.setattr(gpu_run, "parts", lambda room: [part for part in parts(room) if part.name not in LEFT_OUT])
        code = gpu_run.run_on_gpu(config, output, "cpu", 600)
    return code, output


@pytest.fixture
def content(finished):
    return json.loads((finished[1] / "gpu.json").read_text())


def test_the_dry_run_measures_every_part_and_passes_every_check_that_needs_no_gpu(finished, content):
    code, output = finished
    assert {path.name for path in output.iterdir()} == {"gpu.json", "gpu.html"}
    assert {name for name, part in content["parts"].items() if part["outcome"] != "done"} == NEED_A_GPU, content[
        "parts"
    ]
    for name, check in content["checks"].items():
        needs_gpu = name.split(": ")[1] in ON_GPU_ALONE
        assert check["outcome"] == ("not measured" if needs_gpu else "passed"), (name, check)
    assert code == 0
    assert content["mode"] == "dry run" and content["seconds"] < content["limit_seconds"] == 600


def test_device_and_cpu_agree_where_they_are_the_same(content):
    for name in ("reads: values", "original: prediction", "sparse: prediction", "original: resumed training"):
        assert content["checks"][name]["figure"] == 0
    trained = content["measured"]["training sparse"]
    assert trained["device"] == trained["cpu"]["1"] != trained["cpu"]["2"]


def test_figures_follow_from_what_was_timed(content):
    measured = content["measured"]
    for arm in ("original", "sparse"):
        steps = measured[f"steps {arm}"]
        assert steps["mixtures_per_second"] == pytest.approx(100 / steps["step_seconds"])
        epoch = 2 * steps["step_seconds"] + steps["validation_seconds"]
        assert steps["validation_share"] == pytest.approx(steps["validation_seconds"] / epoch)
        assert [size["batch_size"] for size in measured[f"batch sizes {arm}"]["sizes"]] == [50, 100]
        assert measured[f"whole training {arm}"]["steps"] == 2
    # Products with the weights: forward and for two gradients, of the input for one.
    assert measured["work original"]["flop"] == 2 * 100 * (3 * (200 * 16 + 16 * 8) - 200 * 16)
    parameters = 200 * 16 + 2 * 16 + 16 * 8 + 8
    assert measured["work original"]["bytes"] == 4 * (9 * parameters + 4 * 100 * 200)


def test_aims_are_met_missed_or_not_measured():
    speed = {"bytes_per_second": 1e12, "flop_per_second": {"bfloat16": 1e14}}
    steps = {"step_seconds": 2e-3, "mixtures_per_second": 62500.0, "drawing_share": 0.3, "reserved_gb": 8.0}
    known = {"speed": speed, "work original": {"flop": 1e10, "bytes": 1e9, "precision": "bfloat16"}}
    found = {aim["quantity"]: aim for aim in aims({**known, "steps original": steps})}
    assert floor_seconds(known, "original") == pytest.approx(1e-3)
    assert floor_seconds({**known, "speed": {**speed, "bytes_per_second": 1e14}}, "original") == pytest.approx(1e-4)
    assert found["original: step / its floor"]["measured"] == pytest.approx(2)
    outcomes = {quantity: aim["outcome"] for quantity, aim in found.items()}
    assert outcomes == {
        "original: step / its floor": "met",
        "original: step, ms": "missed",
        "original: 150,000 mixtures after the warm-up, s": "met",
        "original: drawing / step": "missed",
        "sparse: 50,000 mixtures after the warm-up, s": "not measured",
        "original: validation / epoch": "not measured",
        "sparse: validation / epoch": "not measured",
        "original: GPU memory, GB": "met",
        "sparse: GPU memory, GB": "not measured",
    }


def test_the_page_shows_checks_aims_and_figures(finished, content):
    shown = (finished[1] / "gpu.html").read_text()
    assert shown == page(content)
    assert "Dry run on a CPU" in shown and "://" not in shown
    assert shown.count('src="data:image/png') == 2
    for name in [*content["checks"], *content["parts"]]:
        assert name in shown
    outcomes = Counter(aim["outcome"] for aim in content["aims"])
    assert f"{outcomes['met']} of {len(content['aims'])} aims met" in shown
    # On a GPU it is no dry run, and waits are listed by place.
    waits = {"per_step": 2.0, "places": {"nnls.py:7 solve": 2.0}}
    content["mode"], content["machine"]["gpu"] = "GPU", "Some GPU"
    content["measured"]["waits sparse"] = waits
    content["measured"]["batch sizes sparse"]["sizes"][1] |= {"mixtures_per_second": None, "failure": "out of memory"}
    shown = page(content)
    assert "Dry run" not in shown and "<td>nnls.py:7 solve</td><td>2</td>" in shown and "out of memory" in shown


@pytest.mark.slow
def test_two_ranks_train_as_one(room):
    found = gpu_processes.ranks(room, "original")
    assert found.findings["original: two ranks"].figure < 1e-5, found
    assert found.findings["original: NCCL"].outcome == "not measured"
    # The steps are enough for the loss to show what half of the batch would have done.
    short = {"epochs": 1, "mixtures_per_epoch": 400}
    half = room.trainer("original", room.few, **short)
    for step in range(4):
        half.train_step(step, half.batches.batch(step, slice(0, 50)))
    loss = Validation(half.model, room.mixtures(room.few)).values()["val/total_loss"]
    assert abs(loss / found.figures["alone"] - 1) > 1e-3


def test_a_page_of_nothing_yet(content):
    content["measured"], content["aims"] = {}, aims({})
    assert "0 of 9 aims met" in page(content)


def test_a_part_that_fails_is_recorded_and_makes_the_exit_code_1(config, patched, tmp_path):
    def fail(_):
        raise RuntimeError("no such kernel")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu_checks, "reads", fail)
        few = gpu_run.parts
        patch.setattr(gpu_run, "parts", lambda room: few(room)[:2])
        assert gpu_run.run_on_gpu(config, tmp_path, "cpu", 600) == 1
    content = json.loads((tmp_path / "gpu.json").read_text())
    assert content["parts"]["reads"]["outcome"] == "failed"
    assert content["checks"]["reads: values"]["note"] == "RuntimeError: no such kernel"
    assert content["parts"]["speed"]["outcome"] == "done"
    assert '<td class="wrong">failed</td>' in (tmp_path / "gpu.html").read_text()


def test_without_time_nothing_is_measured_and_all_is_written(config, patched, tmp_path):
    assert gpu_run.run_on_gpu(config, tmp_path, "cpu", 0.1) == 0
    content = json.loads((tmp_path / "gpu.json").read_text())
    assert {part["outcome"] for part in content["parts"].values()} == {"not measured"}
    assert content["measured"] == {}
    assert "0 of 9 aims met" in (tmp_path / "gpu.html").read_text()


def test_without_a_gpu_there_is_a_message(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"--gpu: torch \S+ finds no GPU here"):
        gpu_run.run_on_gpu(None, tmp_path, "auto", 300)


def test_counts_of_another_distribution_are_noticed(room, monkeypatch):
    def twice_the_variance(weights, fractions, depth, coverage, seeds):
        rng = np.random.default_rng(1)
        counts = [rng.negative_binomial(d / 2, 0.5, (1, len(coverage))) for d in depth for _ in range(2)]
        first, second = (torch.from_numpy(np.concatenate(counts[k::2])).float() for k in range(2))
        return first / (first + second), first + second

    monkeypatch.setattr(gpu_checks, "draw_mixtures", twice_the_variance)
    rows = list(gpu_checks._counts(room, 31.0))
    assert all(row["variance_ratio"] == pytest.approx(2, abs=0.1) and row["deviations"] > 5 for row in rows)
    assert all(row["mean_ratio"] == pytest.approx(1, abs=0.02) for row in rows)


def test_an_optimiser_that_is_not_resumed_is_noticed(room, monkeypatch):
    monkeypatch.setattr(torch.optim.AdamW, "load_state_dict", lambda *_: None)
    assert gpu_checks.resume(room, "original").findings["original: resumed training"].outcome == "failed"


def test_waits_are_counted_where_they_are_in_the_package(monkeypatch):
    modes = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)

    def wait(error):
        warnings.warn("called a synchronizing CUDA operation (Triggered internally at x.cpp:1.)", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
        return 1, str(error)

    places = Counter()
    monkeypatch.setattr(cli, "_explained", wait)
    arguments = cli.parser("methmix.test", "Test.")
    with gpu_checks.counted_waits(places):
        for _ in range(2):
            cli.run(lambda _: 1 / 0, arguments, [])
    assert modes == ["warn", "default"]
    ((place, number),) = places.items()
    assert number == 2 and re.fullmatch(r"cli\.py:\d+ run", place)


@pytest.mark.parametrize(
    ("code", "text", "outcome"),
    [
        (1, "INFO begun\nerror: CUDA out of memory\n  lower training.batch_size\n", "passed"),
        (0, "error: CUDA out of memory\n  lower training.batch_size\n", "failed"),
        (1, "Traceback (most recent call last)\nerror: CUDA out of memory\n  lower training.batch_size\n", "failed"),
        (1, "error: OutOfMemoryError: CUDA out of memory\n", "failed"),
        (-9, "", "failed"),
    ],
)
def test_a_message_is_clear_or_not(code, text, outcome):
    assert gpu_processes._clear(code, text, (1,), "batch_size").outcome == outcome


def test_bfloat16_that_is_not_used_is_not_measured():
    assert gpu_checks._of_rounding(0.1, 0.1, 0.01).outcome == "not measured"
    assert gpu_checks._of_rounding(0.1, 0.105, 0.01).outcome == "passed"
    assert gpu_checks._of_rounding(0.1, 0.12, 0.01).outcome == "failed"


def test_time_for_whole_trainings_must_be_left(room):
    room.pace["original"] = 1e6, 1.0
    with pytest.raises(NotMeasuredError, match="it takes about"):
        whole(room, "original")
