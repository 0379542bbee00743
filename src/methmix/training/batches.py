"""Training mixtures, drawn anew for every step, as at inference of donors that are not in the profiles.

Profiles that include the donors of the mixtures would make training mixtures too easy: the model would learn that
profiles are exact. So each step has an episode: of every tissue one donor is for the mixtures and the others are for
the profile, or, where there is no other and at random elsewhere, both are drawn around the profile, and each mixture
has donors of its own. A drawn donor has admixture of other tissues (`methmix.reference.admixture`). Where the
composition of donors is known, that is what the model learns; else it learns their labels.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import norm
from torch import Tensor

from methmix import cli, seeds
from methmix.config.arm import ArmSettings, ReferenceBackboneSettings, TrainingSettings
from methmix.config.experiment import Experiment
from methmix.devices import DeviceRows, sent
from methmix.files.reference import Reference
from methmix.mixtures.drawn_donors import DonorPlan, draw_donors
from methmix.mixtures.reads import normal_deviates
from methmix.mixtures.sampler import DonorSource, MixedDonors, MixtureBatch, MixtureSampler
from methmix.reference.admixture import Admixture, admixture_of
from methmix.reference.profiles import DonorSums
from methmix.reference.shrinkage import ShrunkenProfiles
from methmix.reference.variation import DRAWN_SIZE, MAXIMUM_ADMIXTURE
from methmix.tissue_profiles import Profiles

# How often a tissue with several donors has a drawn one: few donors would be memorised.
_DRAWN = 0.5
# Mixtures to calibrate on, with what fractions of pure ones and of ones of any kind, and of ones with a part of the
# regions.
_CALIBRATION, _CALIBRATED, _PARTIAL = 4000, (0.05, 0.45), 0.2
# Range of the sizes of the deviations of varied donors.
_VARIED = (0.5, 3.0)
# Smallest part of the regions that a mixture is left with.
_FEWEST_REGIONS = 0.05


class Episode(NamedTuple):
    """The profiles of a step, None for a model without any, and what chooses the donors of its mixtures."""

    profiles: Profiles | None
    donors: DonorSource


class Episodes:
    """Draws episodes from the training donors, purified or not.

    The profiles of a model are shrunken or raw, and made only for a model that has some; donors are always drawn around
    the shrunken ones, as all that is known of a tissue. ``profiles`` are those of all donors.
    """

    def __init__(self, reference: Reference, donors: DonorSums, shrink: bool, with_profiles: bool = True) -> None:
        self._groups = list(reference.pool("train").values())
        self._composition = reference.composition
        training = [row for rows in self._groups for row in rows]
        self._raw = DeviceRows(reference.fractions, training, donors.all.mean.device)
        shrunken = ShrunkenProfiles(donors)
        self._admixture, self._impurity = admixture_of(reference, donors)
        self._known, self._source = shrunken.all, shrunken if shrink else donors
        self.profiles, self._with_profiles = self._source.all, with_profiles

    def draw(self, rng: np.random.Generator, varied: bool = False) -> Episode:
        """Draw one episode, with donors as estimated or, of real references, more ``varied`` ones.

        Few real donors have shown how they differ; what is trained on more than is likely relies less on it.
        """
        sizes = _VARIED if varied and not self._admixture.is_there else None
        chosen = {
            tissue: int(rows[rng.integers(len(rows))])
            for tissue, rows in enumerate(self._groups)
            if len(rows) > 1 and rng.random() >= _DRAWN
        }
        profiles = self.profiles if self._with_profiles else None
        if chosen and profiles:
            tissues, rows = list(chosen), list(chosen.values())
            profiles = profiles.replaced(tissues, self._source.without(tissues, rows))
        return Episode(profiles, partial(self._donors, chosen, self._impure(rng), sizes))

    def _impure(self, rng: np.random.Generator) -> Profiles:
        """Draw what the tissues may be: a profile still holds some of another tissue, or has lost some of its own."""
        n, mean = len(self._groups), self._known.mean
        others = sent(self._admixture.others(np.arange(n), 1, rng)[:, 0], mean.device)
        too_much = (self._impurity * rng.standard_normal(n)).clip(-MAXIMUM_ADMIXTURE, MAXIMUM_ADMIXTURE)
        foreign = sent(too_much.astype(np.float32), mean.device)
        drawn = torch.lerp(mean, mean[others], foreign[:, None])
        return replace(self._known, mean=drawn.clamp_(0, 1))

    def _donors(
        self,
        chosen: dict[int, int],
        known: Profiles,
        sizes: tuple[float, float] | None,
        proportions: npt.NDArray[np.float32],
        rng: np.random.Generator,
        rows: slice,
    ) -> MixedDonors:
        """Choose the donors of mixtures: the left-out ones, and for each mixture its own of the other tissues."""
        mixture, tissue = np.nonzero(proportions)
        # For all mixtures, so that those of other ranks are drawn alike.
        own = plan_donors(tissue, self._admixture, sizes, rng)
        wanted = np.zeros(len(proportions), dtype=bool)
        wanted[rows] = True
        is_drawn = ~np.isin(tissue, list(chosen)) & wanted[mixture]
        drawn, left_out = own.at(is_drawn), list(chosen.values())
        composition = self._admixture.composition(drawn.tissue, drawn.foreign)
        fractions = known.mean.new_empty(len(left_out) + len(drawn.tissue), known.mean.shape[1])
        fractions[: len(left_out)] = self._raw[left_out]
        draw_donors(known.mean, known.spread, drawn, fractions[len(left_out) :])
        weights = np.zeros((len(proportions), len(chosen) + int(is_drawn.sum())), dtype=np.float32)
        for column, of_tissue in enumerate(chosen):
            weights[:, column] = proportions[:, of_tissue]
        columns = len(chosen) + np.arange(is_drawn.sum())
        weights[mixture[is_drawn], columns] = proportions[mixture[is_drawn], tissue[is_drawn]]
        composition = np.concatenate([self._composition[left_out], composition])
        return MixedDonors(fractions, weights[rows], composition)


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
    Without episodes, the donors of the sampler's split are mixed. ``any_fraction`` are of any kind.
    """

    sampler: MixtureSampler
    seed: int
    settings: TrainingSettings
    phase: str
    any_fraction: float = 0.0
    episodes: Episodes | None = None

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """Make the batch of a step, or some rows of it, where several processes divide it."""
        settings = self.settings
        fractions = settings.pure_fraction, self.any_fraction
        stream = "training", self.phase, step
        return self._drawn(self.episodes, fractions, settings.partial_fraction, rows, True, *stream)

    def calibration(self, episodes: Episodes) -> Iterator[Batch]:
        """Make batches to calibrate on: mixtures of any kind as well as of the recipe, with episodes in any case."""
        n_batches = -(-_CALIBRATION // self.settings.batch_size)
        for number in cli.progress(range(n_batches), "calibration, batches of mixtures", n_batches):
            yield self._drawn(episodes, _CALIBRATED, _PARTIAL, slice(None), False, "calibration", self.phase, number)

    def _drawn(
        self,
        episodes: Episodes | None,
        fractions: tuple[float, float],
        partial: float,
        rows: slice,
        varied: bool,
        *stream: str | int,
    ) -> Batch:
        rng = seeds.generator(self.seed, *stream)
        profiles, donors = episodes.draw(rng, varied) if episodes else (None, None)
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
    on_reference = isinstance(arm.model, ReferenceBackboneSettings)
    episodes = Episodes(reference, donors, is_shrunken(arm), on_reference) if settings.leave_donors_out else None
    any_fraction = settings.of_any_kind(reference.known_composition is not None)
    return TrainingBatches(sampler, experiment.seed, settings, arm.phase, any_fraction, episodes)


def is_shrunken(arm: ArmSettings) -> bool:
    """Whether a model has shrunken profiles: that is how its least squares account for errors in variables."""
    return isinstance(arm.model, ReferenceBackboneSettings) and arm.model.least_squares.errors_in_variables


def _hide(drawn: MixtureBatch, n: int, fraction: float, rows: slice, rng: np.random.Generator) -> None:
    """Leave some of the mixtures, ``rows`` of ``n``, with a part of their regions: samples may have few of them."""
    hidden = rng.random(n) < fraction
    kept = np.where(hidden, np.exp(rng.uniform(np.log(_FEWEST_REGIONS), 0, n)), 1)
    own = rng.integers(2**64, size=n, dtype=np.uint64)
    kept, own = kept[rows], own[rows]
    some = np.flatnonzero(kept < 1)
    device = drawn.depth.device
    least = sent(norm.ppf(kept[some]).astype(np.float32), device)
    gone = normal_deviates(own[some], drawn.depth.shape[1], device) >= least[:, None]
    place = sent(some, device)
    for values, missing in ((drawn.depth, 0.0), (drawn.methylation, torch.nan)):
        values.index_copy_(0, place, values.index_select(0, place).masked_fill_(gone, missing))


def plan_donors(
    tissue: npt.NDArray[np.integer],
    admixture: Admixture,
    sizes: tuple[float, float] | None,
    rng: np.random.Generator,
) -> DonorPlan:
    """Plan donors of these tissues, as estimated or with deviations log-uniformly ``sizes`` times as large."""
    n = len(tissue)
    foreign, size = admixture.draw(tissue, rng), _sizes(n, sizes, rng)
    return DonorPlan(tissue, size, foreign, rng.integers(2**64, size=n, dtype=np.uint64))


def _sizes(n: int, within: tuple[float, float] | None, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Draw by how much the deviations of each donor are larger than those of a typical one, [n].

    Log-normal as estimated, or log-uniform within a range.
    """
    if within is None:
        logarithms = DRAWN_SIZE * rng.standard_normal(n) - DRAWN_SIZE**2 / 2
    else:
        logarithms = rng.uniform(np.log(within[0]), np.log(within[1]), n)
    return np.exp(logarithms).astype(np.float32)
