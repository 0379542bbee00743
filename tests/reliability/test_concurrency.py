"""Two commands at once: the second is refused in words, or both are right."""

import json
import os
import signal
import time
from collections.abc import Callable

import pytest
from compared import content, differences
from small_stages import RUN, STAGES, beside, checkout

pytestmark = pytest.mark.slow

BY_NAME = {stage.name: stage for stage in STAGES}
_SNAKEMAKE = (
    "snakemake",
    f"{RUN}/mixtures/phase2_test_mixtures.h5",
    "--configfile",
    "config/small.yaml",
    "--cores",
    "1",
)


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_second_training_of_an_arm_is_refused_and_the_first_one_is_right(server, inputs, run, tmp_path):
    folder, argv = beside(inputs, tmp_path / "it"), BY_NAME["training"].argv
    first = server.start(folder, *argv, log=tmp_path / "first.txt")
    until((folder / "out/run/training.lock").exists)
    owner = json.loads((folder / "out/run/training.lock").read_text())["process"]
    # Held as long as the second one waits for it.
    os.kill(owner, signal.SIGSTOP)
    second = server.start(folder, *argv, log=tmp_path / "second.txt")
    code = second.wait()
    os.kill(owner, signal.SIGCONT)
    said = (tmp_path / "second.txt").read_text()
    assert code == 1 and f"another process trains here (host {os.uname().nodename}, process {owner}" in said
    assert first.wait() == 0, (tmp_path / "first.txt").read_text()
    alone = beside(inputs, tmp_path / "alone")
    run(alone, *argv)
    assert differences(content(folder / "out"), content(alone / "out")) == []


@pytest.mark.parametrize("name", ["reference", "mixtures"])
def test_the_same_command_twice_at_once(name, server, inputs, run, tmp_path):
    """Both write the same, each under a name of its own until it is whole."""
    folder, argv = beside(inputs, tmp_path / "it"), BY_NAME[name].argv
    both = [server.start(folder, *argv, log=tmp_path / f"{number}.txt") for number in range(2)]
    assert [running.wait() for running in both] == [0, 0]
    alone = beside(inputs, tmp_path / "alone")
    run(alone, *argv)
    assert differences(content(folder / "out"), content(alone / "out")) == []
    assert not [*(folder / "out").rglob(".*.part")]


def test_a_prediction_during_a_training_is_by_a_whole_checkpoint(server, inputs, run, tmp_path):
    folder, argv = beside(inputs, tmp_path / "it"), BY_NAME["training"].argv
    training = server.start(folder, *argv, log=tmp_path / "training.txt")
    best = folder / "out/run/checkpoints/checkpoint_best.pt"
    until(best.exists)
    predict = [
        str(best.relative_to(folder)) if "checkpoint_best" in word else word for word in BY_NAME["prediction"].argv
    ]
    for number in range(2):
        table = f"during_{number}.csv"
        run(folder, *predict[:-1], table)
        proportions = [line.split(",")[2] for line in (folder / table).read_text().splitlines()[1:]]
        assert sum(map(float, proportions)) == pytest.approx(16, abs=1e-4)
    assert training.wait() == 0


def locked(folder):
    """Whether a Snakemake has written its last lock, that of its outputs."""
    return any(path.stat().st_size for path in folder.glob(".snakemake/locks/*.output.lock"))


def test_of_two_heads_in_a_folder_the_second_is_refused(server, run, tmp_path):
    checkout(folder := tmp_path)
    first = server.start(folder, *_SNAKEMAKE, log=tmp_path / "first.txt")
    until(lambda: locked(folder))
    os.kill(first.group, signal.SIGSTOP)
    said = run(folder, *_SNAKEMAKE, code=1)
    os.kill(first.group, signal.SIGCONT)
    assert f"another Snakemake runs in this folder (host {os.uname().nodename}, process {first.group}" in said
    assert f"kill {first.group}" in said and "Directory cannot be locked" in said
    assert first.wait() == 0
    # Nothing is left of either.
    assert "another Snakemake" not in run(folder, *_SNAKEMAKE)
    assert not [*folder.glob(".snakemake/locks/*")] and not [*folder.glob(".snakemake/runs/*")]


def test_the_lock_of_a_head_that_was_killed_is_taken_over(server, run, tmp_path):
    checkout(folder := tmp_path)
    first = server.start(folder, *_SNAKEMAKE, log=tmp_path / "first.txt")
    until(lambda: locked(folder))
    first.kill()
    assert [*folder.glob(".snakemake/locks/*.lock")]
    said = run(folder, *_SNAKEMAKE)
    assert f"the lock of a Snakemake that was killed (host {os.uname().nodename}, process {first.group}" in said
    assert "is taken over" in said
