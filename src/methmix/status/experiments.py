"""The state of every step of experiments, and how it is printed."""

import json
import platform
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from methmix.cli import duration
from methmix.config.experiment import Experiment
from methmix.config.load import load_experiment
from methmix.errors import InputError, MethmixError
from methmix.files.owner import read_owner
from methmix.status.evidence import Log, Seen, newest_log, training_progress, works_elsewhere
from methmix.status.planned_steps import Step, found_trainings, planned_steps
from methmix.training.lock import LOCK, is_alive

State = Literal["done", "running", "queued", "stopped", "failed", "unknown", "next", "waiting"]
# States that are reported step by step; of the others, arms are listed in one row.
_SINGLE = ("running", "queued", "stopped", "failed", "unknown")
_RESULTS = Path("results")


@dataclass(frozen=True)
class StepState:
    """The state of a step and how it is known; ``facts`` are by name (job, process, host, epoch, log, ...)."""

    step: Step
    state: State
    words: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What is done, as it is shown."""
        return self.step.stage if self.step.of else self.step.rule

    @property
    def row(self) -> dict[str, Any]:
        """All of it by name, for JSON."""
        step = self.step
        head = {"target": step.target, "rule": step.rule, "phase": step.phase, "of": step.of, "state": self.state}
        return {**head, "words": self.words, "files": [*map(str, step.files)], "log": str(step.log), **self.facts}


def print_status(folders: list[Path], as_json: bool) -> None:
    """Print the state of the experiments in these folders, by default of all in ``results/``."""
    found = {folder: experiment_states(folder) for folder in folders or experiment_folders(_RESULTS)}
    if as_json:
        rows = {str(folder): [state.row for state in states] for folder, states in found.items()}
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(text(folder, states) for folder, states in found.items()))


def experiment_folders(results: Path) -> list[Path]:
    """List the folders of results that have the record of an experiment; InputError if there is none."""
    found = sorted(path.parent for path in results.glob("*/config.yaml"))
    if not found:
        raise InputError(f"{results}/: no experiment has been started here", "make compare starts one")
    return found


def experiment_states(folder: Path) -> list[StepState]:
    """Find the state of the steps of an experiment: those of its targets that were begun, or of the default one.

    ``folder`` is ``<root>/results/<name>``; InputError if it has no record of an experiment.
    """
    record, root = folder / "config.yaml", folder.parent.parent
    if not record.is_file():
        raise InputError(f"{folder}: has no config.yaml", "expected results/<name>, which the workflow makes")
    experiment = load_experiment(record)
    planned = planned_steps(experiment, root)
    steps = [*_begun(planned, root, experiment), *found_trainings(folder, planned)]
    seen = Seen(root)
    return [*(state_of(step, seen) for step in steps), *_other_failures(folder, planned + steps)]


def _begun(steps: list[Step], root: Path, experiment: Experiment) -> list[Step]:
    """Leave out the steps of targets without any file or log; if nothing was begun, show the default target."""

    def is_begun(step: Step) -> bool:
        return any((root / path).exists() for path in (step.log, step.output, *step.files))

    begun = {step.target for step in steps if is_begun(step)} - {""}
    default = next((phase for phase in ("phase2", *experiment.arms) if phase in experiment.arms), "")
    return [step for step in steps if step.target in ({""} | (begun or {default}))]


def _other_failures(folder: Path, known: list[Step]) -> list[StepState]:
    """Report other logs of the workflow that end with an error, such as those of sweeps and ablations."""
    root = folder.parent.parent
    paths = {path.relative_to(root) for path in (root / "logs" / folder.name).glob("*.log")}
    failed = []
    for path in sorted(paths - {step.log for step in known}):
        log = newest_log(root / path)
        if log and log.failed:
            step = Step("", path.stem, "", "", "", folder, (), path, (), "")
            failed.append(_with_log(step, "failed", log))
    return failed


def state_of(step: Step, seen: Seen) -> StepState:
    """Find the state of a step. It is never called running unless a process or SLURM shows it."""
    root = seen.root
    if all((root / path).exists() for path in step.files):
        return StepState(step, "done")
    lock = root / step.output / LOCK
    if step.stage == "training" and lock.is_file() and (locked := _locked(step, root, lock)):
        return locked
    if process := seen.processes.get((step.stage, (root / step.output).resolve())):
        return StepState(step, "running", f"process {process} on this host", {"process": process})
    if job := seen.jobs.get(step.job):
        state: State = {"RUNNING": "running", "PENDING": "queued"}.get(job.state, "unknown")  # type: ignore[assignment]
        where = f" on {job.node}" if job.node else ""
        return StepState(step, state, f"SLURM job {job.id} {job.state}{where}", {"job": job.id, "host": job.node})
    log = newest_log(root / step.log, root / step.output / "logs" / "training.txt")
    if log is None or log.finished:
        ready = all((root / path).exists() for path in step.needs)
        return StepState(step, "next" if ready else "waiting")
    return _ended(step, seen, log)


def _locked(step: Step, root: Path, lock: Path) -> StepState | None:
    """Judge a training by its lock; None if its owner is gone."""
    try:
        alive, owner = is_alive(lock), read_owner(lock)
    except MethmixError as error:
        return StepState(step, "unknown", str(error).splitlines()[0])
    if owner is None or alive is False:
        return None
    progress = training_progress(root / step.output)
    facts = {"host": owner.host, "process": owner.process, "job": owner.job_id, **progress}
    where = f"SLURM job {owner.job_id} on {owner.host}" if owner.job_id else f"process {owner.process} on {owner.host}"
    reached = ""
    if progress:
        left = duration(progress["seconds_left"])
        reached = "epoch {epoch} of {epochs}, step {step} of {steps}, ".format(**progress) + f"at most {left} left; "
    if alive and not (owner.host == platform.node() and works_elsewhere(owner.process, root)):
        return StepState(step, "running", reached + where, facts)
    silent = duration(max(0.0, time.time() - lock.stat().st_mtime))
    return StepState(step, "unknown", f"{reached}{where}: cannot be seen from here; last sign {silent} ago", facts)


def _ended(step: Step, seen: Seen, log: Log) -> StepState:
    """Judge a step by its log, that of a run which nobody continues as far as can be seen."""
    if log.stopped:
        return StepState(step, "stopped", f"{log.stopped}; the same command resumes from there")
    # One that was started again has written to its log since.
    found = seen.failures.get(step.log)
    if log.failed or (found is not None and log.written < found + 1):
        return _with_log(step, "failed", log)
    if step.stage == "training" and (seen.root / step.output / LOCK).is_file():
        return _with_log(step, "failed", log, "its process has ended without a message; the same command resumes it")
    words = "its log has no end, but no process of this host and no SLURM job writes it: killed, or on another host"
    return _with_log(step, "unknown", log, words)


def _with_log(step: Step, state: State, log: Log, words: str = "") -> StepState:
    return StepState(step, state, words or str(step.log), {"last_lines": log.tail})


def text(folder: Path, states: list[StepState]) -> str:
    """Write the state of an experiment as a table; steps of one kind that are in one state share a row."""
    counts = [f"{sum(state.state == name for state in states)} {name}" for name in ("done", "running", "failed")]
    rows: list[tuple[str, str, str, str]] = []
    logs: dict[int, list[str]] = {}
    for (phase, name), some in groupby(states, lambda state: (state.step.phase, state.name)):
        for of_state in _by_state(some):
            first = of_state[0]
            if first.state not in _SINGLE:
                rows.append((phase, name, first.state, ", ".join(filter(None, (state.step.of for state in of_state)))))
                continue
            for state in of_state:
                rows.append((phase, name, state.state, ": ".join(filter(None, (state.step.of, state.words)))))
                logs[len(rows) - 1] = state.facts.get("last_lines", [])
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{folder}: {', '.join(counts)}, of {len(states)} steps"]
    for number, row in enumerate(rows):
        cells = (cell.ljust(width) for cell, width in zip(row, (*widths, 0), strict=True))
        lines.append(("  " + "  ".join(cells)).rstrip())
        lines += [f"      | {line}" for line in logs.get(number, [])]
    return "\n".join([*lines, *_to_do(folder, states)]) + "\n"


def _by_state(states: Iterable[StepState]) -> list[list[StepState]]:
    """Collect the steps that are in one state, states in the order in which they come first."""
    collected: dict[State, list[StepState]] = {}
    for state in states:
        collected.setdefault(state.state, []).append(state)
    return [*collected.values()]


def _to_do(folder: Path, states: list[StepState]) -> list[str]:
    """Name the command that goes on with an experiment whose targets are not done."""
    targets = dict.fromkeys(state.step.target for state in states if state.state != "done" and state.step.target)
    # A repetition is asked for as part of its experiment.
    if not targets or not any(state.step.rule == "reference_report" for state in states):
        return []
    own = Path("config", f"{folder.name}.yaml")
    with_config = f" --configfile {own}" if folder.name != "default" and own.is_file() else ""
    commands = ["compare_" + target if target.startswith("phase") else target for target in targets]
    return [f"  to go on: snakemake {' '.join(commands)}{with_config}"]
