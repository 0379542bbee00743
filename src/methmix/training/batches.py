"""Training mixtures, drawn anew for every step."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from methmix import seeds
from methmix.config.arm import ArmSettings
from methmix.config.experiment import Experiment
from methmix.files.reference import Reference
from methmix.least_squares import Profiles
from methmix.mixtures.sampler import MixtureSampler
from methmix.training.episodes import Episodes


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

    Parameters
    ----------
    sampler
        Sampler of the train split.
    seed, phase
        Name the random streams. Arms of one experiment have them in common, so they see the same mixtures.
    batch_size
        Mixtures in a batch.
    pure_fraction
        Fraction of mixtures of one tissue, 0-1.
    episodes
        Draws the donors of every step; by default those of the sampler's split are mixed.
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
