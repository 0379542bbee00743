"""In-silico mixtures: which tissues in which proportions, and the reads that a sequencer would give."""

from methmix.mixtures.recipes import draw_proportions
from methmix.mixtures.sampler import DonorMixer, MixtureBatch, MixtureSampler

__all__ = ["DonorMixer", "MixtureBatch", "MixtureSampler", "draw_proportions"]
