"""The same seed, machine and number of threads: the same bytes, checkpoints included; other threads: nearly so."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from experiments import tiny_arm, tiny_experiment, tiny_reference, undrawn, validation_of

from methmix.models.prediction import predict
from methmix.training.checkpoint import load_checkpoint, load_model
from methmix.training.loop import Trainer

pytestmark = pytest.mark.slow

# Sums are taken in another order. What is called, and with which proportion, differs in the last digits; the end of an
# interval is a quantile over calibration mixtures, which may fall on the next one.
_PROPORTIONS, _INTERVALS = 1e-5, 2e-3
ARMS = {
    "original": tiny_arm("original", "phase3", **{"training.warm_start": None}),
    "sparse": tiny_arm("sparse", "phase3", **{"training.warm_start": None, "model.backbone": "reference"}),
}


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Train in a folder of its own, in which it is called ``run``; may be stopped after a step and started again."""
    reference = tiny_reference()
    validation = validation_of(reference, 60)

    def trained(arm: str, n_threads: int = 1, stop_after: int | None = None) -> Path:
        folder, before = tmp_path_factory.mktemp(arm), Path.cwd()
        os.chdir(folder)
        torch.set_num_threads(n_threads)
        try:
            for last in dict.fromkeys((stop_after, None)):
                trainer = Trainer(ARMS[arm], tiny_experiment(), reference, validation, Path("run"), torch.device("cpu"))
                if last is not None:
                    stop_at(trainer, last)
                with undrawn():
                    trainer.run()
        finally:
            os.chdir(before)
        return folder / "run/checkpoints"

    return trained


def stop_at(trainer: Trainer, last: int) -> None:
    step = trainer.train_step

    def stopping(number: int, batch: object) -> None:
        step(number, batch)
        if number == last:
            os.kill(os.getpid(), signal.SIGTERM)

    trainer.train_step = stopping


@pytest.fixture(scope="module")
def whole(train: Callable[..., Path]) -> dict[str, Path]:
    return {arm: train(arm) for arm in ARMS}


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("stop_after", [None, 5])
def test_checkpoints_have_the_same_bytes(arm, stop_after, whole, train):
    other = train(arm, stop_after=stop_after)
    for name in ("checkpoint_best.pt", "checkpoint_last.pt"):
        assert (whole[arm] / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize("arm", ARMS)
def test_times_and_machines_stand_beside_the_checkpoints(arm, whole, tmp_path):
    names = {"train_seconds", "host"}
    stored = torch.load(whole[arm] / "checkpoint_last.pt", weights_only=True)
    rows = [stored["best"], *stored["history"]]
    assert not names & stored["record"].keys() and not any({"seconds", "node"} & row.keys() for row in rows)
    read = load_checkpoint(whole[arm] / "checkpoint_last.pt")
    assert read.record["train_seconds"] > 0 and read.record["host"] and read.history[-1]["seconds"] > 0
    # A checkpoint alone is a model all the same.
    alone = tmp_path / "model.pt"
    alone.write_bytes((whole[arm] / "checkpoint_best.pt").read_bytes())
    assert not names & load_model(alone)[1].record.keys()


@pytest.mark.parametrize("arm", ARMS)
def test_two_threads_change_the_last_digits_alone(arm, whole, train):
    validation = validation_of(tiny_reference(), 60)
    found = []
    for folder in (whole[arm], train(arm, n_threads=2)):
        torch.set_num_threads(1)
        model, _ = load_model(folder / "checkpoint_best.pt")
        found.append(predict(model, validation.methylation, validation.depth))
    one, two = found
    np.testing.assert_allclose(one.proportions, two.proportions, atol=_PROPORTIONS)
    if one.presence_probability is not None:
        np.testing.assert_allclose(one.presence_probability, two.presence_probability, atol=_PROPORTIONS)
        for name in ("low", "high"):
            np.testing.assert_allclose(getattr(one, name), getattr(two, name), atol=_INTERVALS)
