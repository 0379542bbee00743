"""The ablation: variants of the arms, each with something changed."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from methmix.arms import ARMS
from methmix.config.experiment import ArmName
from methmix.config.section import Section

# Names a folder.
VariantName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]


class Variant(Section):
    """One arm with some keys changed."""

    label: str = Field(description="what is changed, for the figure")
    arm: ArmName = Field(description="whose configuration is changed")
    set: dict[str, bool | int | float | str] = Field(
        min_length=1, description="dotted arm keys (model.purify_donors) and their values"
    )


class Ablation(Section):
    """All variants."""

    variants: dict[VariantName, Variant] = Field(min_length=1, description="name -> variant")

    @model_validator(mode="after")
    def _names_distinguish_them(self) -> Self:
        labels = [variant.label for variant in self.variants.values()]
        if len(set(labels)) != len(labels):
            raise ValueError("variants: two have the same label")
        if taken := self.variants.keys() & ARMS.keys():
            raise ValueError(f"variants: {', '.join(sorted(taken))}: is the name of an arm")
        return self
