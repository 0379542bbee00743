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
# The whole of a comparison, which takes a minute, is left to a long run.
_LONG = 100
_WORKFLOW = "workflow"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Distribute the kills over the stages, and over their aims."""
    if "kill" in metafunc.fixturenames:
        kills, names = metafunc.config.getoption("kills"), [stage.name for stage in STAGES] + [_WORKFLOW]
        each = [(names[number % len(names)], number // len(names)) for number in range(kills)]
        metafunc.parametrize("kill", sorted(each), ids=lambda kill: f"{kill[0]}-{kill[1]}")


def whole_workflow(config: pytest.Config) -> tuple[str, ...]:
    """Give the command of the workflow."""
    files = ("sparse/evaluation/metrics.json", "nnls/evaluation/metrics.json")
    target = ["compare_phase2"] if config.getoption("kills") >= _LONG else [f"{RUN}/phase2/{file}" for file in files]
    return ("snakemake", *target, "--configfile", "config/small.yaml", "--cores", "1")


@pytest.fixture(scope="module")
def undisturbed(
    inputs: Path, run: Callable[..., str], tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Callable[[str], tuple[dict[str, bytes], float]]:
    """Give what a stage writes when it is not disturbed, and the seconds that it takes; each is run once."""
    known: dict[str, tuple[dict[str, bytes], float]] = {}

    def of(name: str) -> tuple[dict[str, bytes], float]:
        if name not in known:
            folder = make(name, inputs, tmp_path_factory.mktemp("undisturbed") / name)
            began = time.monotonic()
            run(folder, *command(name, pytestconfig))
            seconds = time.monotonic() - began
            known[name] = content(folder / output(name)), seconds
        return known[name]

    return of


def make(name: str, inputs: Path, folder: Path) -> Path:
    if name != _WORKFLOW:
        return beside(inputs, folder)
    folder.mkdir()
    checkout(folder)
    return folder


def command(name: str, config: pytest.Config) -> tuple[str, ...]:
    return whole_workflow(config) if name == _WORKFLOW else next(stage.argv for stage in STAGES if stage.name == name)


def output(name: str) -> str:
    return "results" if name == _WORKFLOW else "out"


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
    pytestconfig: pytest.Config,
) -> None:
    name, number = kill
    expected, seconds = undisturbed(name)
    rng = random.Random(f"{_SEED} {name} {number}")
    argv, folder = command(name, pytestconfig), make(name, inputs, tmp_path / name)
    where = folder / output(name)
    strike(server.start(folder, *argv, log=tmp_path / "killed.txt"), _AIMS[number % 2], seconds, where, rng)
    # What has its final name is whole; a training goes on from states that it had in between.
    left = content(where) if where.exists() else {}
    whole = {path: made for path, made in left.items() if not path.endswith(".part") and "training" not in name}
    if name != _WORKFLOW:
        assert not differences(whole, {path: expected[path] for path in whole})
    said = run(folder, *argv)
    assert "Error" not in said and "error:" not in said
    assert [*where.rglob("*.part")] == []
    assert not [*folder.glob(".snakemake/locks/*")] and not [*where.rglob("training.lock")]
    assert differences(content(where), expected) == []
