"""The points of a sweep: an arm with some of its keys changed, validated, and under a name that follows from them."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

from methmix.config.arm import ArmSettings
from methmix.config.experiment import ArmName, Experiment
from methmix.config.load import configured_arm, load_sweep
from methmix.config.phases import Phase
from methmix.config.section import Changes
from methmix.config.sweep import Range, SampledSearch, Sweep
from methmix.errors import InputError
from methmix.files.atomic import write_text
from methmix.files.json_file import read_json

# What a point that has a folder of its own is called, as a regular expression.
POINT_NAME = "(original|sparse)-[0-9a-f]{10}"


@dataclass(frozen=True)
class Point:
    """An arm with some keys changed (dotted key -> value, other than configured); without any, the arm itself."""

    arm: ArmName
    changes: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def name(self) -> str:
        """The same for the same changes, in whichever sweep, so that a point is trained once."""
        if not self.changes:
            return self.arm
        digest = hashlib.sha256(json.dumps(self.changes, sort_keys=True).encode())
        return f"{self.arm}-{digest.hexdigest()[:10]}"

    @property
    def folder(self) -> str:
        """Folder of its training below that of a run's phase."""
        return f"points/{self.name}" if self.changes else self.name


class SweptArm:
    """The arm of a sweep as an experiment configures it (``shipped``), and the points around it.

    Parameters
    ----------
    experiment
        Names the sweep's file and the arm's.
    phase
        Phase whose arm is swept.

    Raises
    ------
    InputError
        If the file is not valid; from the methods, if a point is not.
    """

    def __init__(self, experiment: Experiment, phase: Phase) -> None:
        self.experiment, self.phase, self.path = experiment, phase, Path(experiment.sweep)
        self.sweep: Sweep = load_sweep(self.path)
        self.shipped = Point(self.sweep.arm)
        self._content = configured_arm(experiment, phase, self.sweep.arm).model_dump(mode="json")

    def check(self) -> None:
        """Check that all planned points, or both ends of every range and each of its choices, are possible."""
        ranges = self.sweep.search.ranges if isinstance(self.sweep.search, SampledSearch) else {}
        for key, choices in ranges.items():
            for value in [choices.low, choices.high] if isinstance(choices, Range) else choices:
                self.settings({key: value})
        _ = self.planned

    @cached_property
    def planned(self) -> list[Point]:
        """The points that are known from the start, without repeats, the shipped one first."""
        return distinct([self.shipped, *map(self.point, self.sweep.search.points)])

    def known(self, folder: Path, generations: int | None = None) -> list[Point]:
        """List the points that are planned, and those suggested so far in the first generations (by default in all)."""
        last = self.sweep.search.generations if generations is None else generations
        files = takewhile(Path.is_file, (generation_file(folder, number) for number in range(1, last + 1)))
        contents = (read_generation(file) for file in files)
        suggested = (Point(self.sweep.arm, changes) for content in contents for changes in content.values())
        return distinct([*self.planned, *suggested])

    def point(self, changes: dict[str, Any]) -> Point:
        """Make a point of changes, in the types of the arm's keys and without those that change nothing."""
        content = self.settings(changes).model_dump(mode="json")
        values = {key: value_of(content, key) for key in changes}
        return Point(self.sweep.arm, {key: v for key, v in values.items() if v != value_of(self._content, key)})

    def settings(self, changes: dict[str, Any]) -> ArmSettings:
        """Configure the arm with some changes."""
        try:
            return configured_arm(self.experiment, self.phase, self.sweep.arm, changes)
        except InputError as error:
            stated = ", ".join(f"{key}: {value}" for key, value in changes.items())
            raise InputError(f"{self.path}: {{{stated}}} is not possible: {error}") from None

    def values(self, point: Point) -> dict[str, Any]:
        """Give the value that each key of the sweep has at a point."""
        return {key: point.changes.get(key, value_of(self._content, key)) for key in self.sweep.search.varied}


def generation_file(folder: Path, number: int) -> Path:
    """Name the file with the points of a generation in the folder of a sweep."""
    return folder / f"generation_{number}.json"


def write_generation(path: Path, points: list[Point]) -> None:
    """Write the points of a generation, name -> changes."""
    write_text(path, json.dumps({"points": {point.name: point.changes for point in points}}, indent=2) + "\n")


def read_generation(path: Path) -> dict[str, Changes]:
    """Read the points of a generation; `InputError` if the file is damaged."""
    remedy = "delete it: its points are suggested again, and those that are trained are kept"
    points = read_json(path, remedy, ("points",))["points"]
    if not isinstance(points, dict) or not all(isinstance(changes, dict) for changes in points.values()):
        raise InputError(f"{path}: is damaged (points: expected what each changes, by name)", remedy)
    return points


def distinct(points: Iterable[Point]) -> list[Point]:
    """Leave out repeated points; the first of each stays where it is."""
    return list({point.name: point for point in points}.values())


def value_of(content: dict[str, Any], key: str) -> Any:
    """Look up a dotted key in the content of an arm; None where it has no such key."""
    section, _, name = key.partition(".")
    return content.get(section, {}).get(name) if name else content.get(section)


def setting_text(value: Any) -> str:
    """Write the value of a key as in a configuration, a number as short as it is."""
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)
