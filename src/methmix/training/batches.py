"""Training mixtures, drawn anew for every step, as at inference of donors that are not in the profiles.

Profiles that include the donors of the mixtures would make training mixtures too easy: the model would learn that
profiles are exact. So each step has an episode: of every tissue one donor is for the mixtures and the others are for
the profile, or, where there is no other and at random elsewhere, both are drawn around the profile, and each mixture
has donors of its own. A drawn donor has as much admixture of another tissue as was estimated in real ones. What the
model learns is the composition: the admixture counts as the tissue that it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from methmix import seeds
from methmix.config.arm import ArmSettings, ReferenceBackboneSettings, TrainingSettings
from methmix.config.experiment import Experiment
from methmix.devices import DeviceRows, sent
from methmix.files.reference import Reference
from methmix.least_squares import Profiles
from methmix.mixtures.reads import normal_deviates
from methmix.mixtures.sampler import DonorSource, MixedDonors, MixtureBatch, MixtureSampler
from methmix.reference.profiles import DonorSums
from methmix.reference.shrinkage import ShrunkenProfiles
from methmix.reference.variation import (
    DRAWN_FREEDOM,
    DRAWN_RANGE,
    DRAWN_SIZE,
    MAXIMUM_ADMIXTURE,
    DonorVariation,
)

# How often a tissue with several donors has a drawn one: few donors would be memorised.
_DRAWN = 0.5
# Mixtures to calibrate on, with what fractions of pure ones and of ones of any kind, and of ones with a part of the
# regions.
_CALIBRATION, _CALIBRATED, _PARTIAL = 4000, (0.05, 0.45), 0.2
# Smallest part of the regions that a mixture is left with.
_FEWEST_REGIONS = 0.05
_CPU = torch.device("cpu")


class Episode(NamedTuple):
    """The profiles of a step, and what chooses the donors of its mixtures."""

    profiles: Profiles
    donors: DonorSource


class Episodes:
    """Draws episodes from the training donors, purified or not.

    The profiles of a model are shrunken or raw; donors are always drawn around the shrunken ones, as all that is known
    of a tissue. ``profiles`` are those of all donors.
    """

    def __init__(self, reference: Reference, donors: DonorSums, shrink: bool) -> None:
        self._groups = list(reference.pool("train").values())
        self._composition, self._admixture = reference.composition, donors.admixture
        self._raw = DeviceRows(
            reference.fractions, [row for rows in self._groups for row in rows], donors.all.mean.device
        )
        shrunken = ShrunkenProfiles(donors)
        # What donors of a tissue have of others does not average out; it is borrowed where it could not be estimated.
        mean_admixture = donors.admixture or DonorVariation.shipped("healthy").mean_admixture
        self._impurity = mean_admixture / np.sqrt([len(rows) for rows in self._groups])
        self._known, self._source = shrunken.all, shrunken if shrink else donors
        self.profiles = self._source.all

    def draw(self, rng: np.random.Generator) -> Episode:
        """Draw one episode."""
        chosen = {
            tissue: int(rows[rng.integers(len(rows))])
            for tissue, rows in enumerate(self._groups)
            if len(rows) > 1 and rng.random() >= _DRAWN
        }
        profiles = self.profiles
        if chosen:
            tissues, rows = list(chosen), list(chosen.values())
            profiles = profiles.replaced(tissues, self._source.without(tissues, rows))
        return Episode(profiles, partial(self._donors, chosen, self._impure(rng)))

    def _impure(self, rng: np.random.Generator) -> Profiles:
        """Draw what the tissues may be: a profile still holds some of another tissue, or has lost some of its own."""
        n, mean = len(self._groups), self._known.mean
        others = (np.arange(n) + rng.integers(1, n, n)) % n
        foreign = sent((self._impurity * rng.standard_normal(n)).astype(np.float32), mean.device)
        drawn = torch.lerp(mean, mean[sent(others, mean.device)], foreign[:, None])
        return replace(self._known, mean=drawn.clamp_(0, 1))

    def _donors(
        self,
        chosen: dict[int, int],
        known: Profiles,
        proportions: npt.NDArray[np.float32],
        rng: np.random.Generator,
        rows: slice,
    ) -> MixedDonors:
        """Choose the donors of mixtures: the left-out ones, and for each mixture its own of the other tissues."""
        mixture, tissue = np.nonzero(proportions)
        # For all mixtures, so that those of other ranks are drawn alike.
        own = _DrawnDonors.plan(tissue, len(self._groups), self._admixture, rng)
        wanted = np.zeros(len(proportions), dtype=bool)
        wanted[rows] = True
        is_drawn = ~np.isin(tissue, list(chosen)) & wanted[mixture]
        fractions, composition = own.at(is_drawn).donors(known)
        weights = np.zeros((len(proportions), len(chosen) + int(is_drawn.sum())), dtype=np.float32)
        for column, of_tissue in enumerate(chosen):
            weights[:, column] = proportions[:, of_tissue]
        columns = len(chosen) + np.arange(is_drawn.sum())
        weights[mixture[is_drawn], columns] = proportions[mixture[is_drawn], tissue[is_drawn]]
        left_out = list(chosen.values())
        composition = np.concatenate([self._composition[left_out], composition])
        return MixedDonors(torch.cat([self._raw[left_out], fractions]), weights[rows], composition)


@dataclass(frozen=True)
class _DrawnDonors:
    """Donors to be drawn around the profiles of their tissues; arrays of one entry each, [n].

    ``other`` is a tissue of which each has the proportion ``admixture``; ``size`` multiplies its deviations.
    """

    tissue: npt.NDArray[np.integer]
    other: npt.NDArray[np.integer]
    admixture: npt.NDArray[np.float32]
    size: npt.NDArray[np.float32]
    seeds: npt.NDArray[np.uint64]

    @classmethod
    def plan(
        cls, tissue: npt.NDArray[np.integer], n_tissues: int, mean_admixture: float, rng: np.random.Generator
    ) -> "_DrawnDonors":
        """Draw what differs between the donors, with the admixture of a mean; 0 where the profiles contain it."""
        n = len(tissue)
        other = (tissue + rng.integers(1, n_tissues, n)) % n_tissues
        admixture = np.minimum(rng.exponential(1, n) * mean_admixture, MAXIMUM_ADMIXTURE).astype(np.float32)
        return cls(tissue, other, admixture, _sizes(n, rng), rng.integers(2**64, size=n, dtype=np.uint64))

    def at(self, rows: npt.NDArray[np.bool_]) -> "_DrawnDonors":
        """Select donors."""
        return _DrawnDonors(*(values[rows] for values in vars(self).values()))

    def donors(self, profiles: Profiles) -> tuple[Tensor, npt.NDArray[np.float32]]:
        """Draw methylation, [n, n_regions], and composition, [n, n_tissues]."""
        tissue, device = self.tissue.tolist(), profiles.mean.device
        own = _deviating(profiles.mean[tissue], profiles.spread[tissue], self.size, self.seeds)
        admixture = torch.from_numpy(self.admixture)[:, None].to(device)
        fractions = own.lerp_(profiles.mean[self.other.tolist()], admixture)
        composition = np.zeros((len(tissue), len(profiles.mean)), dtype=np.float32)
        place = np.arange(len(tissue))
        composition[place, self.tissue] = 1 - self.admixture
        composition[place, self.other] += self.admixture
        return fractions, composition


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

    Arms of one experiment have seed and phase in common, which name the streams, so they see the same mixtures where
    their settings ask for the same kinds of them.
    Without episodes, the donors of the sampler's split are mixed.
    """

    sampler: MixtureSampler
    seed: int
    settings: TrainingSettings
    phase: str
    episodes: Episodes | None = None

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """Make the batch of a step, or some rows of it, where several processes divide it."""
        settings = self.settings
        fractions = settings.pure_fraction, settings.any_fraction
        return self._drawn(self.episodes, fractions, settings.partial_fraction, rows, "training", self.phase, step)

    def calibration(self, episodes: Episodes) -> Iterator[Batch]:
        """Make batches to calibrate on: mixtures of any kind as well as of the recipe, with episodes in any case."""
        for number in range(-(-_CALIBRATION // self.settings.batch_size)):
            yield self._drawn(episodes, _CALIBRATED, _PARTIAL, slice(None), "calibration", self.phase, number)

    def _drawn(
        self, episodes: Episodes | None, fractions: tuple[float, float], partial: float, rows: slice, *stream: str | int
    ) -> Batch:
        rng = seeds.generator(self.seed, *stream)
        profiles, donors = episodes.draw(rng) if episodes else (None, None)
        drawn = self.sampler.sample(self.settings.batch_size, rng, *fractions, donors, rows)
        if partial:
            _hide(drawn, self.settings.batch_size, partial, rows, rng)
        proportions = sent(drawn.proportions, drawn.depth.device)
        return Batch(drawn.methylation, drawn.depth, proportions, profiles)


def training_batches(
    arm: ArmSettings, experiment: Experiment, reference: Reference, donors: DonorSums, device: torch.device
) -> TrainingBatches:
    """Make the batches of an arm, whose least squares are chosen."""
    settings, mixtures = arm.training, experiment.mixtures
    sampler = MixtureSampler(reference, "train", mixtures.recipes[arm.phase], mixtures.mean_depths, device)
    episodes = Episodes(reference, donors, is_shrunken(arm)) if settings.leave_donors_out else None
    return TrainingBatches(sampler, experiment.seed, settings, arm.phase, episodes)


def is_shrunken(arm: ArmSettings) -> bool:
    """Whether a model has shrunken profiles: that is how its least squares account for errors in variables."""
    return isinstance(arm.model, ReferenceBackboneSettings) and arm.model.least_squares.errors_in_variables


def _hide(drawn: MixtureBatch, n: int, fraction: float, rows: slice, rng: np.random.Generator) -> None:
    """Leave some of the mixtures, ``rows`` of ``n``, with a part of their regions: samples may have few of them."""
    hidden = rng.random(n) < fraction
    kept = np.where(hidden, np.exp(rng.uniform(np.log(_FEWEST_REGIONS), 0, n)), 1)
    own = rng.integers(2**64, size=n, dtype=np.uint64)
    for row, (share, seed) in enumerate(zip(kept[rows], own[rows], strict=True)):
        if share < 1:
            gone = np.random.default_rng(seed).random(drawn.depth.shape[1]) >= share
            mask = sent(gone, drawn.depth.device)
            drawn.depth[row].masked_fill_(mask, 0)
            drawn.methylation[row].masked_fill_(mask, torch.nan)


def _sizes(n: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Draw by how much the deviations of each donor are larger than those of a typical one, log-normal, [n]."""
    sizes: npt.NDArray[np.float32] = np.exp(DRAWN_SIZE * rng.standard_normal(n) - DRAWN_SIZE**2 / 2).astype(np.float32)
    return sizes


def _deviating(mean: Tensor, variance: Tensor, size: npt.NDArray[np.float32], seeds: npt.NDArray[np.uint64]) -> Tensor:
    """Deviate from a mean on the logit scale; [n, n_regions]."""
    m = mean.clamp(*DRAWN_RANGE)
    z = normal_deviates(seeds, m.shape[1], m.device)
    deviation = variance.sqrt().div_(m * (1 - m)).mul_(-torch.from_numpy(size)[:, None].to(m.device))
    # Odds of being unmethylated, times what the deviation changes them by.
    odds = m.reciprocal_().sub_(1).mul_(deviation.mul_(_heavy_tailed(z)).exp_())
    return odds.add_(1).reciprocal_()


def _heavy_tailed(z: Tensor) -> Tensor:
    """Turn normal deviates into ones of variance 1 with the tails of Student's t.

    Cornish-Fisher expansion to the second order (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5).
    """
    square = z.square()
    return (square * _TAILS[2]).add_(_TAILS[1]).mul_(square).add_(_TAILS[0]).mul_(z)


def _tails() -> tuple[float, float, float]:
    n = DRAWN_FREEDOM
    a, b, c = 1 + 1 / (4 * n) + 1 / (32 * n**2), 1 / (4 * n) + 1 / (6 * n**2), 5 / (96 * n**2)
    # By the moments of a normal deviate: 1, 3, 15, 105, 945.
    deviation = (a * a + 6 * a * b + 15 * (b * b + 2 * a * c) + 210 * b * c + 945 * c * c) ** 0.5
    return a / deviation, b / deviation, c / deviation


_TAILS = _tails()
