"""Recipes: what the mixtures of a phase consist of."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from methmix.config.section import Section

Fraction = Annotated[float, Field(ge=0, le=1)]
# Tissue -> its share; those of a composition sum to 1.
Composition = dict[str, Annotated[float, Field(gt=0, le=1)]]


def check_composition(shares: Composition) -> None:
    """Check that the shares of a background sum to 1, for a validator."""
    total = sum(shares.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"background: the shares sum to {total:g}, expected 1")


class PairsRecipe(Section):
    """Phase 1: two tissues at fixed ratios, both ways."""

    kind: Literal["pairs"]
    larger_shares: list[Annotated[float, Field(ge=0.5, lt=1)]] = Field(
        min_length=1, description="share of the larger tissue; which of the two is larger is drawn"
    )

    @property
    def words(self) -> str:
        """What a mixture consists of."""
        return f"two tissues, the larger of which has {_any_of([100 * share for share in self.larger_shares])} %"


class DirichletRecipe(Section):
    """Phase 2: a few tissues with Dirichlet proportions."""

    kind: Literal["dirichlet"]
    n_tissues: list[Annotated[int, Field(ge=1)]] = Field(
        min_length=1, description="numbers of tissues in a mixture, drawn with equal probability"
    )
    concentration: float = Field(gt=0, description="concentration of the symmetric Dirichlet distribution")

    @property
    def words(self) -> str:
        """What a mixture consists of."""
        return f"{_any_of(self.n_tissues)} tissues with Dirichlet({self.concentration:g}) proportions"


def _kind_of_background(value: Any) -> str:
    return "composition" if isinstance(value, dict) else "one tissue"


class BackgroundRecipe(Section):
    """Phase 3: cell-free DNA, mostly from a background of one tissue or several."""

    kind: Literal["background"]
    background: Annotated[
        Annotated[str, Tag("one tissue")] | Annotated[Composition, Tag("composition")],
        Discriminator(_kind_of_background),
    ] = Field(description="the tissue that dominates, for example Blood, or several with their shares, which sum to 1")
    background_range: tuple[Fraction, Fraction] = Field(
        strict=False, description="lowest and highest share of the whole background, drawn uniformly"
    )
    background_concentration: float = Field(
        default=50.0,
        gt=0,
        description="Dirichlet concentration of several background tissues around their shares: how alike people are",
    )
    n_others: list[Annotated[int, Field(ge=1)]] = Field(
        min_length=1, description="numbers of other tissues, drawn with equal probability"
    )
    smallest_share: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.001, description="share that every other tissue has at least"
    )
    concentration: float = Field(
        gt=0, description="Dirichlet concentration of the others' shares of what is left beyond that"
    )

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
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
        """Share of each tissue in the background."""
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
