"""Several processes that train one model."""

import os
import subprocess
import sys

import pytest
from experiments import ROOT, TINY, tiny_mixtures, tiny_reference

from methmix.errors import InputError
from methmix.files.reference import write_reference
from methmix.training.__main__ import main
from methmix.training.checkpoint import load_checkpoint
from methmix.training.parallel import Ranks

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short_calibration")]

MASTER = {"MASTER_ADDR": "node1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Ranks(0, 1, 0)),
        ({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", **MASTER}, Ranks(3, 4, 1)),
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": "0", **MASTER}, Ranks(1, 2, 0)),
        # A step of one task inside a job of many, as Snakemake starts one.
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "8"}, Ranks(0, 1, 0)),
    ],
)
def test_who_this_process_is(environment, expected):
    assert Ranks.of(environment) == expected


def test_tasks_that_cannot_find_each_other():
    with pytest.raises(InputError, match="MASTER_ADDR and MASTER_PORT are not set"):
        Ranks.of({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": "0"})


def test_alone_there_is_nobody_to_ask():
    ranks = Ranks()
    with ranks.joined():
        assert ranks.of_first("x") == "x" and ranks.largest(3) == 3 and ranks.summed({"a": 1.5}) == {"a": 1.5}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    reference = tiny_reference()
    write_reference(folder / "reference.h5", reference)
    tiny_mixtures(reference, "validation", folder)
    return folder


@pytest.fixture
def train(data, tmp_path, monkeypatch, capsys):
    """Train in a folder of ``tmp_path``, alone in this process or with several; gives what was reported."""
    monkeypatch.chdir(ROOT)
    for name in MASTER:
        monkeypatch.delenv(name, raising=False)

    def run(name, processes=1):
        arguments = [
            "--config=config/phase2_sparse.yaml", f"--experiment={TINY}", f"--reference={data / 'reference.h5'}",
            f"--validation={data / 'phase2_validation_mixtures.h5'}", "--set=training.epochs=4",
            "--set=training.mixtures_per_epoch=125", f"--output={tmp_path / name}", f"--processes={processes}",
        ]  # fmt: skip
        if processes == 1:
            monkeypatch.setattr("sys.argv", ["training", *arguments])
            assert main() == 0
            return capsys.readouterr().err
        command = [sys.executable, "-m", "methmix.training", *arguments]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
        return done.stderr

    return run


def test_two_processes_train_as_one_and_one_can_resume_them(train, tmp_path):
    """The same mixtures, of which each process takes its rows: 125 do not divide by two.

    A few steps: the gate of an untrained model, a threshold, would let rounding grow.
    """
    assert train("one").count("epoch 4 of 4") == 1
    assert train("two", processes=2).count("epoch 4 of 4") == 1
    one, two = (load_checkpoint(tmp_path / name / "checkpoints/checkpoint_last.pt") for name in ("one", "two"))
    assert (one.record["n_ranks"], two.record["n_ranks"]) == (1, 2)
    assert one.identity == two.identity
    for mine, other in zip(one.history, two.history, strict=True):
        for name, value in mine.items():
            if "/" in name:
                assert other[name] == pytest.approx(value, rel=2e-3, abs=1e-6), name
    assert not (tmp_path / "two/training.lock").exists()
    # One process can resume from the state of two.
    (tmp_path / "two/logs/training_record.json").unlink()
    assert "finished already" in train("two")
