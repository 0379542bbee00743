"""Several processes that train one model."""

import os
import subprocess
import sys

import pytest
from experiments import ROOT, TINY, tiny_mixtures, tiny_reference

from methmix.errors import InputError
from methmix.files.reference import write_reference
from methmix.training.checkpoint import load_checkpoint
from methmix.training.parallel import Ranks

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


def command(data, output, *options):
    return [
        sys.executable, "-m", "methmix.training", "--config=config/phase2_sparse.yaml", f"--experiment={TINY}",
        f"--reference={data / 'reference.h5'}", f"--validation={data / 'phase2_validation_mixtures.h5'}",
        "--set=training.epochs=4", "--set=training.mixtures_per_epoch=125", f"--output={output}", *options,
    ]  # fmt: skip


def start(data, output, *options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "", "MASTER_PORT": ""}
    return subprocess.run(
        command(data, output, *options), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )


def test_two_processes_train_as_one_and_one_can_resume_them(data, tmp_path):
    """The same mixtures, of which each process takes its rows: 125 do not divide by two.

    A few steps: the gate of an untrained model, a threshold, would let rounding grow.
    """
    for name, processes in (("one", "1"), ("two", "2")):
        done = start(data, tmp_path / name, f"--processes={processes}")
        assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 4 of 4") == 1
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
    assert "finished already" in start(data, tmp_path / "two").stderr
