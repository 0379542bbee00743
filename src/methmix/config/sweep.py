"""A sweep: which keys of an arm are varied, over which values, and how its points are chosen among them."""

import itertools
import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from methmix.config.experiment import ArmName
from methmix.config.section import Changes, Count, Section, Setting

# More are a mistake in a grid, or in the seeds, far more often than they are meant.
MOST_POINTS, MOST_TRAININGS = 1000, 5000
# The sections of an arm whose keys can be varied; what it is called and is trained on cannot.
_SECTIONS = ("model", "loss", "training")
_Values = Annotated[list[Setting], Field(min_length=1)]


class Range(Section):
    """Values between two ends: whole numbers, if both ends are and the key has one, else real numbers."""

    low: int | float = Field(description="smallest value")
    high: int | float = Field(description="largest value")
    log: bool = Field(False, description="draw its logarithm evenly")

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low: {self.low} is not below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low: {self.low} has no logarithm; with log, expected a positive number")
        return self


_Ranges = Annotated[dict[str, Range | _Values], Field(min_length=1)]


class _PlannedSearch(Section):
    @property
    def generations(self) -> int:
        """Number of generations that are still to be suggested: all points are known from the start."""
        return 0


class GridSearch(_PlannedSearch):
    """Every combination of some values."""

    kind: Literal["grid"]
    values: dict[str, _Values] = Field(min_length=1, description="dotted arm key -> values to try")

    @property
    def varied(self) -> list[str]:
        """The keys that are varied."""
        return [*self.values]

    @property
    def n_points(self) -> int:
        """Number of points."""
        return math.prod(map(len, self.values.values()))

    @property
    def points(self) -> list[Changes]:
        """The points that are known from the start."""
        return [dict(zip(self.values, chosen, strict=True)) for chosen in itertools.product(*self.values.values())]


class ListedPoints(_PlannedSearch):
    """Points that are listed one by one."""

    kind: Literal["list"]
    points: list[Annotated[Changes, Field(min_length=1)]] = Field(
        min_length=1, description="of each point, dotted arm key -> value; other keys stay as they are"
    )

    @property
    def varied(self) -> list[str]:
        """The keys that are varied."""
        return list(dict.fromkeys(key for point in self.points for key in point))

    @property
    def n_points(self) -> int:
        """Number of points."""
        return len(self.points)


class _SampledSearch(Section):
    ranges: _Ranges = Field(description="dotted arm key -> range {low, high[, log]}, or list of values to choose from")

    @property
    def varied(self) -> list[str]:
        """The keys that are varied."""
        return [*self.ranges]

    @property
    def points(self) -> list[Changes]:
        """The points that are known from the start: none."""
        return []


class RandomSearch(_SampledSearch):
    """Points that are drawn independently: one generation."""

    kind: Literal["random"]
    n_points: Count = Field(description="number of points; more of them leave the first ones as they are")

    @property
    def generations(self) -> int:
        """Number of generations."""
        return 1

    @property
    def points_per_generation(self) -> int:
        """Number of points in a generation."""
        return self.n_points


class BayesianSearch(_SampledSearch):
    """Points that a tree-structured Parzen estimator suggests from the results of all earlier generations."""

    kind: Literal["bayesian"]
    generations: Count = Field(4, description="batches of trainings, one after the other; the first is random")
    points_per_generation: Count = Field(6, description="points of a batch, which are trained at the same time")

    @property
    def n_points(self) -> int:
        """Number of points."""
        return self.generations * self.points_per_generation


SampledSearch = RandomSearch | BayesianSearch


class Sweep(Section):
    """What ``snakemake sweep_phase2`` tries: points, each the arm with some keys changed, over some seeds."""

    arm: ArmName = Field("sparse", description="whose configuration is changed")
    seeds: Count = Field(
        2, description="trainings of each point: with the experiment's own seed and the next ones, which stand for "
        "other donors, mixtures and initial weights"
    )  # fmt: skip
    search: GridSearch | ListedPoints | SampledSearch = Field(discriminator="kind", description="how points are chosen")
    map_keys: Annotated[list[str], Field(min_length=2, max_length=2)] | None = Field(
        None, description="the two keys of the map of the error; null: the first two that are varied"
    )

    @model_validator(mode="after")
    def _fits_itself(self) -> Self:
        if self.search.n_points > MOST_POINTS:
            raise ValueError(
                f"search: {self.search.n_points:,} points, expected at most {MOST_POINTS:,}; give fewer values, or "
                "draw some of them (kind: random or bayesian)"
            )
        if (trainings := self.search.n_points * self.seeds) > MOST_TRAININGS:
            raise ValueError(
                f"seeds: {self.seeds:,} of each point are {trainings:,} trainings, expected at most {MOST_TRAININGS:,}"
            )
        for key in self.search.varied:
            if key.partition(".")[0] not in _SECTIONS or "." not in key:
                raise ValueError(f"search: {key} cannot be varied; expected keys such as loss.presence_weight")
        if self.map_keys and self.map_keys[0] == self.map_keys[1]:
            raise ValueError(f"map_keys: {self.map_keys[0]} is named twice; expected two different keys")
        for key in self.map_keys or []:
            if key not in self.search.varied:
                raise ValueError(f"map_keys: {key} is not varied; expected two of {', '.join(self.search.varied)}")
        return self
