"""Files of strangers, and no network: commands start nothing, and write only where they are told to."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from experiments import PHASE3, ROOT, counts_table, tiny_reference

from methmix import seeds
from methmix.mixtures.sampler import MixtureSampler

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

# Runs a module and writes down what it opens for writing, starts, and asks the network for.
WATCHED = """
import json, os, runpy, sys
record = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if isinstance(path, int) or not flags & (os.O_WRONLY | os.O_RDWR):
            return
        what = os.path.abspath(os.fsdecode(path))
    elif event.split(".")[0] in ("socket", "subprocess", "ftplib", "urllib") or event in ("os.system", "os.exec"):
        what = repr(arguments)
    else:
        return
    os.write(record, json.dumps([event, what]).encode() + b"\\n")
sys.addaudithook(watch)
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
# Of git, for the commit that a record names.
STARTED = ("git",)


def watched(record: Path, module: str, *arguments: object) -> list[tuple[str, str]]:
    """Run a command; gives what it did beyond reading."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", WATCHED, record, module, *arguments]
    done = subprocess.run([*map(str, command)], cwd=record.parent, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in record.read_text().splitlines()]


def outside(events: list[tuple[str, str]], *folders: Path) -> list[tuple[str, str]]:
    """Leave out what is written below the folders, and caches of code."""
    caches = ("__pycache__", "matplotlib", "/dev/null")
    found = []
    for event, what in events:
        if event == "open" and (any(Path(what).is_relative_to(f) for f in folders) or any(c in what for c in caches)):
            continue
        if event == "subprocess.Popen" and what.startswith(tuple(f"('{name}'" for name in STARTED)):
            continue
        found.append((event, what))
    return found


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """A sheet whose names are paths and commands, beside its counts."""
    folder, reference = tmp_path_factory.mktemp("stranger"), tiny_reference()
    batch = MixtureSampler(reference, "test", PHASE3, [60]).sample(4, seeds.generator(6, "strange samples"))
    counts_table(reference, batch, folder / "counts.tsv")
    names = ("../../escaped", "/tmp/escaped", "$(touch escaped)", "~/escaped")
    rows = "".join(f"{name}\tcounts.tsv\t{name}\tS{row}\n" for row, name in enumerate(names))
    (folder / "sheet.tsv").write_text("sample\tfile\tpatient\tname_in_file\n" + rows)
    return folder


def test_a_prediction_writes_beside_its_table_and_starts_nothing(samples, tiny_checkpoint):
    output = samples / "out"
    given = ("--checkpoint", tiny_checkpoint, "--sheet", "sheet.tsv", "--output", output / "predictions.csv")
    events = watched(samples / "events", "methmix.prediction", *given)
    assert any(event == "open" and Path(what).is_relative_to(output) for event, what in events)
    assert outside(events, output) == []
    assert len([*(output / "predictions_patients").glob("*.html")]) == 4
    assert not [path for top in (samples.parent, Path("/tmp")) for path in top.glob("escaped*")]


def test_a_training_writes_into_its_folder_and_starts_nothing(tmp_path):
    run = tmp_path / "run"
    given = ("--config", ROOT / "config/phase2_sparse.yaml", "--debug", "--output", run)
    assert outside(watched(tmp_path / "events", "methmix.training", *given), run) == []


@pytest.fixture(scope="module")
def alone() -> list[str]:
    """Give the start of a command line that runs something where there is no network, not even loopback."""
    command = [shutil.which("unshare") or "unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("may not make a network namespace (unshare --net)")
    ask = [sys.executable, "-c", "import socket; socket.create_connection(('127.0.0.1', 9), 1)"]
    done = subprocess.run([*command, *ask], capture_output=True, text=True)
    assert "Network is unreachable" in done.stderr
    return command


def test_nothing_needs_a_network(alone, samples, tiny_checkpoint, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    training = ["methmix.training", "--config", ROOT / "config/phase2_sparse.yaml", "--debug", "--output", tmp_path]
    given = ["--checkpoint", tiny_checkpoint, "--sheet", "sheet.tsv", "--output", tmp_path / "predictions.csv"]
    for command in (training, ["methmix.prediction", *given]):
        line = [*alone, sys.executable, "-m", *map(str, command)]
        done = subprocess.run(line, cwd=samples, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    # The one command that asks says so.
    line = [*alone, sys.executable, "-m", "methmix.reference", "download", "--output", str(tmp_path / "data")]
    done = subprocess.run(line, cwd=samples, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and "check the network" in done.stderr and "Traceback" not in done.stderr
