"""The cluster of the tests as a user sees it, and as fate does: nodes come and go."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from methmix.training.checkpoint import load_checkpoint

SCRIPT = Path(__file__).with_name("cluster.sh")
# Seconds after which what a test waits for is taken not to come; a busy machine may take minutes for it.
PATIENCE = 900
Found = TypeVar("Found")

# Trainings of many short epochs, without early stopping: of a few seconds, and of some more.
SHORT = (
    "--experiment=config/tiny.yaml",
    "--set=model.backbone=mlp",
    "--set=training.epochs=60",
    "--set=training.early_stopping_patience=1000",
)
LONG = (*SHORT, "--set=training.epochs=150")
ENDLESS = (*SHORT, "--set=training.epochs=20000")


class Cluster:
    """Submit, look, cancel.

    Parameters
    ----------
    folder
        Where the cluster writes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "METHMIX_ALLOW_CPU": "1",
            "OMP_NUM_THREADS": "1",
        }

    def run(self, *command: str, folder: Path | None = None, **environment: str) -> str:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def sbatch(self, folder: Path, *arguments: str, **environment: str) -> str:
        """Submit a script from a folder; give the job's number."""
        return self.run("sbatch", "--parsable", *arguments, folder=folder, **environment)

    def told(self, job: str) -> dict[str, str]:
        """Give what SLURM tells of a job."""
        return dict(re.findall(r"(\S+?)=(\S*)", self.run("scontrol", "show", "job", job, "--oneliner")))

    def wait(self, job: str, *states: str) -> dict[str, str]:
        """Wait until a job is in one of the states; give what SLURM tells of it."""

        def there() -> dict[str, str] | None:
            told = self.told(job)
            return told if told["JobState"] in states else None

        return until(there, f"job {job} {' or '.join(states)}", lambda: self.told(job)["JobState"])

    def act(self, action: str, *arguments: str) -> None:
        """Call the cluster script: lose a node, and so on."""
        subprocess.run(["bash", SCRIPT, action, self.folder, *arguments], check=True, timeout=300)


def until(condition: Callable[[], Found | None], what: str, instead: Callable[[], object] = lambda: "") -> Found:
    """Wait for something, looking twice a second; give what the condition gave."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.5)
    raise AssertionError(f"not within {PATIENCE} s: {what}; {instead()}")


def epochs(run: Path) -> int:
    """Count the epochs in the log of a training."""
    log = run / "logs" / "training_log.csv"
    return len(log.read_text().splitlines()) - 1 if log.is_file() else 0


def under_way(run: Path) -> None:
    """Wait until a training has done some epochs."""
    until(lambda: epochs(run) >= 3, f"three epochs in {run}")


def stops(run: Path) -> list[tuple[int, int]]:
    """Read at which step each start of a training was stopped, and from which the next one went on."""
    text = (run / "logs" / "training.txt").read_text()
    stopped, resumed = (
        [int(step) for step in re.findall(pattern, text)]
        for pattern in (r"stopped at step (\d+)", r"resuming from \S+ at step (\d+)")
    )
    return list(zip(stopped, resumed, strict=True))


def assert_nothing_was_repeated(run: Path) -> None:
    """Check that a training was stopped at least once, and went on each time from the step where it had stopped."""
    found = stops(run)
    assert found and all(stopped == resumed > 0 for stopped, resumed in found), found


def record(run: Path) -> dict[str, object]:
    return json.loads((run / "logs" / "training_record.json").read_text())["record"]


def assert_same_training(run: Path, other: Path) -> None:
    """Check that two trainings ended with the same weights, bit by bit, and went the same way."""
    for name in ("checkpoint_best.pt", "checkpoint_last.pt"):
        first, second = (load_checkpoint(folder / "checkpoints" / name) for folder in (run, other))
        assert first.model.keys() == second.model.keys()
        for key, value in first.model.items():
            assert torch.equal(value, second.model[key]), key
        assert first.best["epoch"] == second.best["epoch"]
        assert [row["val/mae"] for row in first.history] == [row["val/mae"] for row in second.history]


TINY = ("--configfile", "config/tiny.yaml")


def snakemake(cluster: Cluster, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--profile", "slurm", *arguments, *TINY],
        cwd=folder,
        env={**cluster.environment, **environment},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )


def jobs(output: str) -> dict[str, str]:
    """Read which log each submitted SLURM job has: number -> path."""
    return dict(re.findall(r"submitted with SLURM jobid (\d+) \(log: (.+?)\)", output))
