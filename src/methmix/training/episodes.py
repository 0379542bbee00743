"""Training as it will be at inference: mixtures of donors that are not in the profiles.

Profiles that have the donors of the mixtures in them would make training mixtures too easy: the model would learn that
profiles are exact. So each step has an episode: of every tissue one donor is for the mixtures and the others are for
the profile, or, where there is no other and now and then elsewhere, both are drawn around the profile. A drawn donor
has as much of another tissue as real ones were found to have: were it pure, the model would learn to believe in small
proportions, and would call what is only a donor's admixture.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from methmix.files.reference import Reference
from methmix.least_squares import Profiles
from methmix.mixtures.reads import normal_deviates
from methmix.reference.profiles import training_donors

# How often a tissue with several donors has a drawn one: few donors would be known by heart.
_DRAWN = 0.5
# Between regions deviations have heavier tails than normal ones; between donors, different sizes.
_FREEDOM = 6
_SIZE = 0.22
_RANGE = (0.004, 0.996)
# No drawn donor has more of another tissue.
_LARGEST_ADMIXTURE = 0.4
_CPU = torch.device("cpu")


class Episode(NamedTuple):
    """The donor of each tissue, methylation float32 [n_tissues, n_regions] with NaN where unknown, and the profiles."""

    donors: Tensor
    profiles: Profiles


class Episodes:
    """Draws episodes from the training donors.

    Parameters
    ----------
    reference
        All donors; only those of the train split are used.
    purify
        Whether profiles are made of donors without their admixture (`training_donors`).
    device
        Where to draw.
    """

    def __init__(self, reference: Reference, purify: bool, device: torch.device = _CPU) -> None:
        self._groups = list(reference.pool("train").values())
        self._raw = reference.fractions
        self._sums, self._admixture = training_donors(reference, purify, device)
        self.profiles = self._sums.all

    def draw(self, rng: np.random.Generator) -> Episode:
        """Draw one episode."""
        own = self.profiles
        chosen = {
            tissue: rows[rng.integers(len(rows))]
            for tissue, rows in enumerate(self._groups)
            if len(rows) > 1 and rng.random() >= _DRAWN
        }
        left_out, drawn = list(chosen), [t for t in range(len(self._groups)) if t not in chosen]
        donors, mean, spread, noise = (torch.empty_like(own.mean) for _ in range(4))
        if left_out:
            rows = list(chosen.values())
            donors[left_out] = torch.from_numpy(self._raw[rows]).to(donors.device)
            rest = self._sums.without(left_out, rows)
            mean[left_out], spread[left_out], noise[left_out] = rest.mean, rest.spread, rest.noise
        if drawn:
            true, uncertain = own.mean[drawn], own.noise[drawn]
            spread[drawn], noise[drawn] = own.spread[drawn], uncertain
            donors[drawn] = self._impure(_around(true, spread[drawn], rng), drawn, rng)
            mean[drawn] = _around(true, uncertain, rng)
        return Episode(donors, Profiles(mean, spread, noise))

    def _impure(self, donors: Tensor, tissues: list[int], rng: np.random.Generator) -> Tensor:
        """Mix some of one other tissue into each donor; profiles that were not purified have it already."""
        if not self._admixture:
            return donors
        proportions = np.minimum(rng.exponential(self._admixture, len(tissues)), _LARGEST_ADMIXTURE)
        others = (np.array(tissues) + rng.integers(1, len(self._groups), len(tissues))) % len(self._groups)
        admixed = torch.from_numpy(proportions.astype(np.float32))[:, None].to(donors.device)
        return torch.lerp(donors, self.profiles.mean[others.tolist()], admixed)


def _around(mean: Tensor, variance: Tensor, rng: np.random.Generator) -> Tensor:
    """Draw methylation around a mean, on the logit scale; [n, n_regions]."""
    m = mean.clamp(*_RANGE)
    z = normal_deviates(rng.integers(2**64, size=len(m), dtype=np.uint64), m.shape[1], m.device)
    of_donor = torch.from_numpy(rng.standard_normal((len(m), 1), dtype=np.float32)).to(m.device)
    size = variance.sqrt().div_(m * (1 - m)).mul_(-(_SIZE * of_donor - _SIZE**2 / 2).exp())
    # Odds of being unmethylated, times what the deviation changes them by.
    odds = m.reciprocal_().sub_(1).mul_(size.mul_(_heavy_tailed(z)).exp_())
    return odds.add_(1).reciprocal_()


def _heavy_tailed(z: Tensor) -> Tensor:
    """Turn normal deviates into ones of variance 1 with the tails of Student's t.

    Cornish-Fisher expansion to the second order (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5).
    """
    square = z.square()
    return (square * _TAILS[2]).add_(_TAILS[1]).mul_(square).add_(_TAILS[0]).mul_(z)


def _tails() -> tuple[float, float, float]:
    n = _FREEDOM
    a, b, c = 1 + 1 / (4 * n) + 1 / (32 * n**2), 1 / (4 * n) + 1 / (6 * n**2), 5 / (96 * n**2)
    # By the moments of a normal deviate: 1, 3, 15, 105, 945.
    deviation = (a * a + 6 * a * b + 15 * (b * b + 2 * a * c) + 210 * b * c + 945 * c * c) ** 0.5
    return a / deviation, b / deviation, c / deviation


_TAILS = _tails()
