"""Training mixtures, made while the previous step is computed."""

import queue
import threading
from collections.abc import Generator

import numpy as np
import torch
from torch import Tensor

from methmix import seeds
from methmix.mixtures import MixtureSampler

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
    """

    def __init__(self, sampler: MixtureSampler, seed: int, phase: str, batch_size: int, pure_fraction: float) -> None:
        self._sampler = sampler
        self._seed = seed
        self._phase = phase
        self._batch_size = batch_size
        self._pure_fraction = pure_fraction

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Make the batch of a step.

        Returns
        -------
        methylation, proportions
            float32 [batch_size, n_regions] with NaN where missing, and [batch_size, n_tissues].
        """
        rng = seeds.generator(self._seed, "training", self._phase, step)
        drawn = self._sampler.sample(self._batch_size, rng, self._pure_fraction)
        order = rng.permutation(self._batch_size)
        return (
            torch.from_numpy(np.ascontiguousarray(drawn.methylation[order])),
            torch.from_numpy(np.ascontiguousarray(drawn.proportions[order])),
        )

    def steps(self, first: int, last: int) -> Generator[tuple[int, Tensor, Tensor], None, None]:
        """Yield (step, methylation, proportions) for steps first to last - 1, drawn ahead in a thread."""
        waiting: queue.Queue[tuple[int, Tensor, Tensor] | BaseException] = queue.Queue(maxsize=_AHEAD)
        stop = threading.Event()

        def put(item: tuple[int, Tensor, Tensor] | BaseException) -> None:
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
                    put((step, *self.batch(step)))
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
