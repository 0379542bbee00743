"""Diagnosis of a training, while it runs or afterwards: what `methmix.training.checks` finds, or that it is healthy."""

import csv
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from methmix.config.load import load_arm
from methmix.errors import InputError
from methmix.training.checks import CHECKS, Remedy
from methmix.training.course import Course
from methmix.training.validation_facts import read_facts


class TrainingWarning(NamedTuple):
    """What the check of this name has found: a number, a message that has it, and what to do; now: the key's value."""

    name: str
    number: float
    message: str
    remedy: Remedy
    now: Any

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy.direction} {self.remedy.key} (now {self.now})"


def diagnose(course: Course) -> list[TrainingWarning]:
    """Do all checks of a training; none finds anything in a healthy one."""
    findings = []
    for name, check in CHECKS.items():
        found = check.of(course) if all(getattr(course, need) for need in check.needs) else None
        if found:
            findings.append(TrainingWarning(name, *found, course.setting(found.remedy.key)))
    return findings


def diagnosis(course: Course) -> str:
    """Give a diagnosis in words: a line for each finding, or a single one with the numbers of a healthy training."""
    findings = diagnose(course)
    if findings:
        return "\n".join([f"warnings: {len(findings)}", *(f"{finding.name}: {finding}" for finding in findings)])
    if not course.begun:
        return "no epoch has ended yet"
    numbers = f"{course.progress}: {', '.join(_numbers(course))}"
    if course.judged:
        return f"healthy {numbers}"
    step, first = course.now("step"), course.first_judged
    return f"no warnings {numbers}; what it has learnt is judged from step {first} on, and this is step {step:.0f}"


def _numbers(course: Course) -> Iterator[str]:
    """Name the values of the latest validation, each beside what it is compared with, where that is known."""
    best, mixtures, (fewest, most) = course.best, course.mixtures, course.bounds

    def beside(value: str, comparison: str, number: float) -> str:
        return value if math.isnan(number) else f"{value} ({comparison})"

    lowest = f"lowest {best['val/mae']:.5f} in epoch {best['epoch']:.0f}"
    yield f"validation MAE {course.now('val/mae'):.5f} ({lowest})"
    predicted, true = f"{course.now('val/predicted_tissues'):.2f} tissues per mixture", mixtures.true_tissues
    yield beside(predicted, f"{true:.2f} in truth, {fewest:.1f} to {most:.1f} expected", true)
    if course.two_stages:
        accuracy, base = f"presence accuracy {course.now('val/presence_accuracy'):.1%}", mixtures.all_absent
        yield beside(accuracy, f"{base:.1%} with all absent", base)
        loss, guess = f"presence loss {course.now('val/presence_loss'):.3f}", mixtures.base_rate_loss
        yield beside(loss, f"{guess:.3f} by the base rate", guess)


def read_course(folder: Path) -> Course:
    """Read the course of a training from its run folder; InputError if it is none."""
    logs = folder / "logs"
    if not (logs / "config.yaml").is_file():
        raise InputError(
            f"{folder}: is not a run folder: logs/config.yaml is missing",
            "expected the folder of a training, for example results/default/phase2/sparse",
        )
    log = logs / "training_log.csv"
    rows = _rows(log) if log.is_file() else []
    return Course(rows, load_arm(logs / "config.yaml"), read_facts(logs))


def _rows(log: Path) -> list[dict[str, float]]:
    """Read the numbers of a training log; an empty cell is no number."""
    rows, remedy = [], "the training writes it anew after each epoch"
    with log.open(newline="", errors="replace") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            numbers = {name: text for name, text in row.items() if text and name not in {"slurm_job_id", "node"}}
            if missing := {"epoch", "step"} - numbers.keys():
                raise InputError(f"{log}, line {line}: {min(missing)} is missing", remedy)
            try:
                rows.append({name: float(text) for name, text in numbers.items()})
            except (TypeError, ValueError) as error:
                raise InputError(f"{log}, line {line}: {error}", remedy) from None
    return rows


def print_diagnosis(folder: Path) -> None:
    """Print the diagnosis of a finished or a running training from its run folder."""
    course = read_course(folder)
    state = "finished" if (folder / "logs" / "training_record.json").is_file() else "not finished"
    sys.stdout.write(f"{folder} ({course.arm.arm}, {state})\n{diagnosis(course)}\n")
    if math.isnan(course.mixtures.n_tissues):
        sys.stdout.write(
            "not checked: what is compared with the validation mixtures, on which its logs have no facts\n"
        )
