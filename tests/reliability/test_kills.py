"""Killed at any moment, a command is completed by typing it again: by itself, and with the same bytes.

``pytest tests/reliability/test_kills.py --kills 100`` kills a hundred times; a few are left to CI.
"""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from compared import content, differences
from forked_commands import Running, Server
from small_stages import RUN, STAGES, beside, checkout

pytestmark = pytest.mark.slow

_SEED = 20261127
# What a kill is aimed at: the time that an undisturbed run takes, or the moments at which something is written.
_AIMS = ("any moment", "while writing")
# From here to there, and, in a long run, to the page: targets of Snakemake.
_WORKFLOWS = {
    "workflow": (f"{RUN}/phase2/sparse/evaluation/metrics.json", f"{RUN}/reference/reference_report.html"),
    "whole workflow": ("compare_phase2",),
}
_OF_WHOLE = 50


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Distribute the kills over the stages; of fifty, one is of the whole workflow."""
    kills, names = metafunc.config.getoption("kills"), [*(stage.name for stage in STAGES), "workflow"]
    whole = kills // _OF_WHOLE
    each = [(names[number % len(names)], number // len(names)) for number in range(kills - whole)]
    each += [("whole workflow", number) for number in range(whole)]
    metafunc.parametrize("kill", each, ids=lambda kill: f"{kill[0]}-{kill[1]}")


@pytest.fixture(scope="module")
def undisturbed(
    inputs: Path, run: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[dict[str, bytes], float]]:
    """Give what a stage writes when it is not disturbed, and the seconds that it takes; each is run once."""
    known: dict[str, tuple[dict[str, bytes], float]] = {}

    def of(name: str) -> tuple[dict[str, bytes], float]:
        if name not in known:
            folder = make(name, inputs, tmp_path_factory.mktemp("undisturbed") / "it")
            began = time.monotonic()
            run(folder, *command(name))
            seconds = time.monotonic() - began
            known[name] = content(folder / output(name)), seconds
        return known[name]

    return of


def make(name: str, inputs: Path, folder: Path) -> Path:
    if name not in _WORKFLOWS:
        return beside(inputs, folder)
    folder.mkdir()
    checkout(folder)
    return folder


def command(name: str) -> tuple[str, ...]:
    if name in _WORKFLOWS:
        return ("snakemake", *_WORKFLOWS[name], "--configfile", "config/small.yaml", "--cores", "1")
    return next(stage.argv for stage in STAGES if stage.name == name)


def output(name: str) -> str:
    return "results" if name in _WORKFLOWS else "out"


def strike(running: Running, aim: str, seconds: float, folder: Path, rng: random.Random) -> None:
    """Kill a command that takes so many seconds."""
    if aim == "any moment":
        time.sleep(rng.uniform(0, seconds))
    else:
        skipped, until = rng.randrange(4), time.monotonic() + seconds
        seen: set[str] = set()
        while len(seen) <= skipped and time.monotonic() < until:
            seen |= {path.name for path in folder.rglob(".*.part")}
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.01))
    running.kill()


def test_the_same_command_completes_it(
    kill: tuple[str, int],
    inputs: Path,
    undisturbed: Callable[[str], tuple[dict[str, bytes], float]],
    server: Server,
    run: Callable[..., str],
    tmp_path: Path,
) -> None:
    name, number = kill
    expected, seconds = undisturbed(name)
    rng = random.Random(f"{_SEED} {name} {number}")
    argv, folder = command(name), make(name, inputs, tmp_path / "it")
    where = folder / output(name)
    strike(server.start(folder, *argv, log=tmp_path / "killed.txt"), _AIMS[number % 2], seconds, where, rng)
    # What has its final name is whole; a training goes on from states that it had in between.
    left = content(where) if where.exists() else {}
    whole = {path: made for path, made in left.items() if not path.endswith(".part") and "training" not in name}
    if name not in _WORKFLOWS:
        assert not differences(whole, {path: expected[path] for path in whole})
    said = run(folder, *argv)
    assert "Error" not in said and "error:" not in said
    assert [*where.rglob("*.part")] == []
    assert not [*folder.glob(".snakemake/locks/*")] and not [*where.rglob("training.lock")]
    assert differences(content(where), expected) == []
