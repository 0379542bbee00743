"""What can be seen of running and failed steps without asking anybody to write: processes, SLURM, locks and logs."""

import contextlib
import csv
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import psutil
import yaml

from methmix.cli import FINISHED
from methmix.config.yaml_files import parse

# Of what a step writes, as options of its command.
_OUTPUTS = ("--output", "--folder")
# So many bytes at the end of a log are read, and lines of these are shown.
_TAIL_BYTES, _TAIL_LINES = 4000, 6
# Logs of Snakemake that are searched for failures, the newest first, and what stands in those of looks at the status.
_SNAKEMAKE_LOGS = 5
_LOOK = "\nlocalrule status:\n"
_SQUEUE_SECONDS = 10


@dataclass(frozen=True)
class SlurmState:
    """A job in the queue: its id, its state in SLURM's words, and the node it is on, if any."""

    id: str
    state: str
    node: str


@dataclass(frozen=True)
class Log:
    """The end of a log: its last lines, when they were written (seconds since the epoch), and how they end."""

    path: Path
    written: float
    lines: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether it ends with the message of an error."""
        return any(line.startswith(("error: ", "Traceback ")) for line in self.lines[-_TAIL_LINES:])

    @property
    def finished(self) -> bool:
        """Whether its command has ended well."""
        return bool(self.lines) and f" INFO {FINISHED} in " in self.lines[-1]

    @property
    def stopped(self) -> str:
        """How a training was stopped by a signal, "" if it was not."""
        found = [re.search(r"SIG\w+: stopped at step \d+ of \d+", line) for line in self.lines[-2:]]
        return next((match[0] for match in reversed(found) if match), "")

    @property
    def tail(self) -> list[str]:
        """The last lines; of an error its message."""
        starts = [number for number, line in enumerate(self.lines) if line.startswith("error: ")]
        return self.lines[starts[-1] :][:_TAIL_LINES] if starts else self.lines[-_TAIL_LINES:]


def newest_log(*paths: Path) -> Log | None:
    """Read the end of the log that was written last, None if there is none."""
    found = [(path.stat().st_mtime, path) for path in paths if path.is_file()]
    if not found:
        return None
    written, path = max(found)
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        text = file.read().decode(errors="replace")
    # A bar on a terminal overwrites its line.
    lines = [line.rpartition("\r")[2].rstrip() for line in text.split("\n")]
    return Log(path, written, [line for line in lines if line])


@dataclass(frozen=True)
class Seen:
    """What is seen in one look from this host; ``root`` is the folder that has ``results`` and ``logs`` in it."""

    root: Path

    @cached_property
    def processes(self) -> dict[tuple[str, Path], int]:
        """Numbers of the processes on this host that run a stage, by the stage and what it writes."""
        found = {}
        for process in psutil.process_iter(["cmdline"]):
            for stage, output in _stage_and_output(process.info["cmdline"] or []):
                # Another user's, or one that has just ended.
                with contextlib.suppress(psutil.Error):
                    found[stage, Path(process.cwd(), output).resolve()] = process.pid
        return found

    @cached_property
    def jobs(self) -> dict[str, SlurmState]:
        """Jobs in SLURM's queue that were submitted in the root, by their comment; empty without SLURM."""
        command = ["squeue", "--noheader", "--me", "--format=%i|%T|%N|%Z|%k"]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=_SQUEUE_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            return {}
        rows = [line.split("|", 4) for line in answer.stdout.splitlines()]
        here = self.root.resolve()
        return {row[4]: SlurmState(*row[:3]) for row in rows if len(row) == 5 and Path(row[3]).resolve() == here}

    @cached_property
    def failures(self) -> dict[Path, float]:
        """Logs of the jobs that Snakemake has found to have failed, and when (seconds since the epoch)."""
        logs = sorted(self.root.glob(".snakemake/log/*.snakemake.log"), reverse=True)
        texts = (path.read_text(errors="replace") for path in logs)
        newest = [*islice((text for text in texts if _LOOK not in text), _SNAKEMAKE_LOGS)]
        return dict(failure for text in reversed(newest) for failure in _failures(text))


def _stage_and_output(command: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the stage that a command line runs and what it writes, if it is one of this package."""
    stages = [
        part.removeprefix("methmix.")
        for before, part in pairwise(command)
        if Path(before).name == "methmix" or (before == "-m" and part.startswith("methmix."))
    ]
    words = [word for part in command for word in part.split("=", 1)]
    values = [after for word, after in pairwise(words) if word in _OUTPUTS]
    yield from zip(stages[:1], values[:1], strict=False)


def _failures(text: str) -> Iterator[tuple[Path, float]]:
    """Yield the logs of failed jobs in a log of Snakemake, and the time before each message."""
    when = 0.0
    for line in text.splitlines():
        if stamp := re.fullmatch(r"\[(\w{3} \w{3} +\d+ [\d:]+ \d{4})\]", line):
            when = datetime.strptime(stamp[1], "%a %b %d %H:%M:%S %Y").timestamp()
        elif log := re.match(r"\s+log: (\S+) \(check log file", line):
            yield Path(log[1]), when


def works_elsewhere(process: int, root: Path) -> bool:
    """Whether a process of this host has another working directory: then a lock that names it is a copy."""
    try:
        return Path(psutil.Process(process).cwd()) != root.resolve()
    except psutil.Error:
        return False


def training_progress(folder: Path) -> dict[str, Any]:
    """Read how far the training in a run folder has come: epoch, step, of how many, and the seconds left at most.

    Early stopping may end it before. Empty before the end of the first epoch.
    """
    path, configuration = folder / "logs" / "training_log.csv", folder / "logs" / "config.yaml"
    try:
        with path.open(newline="") as file:
            last = list(csv.DictReader(file))[-1]
        settings = parse(configuration.read_text())["training"]
        epoch, epochs = int(last["epoch"]), int(settings["epochs"])
        steps = epochs * (int(settings["mixtures_per_epoch"]) // int(settings["batch_size"]))
        step, each = int(last["step"]), float(last["seconds"]) / int(last["step"])
        since = time.time() - path.stat().st_mtime
    except (OSError, IndexError, KeyError, TypeError, ValueError, ZeroDivisionError, yaml.YAMLError):
        return {}
    # No more than an epoch can have passed since.
    left = each * (steps - step) - min(since, each * steps / epochs)
    return {"epoch": epoch, "epochs": epochs, "step": step, "steps": steps, "seconds_left": round(max(0, left))}
