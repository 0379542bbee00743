"""Phases: each has a number and a recipe, which says what its mixtures consist of."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from methmix.config.section import Composition, Counts, Fraction, Positive, Section

# A curriculum goes by the numbers.
Phase = Annotated[str, StringConstraints(pattern=r"^phase[1-9][0-9]*$")]
_Larger = Annotated[list[Annotated[float, Field(ge=0.5, lt=1)]], Field(min_length=1)]
_Proportion = Annotated[float, Field(ge=0, le=1)]
_Range = Annotated[tuple[_Proportion, _Proportion], Field(strict=False)]
_Background = Annotated[
    Annotated[str, Tag("one tissue")] | Annotated[Composition, Tag("composition")],
    Discriminator(lambda value: "composition" if isinstance(value, dict) else "one tissue"),
]


def number_of(phase: Phase) -> int:
    """Give the number of a phase, for example 2 of ``phase2``."""
    return int(phase.removeprefix("phase"))


class PairsRecipe(Section):
    """Two tissues at fixed ratios, both ways."""

    kind: Literal["pairs"]
    larger_shares: _Larger = Field([0.5, 0.6, 0.7, 0.8], description="proportion of the larger, either of the two")

    @property
    def tissue_numbers(self) -> tuple[int, int]:
        """Fewest and most tissues that a mixture consists of, but for traces."""
        return 2, 2

    @property
    def words(self) -> str:
        """What the mixtures consist of."""
        return f"two tissues, the larger of which has {_any_of([100 * part for part in self.larger_shares])} %"


class DirichletRecipe(Section):
    """A few tissues with Dirichlet proportions."""

    kind: Literal["dirichlet"]
    n_tissues: Counts = Field([3, 4, 5], description="numbers of tissues per mixture, drawn with equal probability")
    concentration: Positive = Field(2.0, description="concentration of the symmetric Dirichlet distribution")

    @property
    def tissue_numbers(self) -> tuple[int, int]:
        """Fewest and most tissues that a mixture consists of, but for traces."""
        return min(self.n_tissues), max(self.n_tissues)

    @property
    def words(self) -> str:
        """What the mixtures consist of."""
        return f"{_any_of(self.n_tissues)} tissues with Dirichlet({self.concentration:g}) proportions"


class BackgroundRecipe(Section):
    """Cell-free DNA, mostly from a background of one tissue or several."""

    kind: Literal["background"]
    background: _Background = Field(description="dominant tissue (Blood), or several with proportions that sum to 1")
    background_range: _Range = Field((0.6, 0.9), description="lowest and highest proportion of it, drawn uniformly")
    background_concentration: Positive = Field(50.0, description="Dirichlet concentration of its tissues, if several")
    n_others: Counts = Field([2, 3, 4, 5, 6], description="numbers of other tissues, drawn with equal probability")
    smallest_share: Fraction = Field(0.001, description="lowest proportion of every other tissue")
    concentration: Positive = Field(0.5, description="Dirichlet concentration of what the others have beyond that")

    @model_validator(mode="after")
    def _proportions_fit(self) -> Self:
        low, high = self.background_range
        if not low < high < 1:
            raise ValueError(f"background_range: expected low < high < 1, got {low}, {high}")
        n, needed = max(self.n_others), max(self.n_others) * self.smallest_share
        if needed > 1 - high:
            raise ValueError(f"smallest_share: {n} other tissues need {needed:g}, the background leaves {1 - high:g}")
        return self

    @property
    def composition(self) -> Composition:
        """Proportion of each tissue in the background."""
        return {self.background: 1.0} if isinstance(self.background, str) else self.background

    @property
    def tissue_numbers(self) -> tuple[int, int]:
        """Fewest and most tissues that a mixture consists of, but for traces: all of the others but one may be such."""
        n_background = len(self.composition)
        return n_background + 1, n_background + max(self.n_others)

    @property
    def words(self) -> str:
        """What the mixtures consist of."""
        low, high = (f"{100 * end:g}" for end in self.background_range)
        of = ", ".join(f"{name} {100 * proportion:g} %" for name, proportion in self.composition.items())
        background = next(iter(self.composition)) if len(self.composition) == 1 else f"background ({of})"
        others = f"{_any_of(self.n_others)} other tissues, each at least {100 * self.smallest_share:g} %"
        return f"{low} to {high} % {background} and {others}"


Recipe = Annotated[PairsRecipe | DirichletRecipe | BackgroundRecipe, Field(discriminator="kind")]


def _any_of(numbers: Sequence[float]) -> str:
    *first, last = [f"{number:g}" for number in numbers]
    return f"{', '.join(first)} or {last}" if first else last
