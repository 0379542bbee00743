"""Training mixtures, made while the previous step is computed."""

import queue
import threading
from collections.abc import Generator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from methmix import seeds
from methmix.least_squares import Profiles
from methmix.mixtures import MixtureSampler
from methmix.training.episodes import Episodes


class Batch(NamedTuple):
    """Mixtures of one step.

    Parameters
    ----------
    methylation, depth
        float32 [batch_size, n_regions], methylation NaN where depth is 0.
    proportions
        True ones, float32 [batch_size, n_tissues].
    profiles
        Those without the donors of these mixtures, for a model that is trained in episodes.
    """

    methylation: Tensor
    depth: Tensor
    proportions: Tensor
    profiles: Profiles | None


# Batches that may wait; more would only cost memory.
_AHEAD = 3


class TrainingBatches:
    """Batches by step number: every step has a random stream of its own, so none is ever repeated.

    Parameters
    ----------
    sampler
        Sampler of the train split.
    seed, phase
        Name the random streams. Arms of one experiment share them, so they see the same mixtures.
    batch_size
        Mixtures in a batch.
    pure_fraction
        Share of mixtures of one tissue, 0-1.
    episodes
        Draws the donors of every step; by default those of the sampler's split are mixed.
    rows
        Rows of every batch that `steps` gives, where several processes share it; by default all.
    """

    def __init__(
        self,
        sampler: MixtureSampler,
        seed: int,
        phase: str,
        batch_size: int,
        pure_fraction: float,
        episodes: Episodes | None = None,
        rows: slice = slice(None),
    ) -> None:
        self._sampler = sampler
        self._seed = seed
        self._phase = phase
        self._batch_size = batch_size
        self._pure_fraction = pure_fraction
        self._episodes = episodes
        self._rows = rows

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """Make the batch of a step, or some rows of it."""
        rng = seeds.generator(self._seed, "training", self._phase, step)
        episode = self._episodes.draw(rng) if self._episodes else None
        given = episode.donors if episode else None
        drawn = self._sampler.sample(self._batch_size, rng, self._pure_fraction, given)
        order = rng.permutation(self._batch_size)[rows]
        return Batch(
            torch.from_numpy(np.ascontiguousarray(drawn.methylation[order])),
            torch.from_numpy(np.ascontiguousarray(drawn.depth[order], dtype=np.float32)),
            torch.from_numpy(np.ascontiguousarray(drawn.proportions[order])),
            episode.profiles if episode else None,
        )

    def steps(self, first: int, last: int) -> Generator[tuple[int, Batch], None, None]:
        """Yield (step, batch) for steps first to last - 1, drawn ahead in a thread."""
        waiting: queue.Queue[tuple[int, Batch] | BaseException] = queue.Queue(maxsize=_AHEAD)
        stop = threading.Event()

        def put(item: tuple[int, Batch] | BaseException) -> None:
            while not stop.is_set():
                try:
                    waiting.put(item, timeout=0.2)
                except queue.Full:
                    continue
                return

        def fill() -> None:
            try:
                for step in range(first, last):
                    if stop.is_set():
                        return
                    put((step, self.batch(step, self._rows)))
            except BaseException as error:  # handed to the consumer, which raises it
                put(error)

        thread = threading.Thread(target=fill, name="mixtures", daemon=True)
        thread.start()
        try:
            for _ in range(first, last):
                item = waiting.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stop.set()
            thread.join()
