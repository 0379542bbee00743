"""Mixtures of donors, with reads: the same code for files and for training."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from methmix.config.phases import Recipe
from methmix.files.reference import Reference, Split
from methmix.mixtures.reads import draw_mixtures
from methmix.mixtures.recipes import check_recipe, draw_any, draw_proportions, draw_pure

_CPU = torch.device("cpu")


class MixedDonors(NamedTuple):
    """Donors that mixtures are made of.

    ``fractions`` are their methylation, float32 [n_donors, n_regions], NaN where unknown; ``weights`` the proportion of
    each donor in each mixture, float32 [n, n_donors]; ``composition`` what each consists of, float32 [n_donors,
    n_tissues].
    """

    fractions: Tensor
    weights: npt.NDArray[np.float32]
    composition: npt.NDArray[np.float32]


# Chooses the donors of mixtures, given the proportions of their labels [n, n_tissues]; of some rows of the mixtures,
# which are the same whichever others are made.
DonorSource = Callable[[npt.NDArray[np.float32], np.random.Generator, slice], MixedDonors]


@dataclass(frozen=True)
class MixtureBatch:
    """Mixtures drawn together; tensors are on the device of the mixer.

    Parameters
    ----------
    methylation, depth
        Observed, float32 [n, n_regions]; NaN and 0 where not observed.
    proportions
        True proportions, float32 [n, n_tissues]: what the donors consist of, in their proportions.
    label_proportions
        Proportions of the donors, each counted as the tissue that it is a donor of, float32 [n, n_tissues].
    mean_depth
        Requested mean reads per region, [n].
    donors
        Row of the donor that stands for each tissue in each mixture, [n, n_tissues]; of no meaning where the
        proportion of the label is 0, and empty if the donors are not of the reference.
    """

    methylation: Tensor
    depth: Tensor
    proportions: npt.NDArray[np.float32]
    label_proportions: npt.NDArray[np.float32]
    mean_depth: npt.NDArray[np.float64]
    donors: npt.NDArray[np.int64]


class DonorMixer:
    """Mixes donors of one split of a reference (see `Reference.pool`) in given proportions and samples reads.

    Each tissue of a mixture comes from one donor of the split. A region's methylation is the sum of the donors'
    methylation, weighted by the proportions, over the donors that were observed there; it is missing where those
    have less than half of the mass. (Were it missing where any of them was not observed, the gaps of an atlas would
    reveal which tissues are present.) The reads of a region are Poisson around the mean depth times the region's
    relative coverage in the training donors, and the methylated ones binomial.
    """

    def __init__(self, reference: Reference, split: Split, device: torch.device = _CPU) -> None:
        self.tissue_names = reference.tissue_names
        self._pool = [np.array(rows) for rows in reference.pool(split).values()]
        self._donors = np.unique(np.concatenate(self._pool))
        self._reference = reference
        self._device = device
        train = [row for row, name in enumerate(reference.split) if name == "train"]
        coverage = sum(reference.depth[row].astype(float) for row in train) / len(train)
        self._relative_coverage = torch.from_numpy((coverage / coverage.mean()).astype(np.float32)).to(device)

    @cached_property
    def _fractions(self) -> Tensor:
        """Methylation of the split's donors; not needed where others are given."""
        return torch.from_numpy(self._reference.fractions[self._donors]).to(self._device)

    def mix(
        self,
        proportions: npt.NDArray[np.float32],
        mean_depths: npt.NDArray[np.float64],
        rng: np.random.Generator,
        source: DonorSource | None = None,
        rows: slice = slice(None),
    ) -> MixtureBatch:
        """Draw the donors and the reads of mixtures.

        Parameters
        ----------
        proportions
            Proportions of the labels, float32 [n, n_tissues]; rows sum to 1.
        mean_depths
            Mean reads per region, one of which is drawn for each mixture with equal probability.
        source
            Chooses the donors, on the device of this mixer; by default they are those of the split.
        rows
            Which of the mixtures to make; they are the same whichever others are made.
        """
        n = len(proportions)
        donors = np.empty((n, 0), dtype=np.int64)
        if source is None:
            donors = np.stack([own[rng.integers(len(own), size=n)] for own in self._pool], axis=1)
            mixed = self._of_split(proportions[rows], donors[rows])
        else:
            mixed = source(proportions, rng, rows)
        mean_depth = rng.choice(mean_depths, n)
        seeds = rng.integers(2**64, size=n, dtype=np.uint64)
        observed, depth = draw_mixtures(
            mixed.weights, mixed.fractions, mean_depth[rows], self._relative_coverage, seeds[rows]
        )
        true = mixed.weights @ mixed.composition
        return MixtureBatch(observed, depth, true, proportions[rows], mean_depth[rows], donors[rows])

    def _of_split(self, proportions: npt.NDArray[np.float32], donors: npt.NDArray[np.int64]) -> MixedDonors:
        weights = np.zeros((len(proportions), len(self._donors)), dtype=np.float32)
        np.put_along_axis(weights, np.searchsorted(self._donors, donors), proportions, axis=1)
        return MixedDonors(self._fractions, weights, self._reference.composition[self._donors])


class MixtureSampler(DonorMixer):
    """Draws mixtures of one split of a reference by a recipe; `DonorMixer` describes the mixing.

    Raises
    ------
    InputError
        The tissues of the reference do not allow the recipe.
    """

    def __init__(
        self, reference: Reference, split: Split, recipe: Recipe, mean_depths: list[float], device: torch.device = _CPU
    ) -> None:
        check_recipe(recipe, reference.tissue_names)
        super().__init__(reference, split, device)
        self.recipe = recipe
        self.mean_depths = np.asarray(mean_depths, dtype=float)

    def sample(
        self,
        n: int,
        rng: np.random.Generator,
        pure_fraction: float = 0.0,
        any_fraction: float = 0.0,
        source: DonorSource | None = None,
        rows: slice = slice(None),
    ) -> MixtureBatch:
        """Draw ``n`` mixtures, fractions of which are of one tissue or of any kind (`draw_any`), the others by recipe.

        ``source`` and ``rows`` are as in `mix`.
        """
        n_pure, n_tissues = round(pure_fraction * n), len(self.tissue_names)
        n_any = min(round(any_fraction * n), n - n_pure)
        pure, of_any = draw_pure(n_tissues, n_pure, rng), draw_any(n_tissues, n_any, rng)
        others = draw_proportions(self.recipe, self.tissue_names, n - n_pure - n_any, rng)
        proportions = rng.permutation(np.concatenate([pure, of_any, others]).astype(np.float32))
        return self.mix(proportions, self.mean_depths, rng, source, rows)
