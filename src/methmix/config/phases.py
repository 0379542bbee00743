"""Phases: each has a number and a recipe, which says what its mixtures consist of."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from methmix.config.section import Counts, Fraction, Positive, Section

# A curriculum goes by the numbers.
Phase = Annotated[str, StringConstraints(pattern=r"^phase[1-9][0-9]*$")]
_Proportion = Annotated[float, Field(ge=0, le=1)]
# Tissue -> its proportion; those of a composition sum to 1.
Composition = dict[str, Annotated[float, Field(gt=0, le=1)]]


def number_of(phase: Phase) -> int:
    """Give the number of a phase, for example 2 of ``phase2``."""
    return int(phase.removeprefix("phase"))


def check_composition(proportions: Composition) -> None:
    """Check that the proportions of a background sum to 1, for a validator."""
    total = sum(proportions.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"background: the proportions sum to {total:g}, expected 1")


class PairsRecipe(Section):
    """Two tissues at fixed ratios, both ways."""

    kind: Literal["pairs"]
    larger_shares: list[Annotated[float, Field(ge=0.5, lt=1)]] = Field(
        [0.5, 0.6, 0.7, 0.8], min_length=1, description="proportion of the larger tissue, which of the two is drawn"
    )

    @property
    def words(self) -> str:
        """What a mixture consists of."""
        return f"two tissues, the larger of which has {_any_of([100 * share for share in self.larger_shares])} %"


class DirichletRecipe(Section):
    """A few tissues with Dirichlet proportions."""

    kind: Literal["dirichlet"]
    n_tissues: Counts = Field([3, 4, 5], description="numbers of tissues in a mixture, drawn with equal probability")
    concentration: Positive = Field(2.0, description="concentration of the symmetric Dirichlet distribution")

    @property
    def words(self) -> str:
        """What a mixture consists of."""
        return f"{_any_of(self.n_tissues)} tissues with Dirichlet({self.concentration:g}) proportions"


def _kind_of_background(value: Any) -> str:
    return "composition" if isinstance(value, dict) else "one tissue"


class BackgroundRecipe(Section):
    """Cell-free DNA, mostly from a background of one tissue or several."""

    kind: Literal["background"]
    background: Annotated[
        Annotated[str, Tag("one tissue")] | Annotated[Composition, Tag("composition")],
        Discriminator(_kind_of_background),
    ] = Field(
        description="the tissue that dominates, for example Blood, or several with their proportions, which sum to 1"
    )
    background_range: tuple[_Proportion, _Proportion] = Field(
        (0.6, 0.9), strict=False, description="lowest and highest proportion of the background, drawn uniformly"
    )
    background_concentration: Positive = Field(
        50.0, description="Dirichlet concentration of several background tissues: their inter-individual variability"
    )
    n_others: Counts = Field([2, 3, 4, 5, 6], description="numbers of other tissues, drawn with equal probability")
    smallest_share: Fraction = Field(0.001, description="proportion that every other tissue has at least")
    concentration: Positive = Field(0.5, description="Dirichlet concentration of what the others have beyond that")

    @model_validator(mode="after")
    def _proportions_fit(self) -> Self:
        check_composition(self.composition)
        low, high = self.background_range
        if not low < high < 1:
            raise ValueError(f"background_range: expected low < high < 1, got {low}, {high}")
        needed = max(self.n_others) * self.smallest_share
        if needed > 1 - high:
            raise ValueError(
                f"smallest_share: {max(self.n_others)} other tissues need {needed:g}, "
                f"the background leaves {1 - high:g}"
            )
        return self

    @property
    def composition(self) -> Composition:
        """Proportion of each tissue in the background."""
        return {self.background: 1.0} if isinstance(self.background, str) else self.background

    @property
    def words(self) -> str:
        """What a mixture consists of."""
        low, high = (f"{100 * share:g}" for share in self.background_range)
        of = ", ".join(f"{name} {100 * share:g} %" for name, share in self.composition.items())
        background = next(iter(self.composition)) if len(self.composition) == 1 else f"background ({of})"
        return (
            f"{low} to {high} % {background} and {_any_of(self.n_others)} other tissues, "
            f"each at least {100 * self.smallest_share:g} %"
        )


Recipe = Annotated[PairsRecipe | DirichletRecipe | BackgroundRecipe, Field(discriminator="kind")]


def _any_of(numbers: Sequence[float]) -> str:
    *first, last = [f"{number:g}" for number in numbers]
    return f"{', '.join(first)} or {last}" if first else last
