"""Training as it will be at inference: mixtures of donors that are not in the profiles.

Profiles that have the donors of the mixtures in them would make training mixtures too easy: the model would learn that
profiles are exact. So each step has an episode: of every tissue one donor is for the mixtures and the others are for
the profile, or, where there is no other and now and then elsewhere, both are drawn around the profile. A drawn donor
has as much of another tissue as real ones were found to have: were it pure, the model would learn to believe in small
shares, and would call what is only a donor's impurity.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit, logit

from methmix.files import Reference
from methmix.least_squares import Profiles
from methmix.reference.profiles import SpreadFunction, profiles_of, purified

Array = npt.NDArray[np.float64]

# Median number of donors a tissue from which they can be purified.
_DONORS = 3
# How often a tissue with several donors has a drawn one: few donors would be known by heart.
_DRAWN = 0.5
# Between regions deviations have heavier tails than normal ones; between donors, different sizes.
_FREEDOM = 6
_SIZE = 0.22
# No drawn donor has more of another tissue.
_LARGEST_ADMIXTURE = 0.4


class Episode(NamedTuple):
    """The donor of each tissue, methylation [n_tissues, n_regions] with NaN where unknown, and the profiles."""

    donors: npt.NDArray[np.float32]
    profiles: Profiles


class Episodes:
    """Draws episodes from the training donors.

    Parameters
    ----------
    reference
        All donors; only those of the train split are used.
    purify
        Whether profiles are made of what `purified` leaves of the donors, if tissues have three of them.
    """

    def __init__(self, reference: Reference, purify: bool) -> None:
        self._groups = list(reference.pool("train").values())
        self._raw = reference.fractions
        self._depth = reference.depth
        # A profile without one of two donors is the other one, whose own impurity would be taken for the first one's.
        enough = np.median([len(rows) for rows in self._groups]) >= _DONORS
        self._clean, self._admixture = reference.fractions.astype(float), 0.0
        if purify and enough:
            self._clean, self._admixture = purified(reference, self._groups)
        self._spread = SpreadFunction(self._clean, reference.depth, self._groups)
        self.profiles = profiles_of(self._clean, reference.depth, self._groups, self._spread)

    def draw(self, rng: np.random.Generator) -> Episode:
        """Draw one episode."""
        own = self.profiles
        mean, spread, noise = (values.numpy().copy() for values in (own.mean, own.spread, own.noise))
        donors = np.empty_like(mean, dtype=np.float32)
        for tissue, rows in enumerate(self._groups):
            if len(rows) > 1 and rng.random() >= _DRAWN:
                chosen = rows[rng.integers(len(rows))]
                donors[tissue] = self._raw[chosen]
                rest = [row for row in rows if row != chosen]
                known = ~np.isnan(self._clean[rest]).all(axis=0)
                without = profiles_of(self._clean, self._depth, [rest], self._spread)
                mean[tissue, known] = without.mean.numpy()[0, known]
                spread[tissue, known] = without.spread.numpy()[0, known]
                noise[tissue, known] = without.noise.numpy()[0, known]
            else:
                true = mean[tissue].copy()
                donors[tissue] = self._impure(_around(true, spread[tissue], rng), tissue, rng)
                mean[tissue] = _around(true, noise[tissue], rng)
        return Episode(donors, Profiles(*(torch.from_numpy(values) for values in (mean, spread, noise))))

    def _impure(self, donor: Array, tissue: int, rng: np.random.Generator) -> Array:
        """Mix some of one other tissue into a donor; profiles that were not purified have it already."""
        if not self._admixture:
            return donor
        share = min(rng.exponential(self._admixture), _LARGEST_ADMIXTURE)
        other = (tissue + rng.integers(1, len(self._groups))) % len(self._groups)
        mixed: Array = (1 - share) * donor + share * self.profiles.mean[other].numpy()
        return mixed


def _around(mean: Array, variance: Array, rng: np.random.Generator) -> Array:
    """Draw methylation around a mean, on the logit scale."""
    m = mean.clip(0.004, 0.996)
    size = np.sqrt(variance) / (m * (1 - m)) * np.exp(_SIZE * rng.standard_normal() - _SIZE**2 / 2)
    deviation = size * rng.standard_t(_FREEDOM, len(m)) * np.sqrt((_FREEDOM - 2) / _FREEDOM)
    drawn: Array = expit(logit(m) + deviation)
    return drawn
