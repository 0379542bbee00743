"""Base of all configuration sections, and the types of their values."""

from collections import Counter
from itertools import chain, pairwise
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Values = TypeVar("Values", list[int], dict[str, list[str]])

# Keys that choose a section among alternatives.
DISCRIMINATORS = ("arm", "backbone", "kind", "source")


class Section(BaseModel):
    """A part of the configuration: frozen, strictly typed, and unknown keys are errors.

    A field whose attribute has another name than its key in files (an alias) is written out under its key. What a
    validator of a whole section raises begins with the key, ``n_donors: 17 is too few``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, serialize_by_alias=True)


def _distinct(values: Values) -> Values:
    names = Counter(chain(*values.values()) if isinstance(values, dict) else values)
    if len(names) < names.total():
        raise ValueError(f"{names.most_common(1)[0][0]} is named twice")
    return values


def _ascending(values: list[float]) -> list[float]:
    if any(after <= before for before, after in pairwise(values)):
        raise ValueError(f"expected ascending values without repeats, got {values}")
    return values


def _sum_to_one(proportions: dict[str, float]) -> dict[str, float]:
    total = sum(proportions.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"the proportions sum to {total:g}, expected 1")
    return proportions


DISTINCT, ASCENDING = AfterValidator(_distinct), AfterValidator(_ascending)
Count = Annotated[int, Field(ge=1)]
Counts = Annotated[list[Count], Field(min_length=1)]
Width = Annotated[int, Field(ge=1, le=65_536)]
Widths = Annotated[list[Width], Field(min_length=1, max_length=32)]
Positive = Annotated[float, Field(gt=0)]
Positives = Annotated[list[Positive], Field(min_length=1)]
Weight = Annotated[float, Field(ge=0)]
# From 0 to below 1, between 0 and 1, and between 0 and 0.5.
Fraction = Annotated[float, Field(ge=0, lt=1)]
Probability = Annotated[float, Field(gt=0, lt=1)]
Minority = Annotated[float, Field(gt=0, lt=0.5)]
# Value of a key of an arm, and what is changed in one: dotted key (training.epochs) -> value.
Setting = bool | int | float | str | list[int] | None
Changes = dict[str, Setting]
# Tissue -> its proportion.
Composition = Annotated[dict[str, Annotated[float, Field(gt=0, le=1)]], AfterValidator(_sum_to_one)]
