"""The situations: what the mixtures of each consist of, how deep they are, and what is wrong with them."""

from dataclasses import dataclass, field
from typing import Literal

from methmix.config.phases import DirichletRecipe, Recipe

Kind = Literal["regions", "composition", "shift", "foreign", "depth", "nothing"]
# In the order of the page: title, and what is done to the mixtures.
GROUPS: dict[Kind, tuple[str, str]] = {
    "regions": ("Missing regions", "only a random part of the model's regions has reads"),
    "composition": ("Number of tissues", "one to all tissues in similar proportions"),
    "shift": ("Shift between laboratories", "the methylation of all samples is shifted on the logit scale"),
    "foreign": (
        "Foreign DNA",
        "a component that no tissue explains, the mean profile with 15 % of its regions flipped; the true proportions "
        "of all tissues sum to what it leaves",
    ),
    "depth": ("Depth", "mixtures as in training at other depths"),
    "nothing": ("Samples of nothing", "methylation that has no tissue in it"),
}
_DEPTH = 30.0
# The concentration at which proportions are similar: of four tissues mostly 15 to 35 %.
_SIMILAR = 10.0
# The proportion of flagged mixtures is to be about 1 %, which takes more of them.
_MORE = 4


@dataclass(frozen=True)
class Situation:
    """One situation.

    Parameters
    ----------
    kind, name
        Group, and name within the group.
    depth
        Mean reads per region.
    recipe
        What the mixtures consist of; None: of nothing.
    observed
        Proportion of the regions that have reads, chosen anew for each mixture.
    shift, rank
        Standard deviation over regions of a shift on the logit scale; rank 0: the same in all regions, otherwise the
        number of patterns over regions, of which each mixture has its own amounts.
    foreign
        Proportion of the foreign component.
    methylation
        Of a sample of nothing: the same everywhere, or None, random.
    times
        Multiple of the usual number of mixtures.
    all_tissues
        Whether every tissue of the reference is present.
    """

    kind: Kind
    name: str
    depth: float = _DEPTH
    recipe: Recipe | None = field(default=None, repr=False)
    observed: float = 1.0
    shift: float = 0.0
    rank: int = 0
    foreign: float = 0.0
    methylation: float | None = None
    times: int = 1
    all_tissues: bool = False

    @property
    def usual(self) -> bool:
        """Whether nothing is missing, shifted or foreign, at a depth of 10 or more."""
        return self.kind in ("depth", "foreign") and self.foreign == 0 and self.depth >= 10


def all_situations(recipe: Recipe, n_tissues: int) -> list[Situation]:
    """List the situations for a reference of so many tissues; ``recipe`` is that of the training."""
    return [
        *(
            Situation("regions", f"{100 * part:g} % observed", _DEPTH, recipe, observed=part)
            for part in (0.1, 0.27, 0.5, 1.0)
        ),
        *_compositions(n_tissues),
        *(Situation("shift", f"constant {size:g}", _DEPTH, recipe, shift=size) for size in (0.1, 0.3)),
        *(Situation("shift", f"low rank {size:g}", _DEPTH, recipe, shift=size, rank=2) for size in (0.1, 0.3)),
        *(
            Situation(
                "foreign", f"{100 * part:g} %, depth {depth:g}", depth, recipe, foreign=part, times=1 if part else _MORE
            )
            for part in (0.0, 0.1, 0.5)
            for depth in (30.0, 100.0, 500.0)
        ),
        *(Situation("depth", f"depth {depth:g}", depth, recipe) for depth in (1.0, 3.0, 10.0, 30.0, 100.0, 500.0)),
        *(Situation("nothing", f"{100 * value:g} % methylated", methylation=value) for value in (0.0, 0.8, 1.0)),
        Situation("nothing", "random"),
    ]


def _compositions(n_tissues: int) -> list[Situation]:
    """Mixtures of 1, 3 to 5, 10, 20 and all tissues, as far as there are so many."""
    numbers = [number for number in ([1], [3, 4, 5], [10], [20]) if max(number) < n_tissues]
    made = []
    for number in [*numbers, [n_tissues]]:
        whole = number == [n_tissues]
        name = "all tissues" if whole else _words(number)
        recipe = DirichletRecipe(kind="dirichlet", n_tissues=number, concentration=_SIMILAR)
        made += [
            Situation("composition", f"{name}, depth {depth:g}", depth, recipe, all_tissues=whole)
            for depth in (4.0, _DEPTH)
        ]
    return made


def _words(number: list[int]) -> str:
    if number == [1]:
        return "1 tissue"
    return f"{number[0]} tissues" if len(number) == 1 else f"{number[0]} to {number[-1]} tissues"
