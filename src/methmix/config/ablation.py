"""The ablation: variants of the arms, each with something changed."""

from typing import Annotated

from pydantic import Field, StringConstraints

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
