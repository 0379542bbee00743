"""A training that starts with the weights of an earlier phase."""

import json
import logging
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from experiments import ROOT, tiny_arm, tiny_experiment, tiny_mixtures, tiny_reference

from methmix.errors import InputError
from methmix.training.__main__ import main
from methmix.training.checkpoint import load_checkpoint, save_checkpoint
from methmix.training.loop import Trainer
from methmix.training.warm_start import read_start

pytestmark = pytest.mark.usefixtures("short_calibration")

ARMS = ["original", "sparse", "sparse on the reference"]
CPU = torch.device("cpu")


def arm_of(name, phase, **overrides):
    if name == "sparse on the reference":
        name, overrides = "sparse", {"model.backbone": "reference", **overrides}
    return tiny_arm(name, phase, **{"training.epochs": 2, **overrides})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    reference, folder = tiny_reference(), tmp_path_factory.mktemp("mixtures")
    return reference, {phase: tiny_mixtures(reference, "validation", folder, phase) for phase in ("phase2", "phase3")}


@pytest.fixture(scope="module")
def starts(data, tmp_path_factory):
    """Give the finished phase 2 of each arm."""
    folder, found = tmp_path_factory.mktemp("starts"), {}
    for name in ARMS:
        run = Trainer(arm_of(name, "phase2"), tiny_experiment(), data[0], data[1]["phase2"], folder / name, CPU)
        assert run.run() == 0
        found[name] = run.best_checkpoint
    return found


@pytest.fixture
def trainer(data, starts, tmp_path):
    def make(name="sparse", folder=tmp_path / "run", start=None, **overrides):
        arm = arm_of(name, "phase3", **overrides)
        warm = read_start(start or starts[name], arm, data[0])
        return Trainer(arm, tiny_experiment(), data[0], data[1]["phase3"], folder, CPU, start=warm)

    return make


def assert_equal_weights(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def stop_after(run, n_steps, monkeypatch):
    step = run.train_step

    def stop(number, *rest):
        step(number, *rest)
        if number + 1 == n_steps:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(run, "train_step", stop)


@pytest.mark.parametrize("name", ARMS)
def test_the_first_step_meets_exactly_those_weights(trainer, starts, monkeypatch, name):
    run, met = trainer(name), {}

    def look(number, *_):
        met.update({key: tensor.clone() for key, tensor in run.model.state_dict().items()})
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(run, "train_step", look)
    assert run.run() == 143
    start = load_checkpoint(starts[name]).model
    if name == "sparse on the reference":
        # It goes on from what phase 2 has learnt, not from what was then fitted to the mixtures of phase 2.
        assert start.pop("head.readout.change").any() and not met.pop("head.readout.change").any()
    assert_equal_weights(met, start)
    # Calibrated on mixtures of phase 2: a buffer like any other.
    if name == "sparse on the reference":
        assert torch.isfinite(met["head.intervals.outside"]).any()


@pytest.mark.parametrize("name", ARMS)
def test_interrupted_and_resumed_it_ends_with_the_same_weights(trainer, tmp_path, monkeypatch, name):
    whole = trainer(name, tmp_path / "whole")
    assert whole.run() == 0
    first = trainer(name, tmp_path / "parts")
    stop_after(first, 3, monkeypatch)
    assert first.run() == 143
    second = trainer(name, tmp_path / "parts")
    assert second.run() == 0
    for of in ("last_checkpoint", "best_checkpoint"):
        both = [load_checkpoint(getattr(run, of)) for run in (whole, second)]
        assert_equal_weights(both[0].model, both[1].model)
    assert both[0].record["warm_start"] == both[1].record["warm_start"]


def test_the_record_says_where_it_started(trainer, starts, caplog):
    run = trainer()
    with caplog.at_level(logging.INFO, logger="methmix"):
        run.run()
    assert f"starting with the weights of {starts['sparse']}" in caplog.text
    told = json.loads((run.folder / "logs" / "training_record.json").read_text())["record"]["warm_start"]
    assert told["checkpoint"] == str(starts["sparse"])
    assert told["weights"] == load_checkpoint(run.last_checkpoint).identity["initial weights"]


def test_other_initial_weights_are_another_training(trainer, starts, tmp_path, caplog):
    trainer().run()
    changed = load_checkpoint(starts["sparse"])
    name = next(name for name in changed.model if name.endswith("weight"))
    changed.model[name].view(-1)[0] += 1e-3
    save_checkpoint(tmp_path / "changed.pt", changed)
    second = trainer(start=tmp_path / "changed.pt")
    assert second.run() == 0
    assert "it is another training, of other initial weights" in caplog.text
    assert (tmp_path / "run.replaced-1").is_dir()


def test_a_finished_training_is_not_repeated_for_the_same_weights_elsewhere(trainer, starts, tmp_path, caplog):
    trainer().run()
    save_checkpoint(tmp_path / "copy.pt", load_checkpoint(starts["sparse"]))
    with caplog.at_level(logging.INFO, logger="methmix"):
        assert trainer(start=tmp_path / "copy.pt").run() == 0
    assert "finished already" in caplog.text


@pytest.mark.parametrize(
    ("start", "overrides", "message"),
    [
        ("original", {}, "is a checkpoint of arm original, expected sparse"),
        ("sparse", {"training.warm_start": "phase1"}, "is a checkpoint of phase phase2, expected phase1"),
        ("sparse", {"model.hidden_sizes": [32, 16]}, r"model.hidden_sizes \[32, 32\] there, \[32, 16\] here"),
        ("sparse on the reference", {}, "another model: model.backbone reference there, mlp here"),
    ],
)
def test_another_arm_phase_or_model_is_refused(trainer, starts, start, overrides, message):
    with pytest.raises(InputError, match=message):
        trainer(start=starts[start], **overrides)


def test_another_reference_is_refused(data, starts):
    reference, arm = data[0], arm_of("sparse", "phase3")
    fewer = replace(
        reference,
        methylated=np.asarray(reference.methylated)[:, 1:],
        depth=np.asarray(reference.depth)[:, 1:],
        regions=reference.regions.iloc[1:],
    )
    with pytest.raises(InputError, match="another region set than the reference"):
        read_start(starts["sparse"], arm, fewer)
    # A fold of the same donors: the test donors of one are training donors of the other.
    split = ["train" if name == "test" else "test" if name == "train" else name for name in reference.split]
    with pytest.raises(InputError, match="was trained on other donors, or on another split of them"):
        read_start(starts["sparse"], arm, replace(reference, split=split))


def test_a_start_that_is_not_there_or_not_finished(data, starts, tmp_path):
    reference, arm = data[0], arm_of("sparse", "phase3")
    with pytest.raises(InputError, match="no such checkpoint") as caught:
        read_start(tmp_path / "none.pt", arm, reference)
    assert "train the sparse arm of phase2 first" in str(caught.value)
    save_checkpoint(tmp_path / "half.pt", replace(load_checkpoint(starts["sparse"]), finished=False))
    with pytest.raises(InputError, match="that training is not finished"):
        read_start(tmp_path / "half.pt", arm, reference)


class TestCommand:
    def run(self, monkeypatch, *arguments):
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr("sys.argv", ["training", "--experiment", "config/tiny.yaml", *arguments])
        return main()

    def test_path_without_the_key(self, monkeypatch, capsys):
        assert self.run(monkeypatch, "--config", "config/phase2_sparse.yaml", "--warm-start", "a.pt") == 2
        assert "training.warm_start of config/phase2_sparse.yaml is null" in capsys.readouterr().err

    def test_dry_run_starts_without(self, monkeypatch, tmp_path):
        assert self.run(monkeypatch, "--config", "config/phase3_sparse.yaml", "--debug", "--output", str(tmp_path)) == 0
        assert load_checkpoint(tmp_path / "checkpoints" / "checkpoint_best.pt").record["warm_start"] == {}
