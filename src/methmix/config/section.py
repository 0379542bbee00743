"""Base of all configuration sections, and the types of their values."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# Keys that choose a section among alternatives.
DISCRIMINATORS = ("arm", "backbone", "kind", "source")

Count = Annotated[int, Field(ge=1)]
Counts = Annotated[list[Count], Field(min_length=1)]
Positive = Annotated[float, Field(gt=0)]
Positives = Annotated[list[Positive], Field(min_length=1)]
Weight = Annotated[float, Field(ge=0)]
# From 0 to below 1, and between 0 and 1.
Fraction = Annotated[float, Field(ge=0, lt=1)]
Probability = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """A part of the configuration: frozen, strictly typed, and unknown keys are errors.

    A field whose attribute has another name than its key in files (an alias) is written out under its key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, serialize_by_alias=True)
