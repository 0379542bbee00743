"""Training mixtures, made where they are trained on."""

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
    For a model that is trained in episodes there are profiles without the donors of these mixtures.
    """

    methylation: Tensor
    depth: Tensor
    proportions: Tensor
    profiles: Profiles | None


class TrainingBatches:
    """Batches by step number: every step has a random stream of its own, so none is ever repeated.

    They are made between the steps, by all threads or by the GPU: a process of their own would only compete with the
    training for what both are bound by.

    Parameters
    ----------
    sampler
        Sampler of the train split.
    seed, phase
        Name the random streams. Arms of one experiment share them, so they see the same mixtures.
    batch_size
        Mixtures in a batch.
    pure_fraction
        Fraction of mixtures of one tissue, 0-1.
    episodes
        Draws the donors of every step; by default those of the sampler's split are mixed.
    """

    def __init__(
        self,
        sampler: MixtureSampler,
        seed: int,
        phase: str,
        batch_size: int,
        pure_fraction: float,
        episodes: Episodes | None = None,
    ) -> None:
        self.sampler = sampler
        self.episodes = episodes
        self._seed = seed
        self._phase = phase
        self._batch_size = batch_size
        self._pure_fraction = pure_fraction

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """Make the batch of a step, or some rows of it, where several processes share it."""
        rng = seeds.generator(self._seed, "training", self._phase, step)
        episode = self.episodes.draw(rng) if self.episodes else None
        given = episode.donors if episode else None
        drawn = self.sampler.sample(self._batch_size, rng, self._pure_fraction, given, rows)
        proportions = torch.from_numpy(drawn.proportions).to(drawn.depth.device, non_blocking=True)
        return Batch(drawn.methylation, drawn.depth, proportions, episode.profiles if episode else None)


def training_batches(
    arm: ArmSettings, experiment: Experiment, reference: Reference, device: torch.device
) -> TrainingBatches:
    """Make the batches of an arm; arguments as for `methmix.training.loop.Trainer`."""
    settings, mixtures = arm.training, experiment.mixtures
    sampler = MixtureSampler(reference, "train", mixtures.recipes[arm.phase], mixtures.mean_depths, device)
    episodes = Episodes(reference, arm.model.purify_donors, device) if settings.leave_donors_out else None
    return TrainingBatches(sampler, experiment.seed, arm.phase, settings.batch_size, settings.pure_fraction, episodes)
