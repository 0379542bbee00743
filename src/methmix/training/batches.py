"""Training mixtures, drawn anew for every step, as at inference of donors that are not in the profiles.

Profiles that include the donors of the mixtures would make training mixtures too easy: the model would learn that
profiles are exact. So each step has an episode: of every tissue one donor is for the mixtures and the others are for
the profile, or, where there is no other and at random elsewhere, both are drawn around the profile. A drawn donor
has as much admixture of another tissue as was estimated in real ones: were it pure, the model would learn to believe in
small proportions, and would call what is only a donor's admixture.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from methmix import seeds
from methmix.config.arm import ArmSettings
from methmix.config.experiment import Experiment
from methmix.files.reference import Reference
from methmix.least_squares import Profiles
from methmix.mixtures.reads import normal_deviates
from methmix.mixtures.sampler import MixtureSampler
from methmix.reference.profiles import training_donors

# How often a tissue with several donors has a drawn one: few donors would be memorised.
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
    """Draws episodes from the training donors, purified or not (`training_donors`)."""

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
        """Mix some of one other tissue into each donor, unless the profiles were not purified and contain it."""
        if not self._admixture:
            return donors
        proportions = np.minimum(rng.exponential(self._admixture, len(tissues)), _LARGEST_ADMIXTURE)
        others = (np.array(tissues) + rng.integers(1, len(self._groups), len(tissues))) % len(self._groups)
        admixed = torch.from_numpy(proportions.astype(np.float32))[:, None].to(donors.device)
        return torch.lerp(donors, self.profiles.mean[others.tolist()], admixed)


class Batch(NamedTuple):
    """Mixtures of one step, float32, on the device of their sampler.

    Methylation, NaN where depth is 0, and depth are [batch_size, n_regions], true proportions [batch_size, n_tissues].
    A model that is trained in episodes is given profiles without the donors of these mixtures.
    """

    methylation: Tensor
    depth: Tensor
    proportions: Tensor
    profiles: Profiles | None


@dataclass(frozen=True)
class TrainingBatches:
    """Batches by step number: every step has a random stream of its own, so none is ever repeated.

    They are made between the steps, by all threads or by the GPU: a process of their own would only compete with the
    training for what both are bound by.

    Arms of one experiment have seed and phase in common, which name the streams, so they see the same mixtures.
    ``pure_fraction`` is that of mixtures of one tissue. Without episodes, the donors of the sampler's split are mixed.
    """

    sampler: MixtureSampler
    seed: int
    phase: str
    batch_size: int
    pure_fraction: float
    episodes: Episodes | None = None

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """Make the batch of a step, or some rows of it, where several processes divide it."""
        rng = seeds.generator(self.seed, "training", self.phase, step)
        donors, profiles = self.episodes.draw(rng) if self.episodes else (None, None)
        drawn = self.sampler.sample(self.batch_size, rng, self.pure_fraction, donors, rows)
        proportions = torch.from_numpy(drawn.proportions).to(drawn.depth.device, non_blocking=True)
        return Batch(drawn.methylation, drawn.depth, proportions, profiles)


def training_batches(
    arm: ArmSettings, experiment: Experiment, reference: Reference, device: torch.device
) -> TrainingBatches:
    """Make the batches of an arm."""
    settings, mixtures = arm.training, experiment.mixtures
    sampler = MixtureSampler(reference, "train", mixtures.recipes[arm.phase], mixtures.mean_depths, device)
    episodes = Episodes(reference, arm.model.purify_donors, device) if settings.leave_donors_out else None
    return TrainingBatches(sampler, experiment.seed, arm.phase, settings.batch_size, settings.pure_fraction, episodes)


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
