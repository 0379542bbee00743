"""Mixtures of donors, with reads: the same code for files and for training."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from methmix.config.experiment import Recipe
from methmix.files import Reference
from methmix.files.reference import Split
from methmix.mixtures.recipes import check_recipe, draw_proportions, draw_pure

# Share of a mixture whose methylation in a region must be known: anything.
_NOTHING_KNOWN = 1e-4


@dataclass(frozen=True)
class MixtureBatch:
    """Mixtures drawn together.

    Parameters
    ----------
    methylated, depth
        Reads, int64 [n, n_regions]; depth 0 where a region is not observed.
    proportions
        True proportions, float32 [n, n_tissues].
    donors
        Row of the donor that stands for each tissue in each mixture, [n, n_tissues]; of no meaning where the
        proportion is 0.
    mean_depth
        Mean reads a region that was asked for, [n].
    """

    methylated: npt.NDArray[np.int64]
    depth: npt.NDArray[np.int64]
    proportions: npt.NDArray[np.float32]
    donors: npt.NDArray[np.int64]
    mean_depth: npt.NDArray[np.float64]

    @property
    def methylation(self) -> npt.NDArray[np.float32]:
        """Observed methylation, float32 [n, n_regions], NaN where not observed."""
        observed = self.depth > 0
        out = np.full(self.depth.shape, np.nan, dtype=np.float32)
        return np.divide(self.methylated, self.depth, out=out, where=observed, casting="unsafe")


class DonorMixer:
    """Mixes donors of one split of a reference in given proportions and samples reads.

    Each tissue of a mixture comes from one donor of the split. A region's methylation is the sum of the donors'
    methylation, weighted by the proportions, over the donors that were observed there; it is missing where none was.
    (Were it missing where any of them was not, the gaps of an atlas would tell which tissues are present.) The reads
    of a region are Poisson around the mean depth times the region's relative coverage in the training donors, and
    the methylated ones binomial.

    Parameters
    ----------
    reference
        Donors and their splits.
    split
        Donors of which split to use (see `Reference.pool`).
    least_known
        Share of a mixture whose methylation in a region must be known, or the region is missing.
    """

    def __init__(self, reference: Reference, split: Split, least_known: float = _NOTHING_KNOWN) -> None:
        self._least_known = least_known
        self.tissue_names = reference.tissue_names
        self._pool = [np.array(rows) for rows in reference.pool(split).values()]
        self._donors = np.unique(np.concatenate(self._pool))
        fractions = reference.fractions[self._donors]
        self._observed = (~np.isnan(fractions)).astype(np.float32)
        self._fractions = np.nan_to_num(fractions)
        train = [row for row, name in enumerate(reference.split) if name == "train"]
        coverage = reference.depth[train].mean(axis=0)
        self._relative_coverage = (coverage / coverage.mean()).astype(np.float32)

    def mix(
        self,
        proportions: npt.NDArray[np.float32],
        mean_depths: npt.NDArray[np.float64],
        rng: np.random.Generator,
        given: npt.NDArray[np.float32] | None = None,
    ) -> MixtureBatch:
        """Draw the donors and the reads of mixtures.

        Parameters
        ----------
        proportions
            True proportions, float32 [n, n_tissues]; rows sum to 1.
        mean_depths
            Mean reads a region, one of which is drawn for each mixture with equal probability.
        rng
            Random generator.
        given
            Methylation of one donor a tissue, [n_tissues, n_regions], NaN where unknown, to mix instead of the split's.
        """
        n = len(proportions)
        donors = np.stack([rows[rng.integers(len(rows), size=n)] for rows in self._pool], axis=1)
        mean_depth = rng.choice(mean_depths, n)
        if given is None:
            fraction = self._mix(proportions, donors)
        else:
            observed = (~np.isnan(given)).astype(np.float32)
            fraction = _mix(proportions, np.nan_to_num(given), observed, self._least_known)
        depth = rng.poisson(mean_depth[:, None].astype(np.float32) * self._relative_coverage)
        depth[np.isnan(fraction)] = 0
        methylated = rng.binomial(depth, np.nan_to_num(fraction))
        return MixtureBatch(methylated, depth, proportions, donors, mean_depth)

    def _mix(self, proportions: npt.NDArray[np.float32], donors: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Mix the donors that were observed in a region; NaN where none with a share in the mixture was."""
        weights = np.zeros((len(proportions), len(self._donors)), dtype=np.float32)
        columns = np.searchsorted(self._donors, donors)
        np.put_along_axis(weights, columns, proportions, axis=1)
        return _mix(weights, self._fractions, self._observed, self._least_known)


class MixtureSampler(DonorMixer):
    """Draws mixtures of one split of a reference by a recipe; how they are mixed, see `DonorMixer`.

    Parameters
    ----------
    reference
        Donors and their splits.
    split
        Donors of which split to use (see `Reference.pool`).
    recipe
        Recipe of the phase.
    mean_depths
        Mean reads a region, drawn with equal probability.

    Raises
    ------
    InputError
        The recipe cannot be followed with this reference.
    """

    def __init__(self, reference: Reference, split: Split, recipe: Recipe, mean_depths: list[float]) -> None:
        check_recipe(recipe, reference.tissue_names)
        super().__init__(reference, split)
        self.recipe = recipe
        self.mean_depths = np.asarray(mean_depths, dtype=float)

    def sample(
        self,
        n: int,
        rng: np.random.Generator,
        pure_fraction: float = 0.0,
        given: npt.NDArray[np.float32] | None = None,
    ) -> MixtureBatch:
        """Draw ``n`` mixtures, a share of which consists of one tissue only.

        Parameters
        ----------
        n, rng, pure_fraction
            How many, of what random stream, and the share of mixtures of one tissue.
        given
            Methylation to mix instead of the split's donors (see `mix`).
        """
        n_pure = round(pure_fraction * n)
        proportions = np.concatenate(
            [
                draw_pure(len(self.tissue_names), n_pure, rng),
                draw_proportions(self.recipe, self.tissue_names, n - n_pure, rng),
            ]
        ).astype(np.float32)
        return self.mix(proportions, self.mean_depths, rng, given)


def _mix(
    weights: npt.NDArray[np.float32],
    fractions: npt.NDArray[np.float32],
    observed: npt.NDArray[np.float32],
    least_known: float,
) -> npt.NDArray[np.float32]:
    known = weights @ observed
    mixed = np.full_like(known, np.nan)
    # Rounding leaves a little where nothing is known, and a little more than 1 elsewhere.
    np.divide(weights @ fractions, known, out=mixed, where=known > least_known)
    clipped: npt.NDArray[np.float32] = np.clip(mixed, 0, 1)
    return clipped
