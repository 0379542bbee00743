"""Where the time of a training step goes."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from methmix.benchmark.clock import Stopwatch, medians, seconds
from methmix.benchmark.inputs import few_mixtures
from methmix.benchmark.products import Products
from methmix.config.arm import ArmSettings
from methmix.config.experiment import Experiment
from methmix.files.reference import Reference
from methmix.training.batches import Batch, TrainingBatches
from methmix.training.loop import Trainer

# In the order of a step.
PARTS = ("episode", "mixing_and_reads", "forward", "backward", "optimiser")
_VALIDATION = 10
_FIRST = 2


class TimedTraining:
    """The training of an arm, step by step under a clock; nothing is written.

    It is the trainer's own code that is timed, so its private parts are used here, and nowhere else.

    Parameters
    ----------
    arm, experiment, reference, device
        As for `Trainer`.
    """

    def __init__(self, arm: ArmSettings, experiment: Experiment, reference: Reference, device: torch.device) -> None:
        validation = few_mixtures(experiment, reference, _VALIDATION)
        self._trainer = Trainer(arm, experiment, reference, validation, Path("not written"), device)
        self._loss = self._trainer._loss
        self._settings = arm.training
        self._next = 0
        self.batch_size = arm.training.batch_size
        self.device = device

    def batch(self, watch: Stopwatch | None = None, size: int | None = None) -> Batch:
        """Make the mixtures of the next step, as many as the arm says or ``size``."""
        own, trainer = self._trainer.batches, self._trainer
        sampler: Any = own.sampler
        episodes: Any = own.episodes
        if watch:
            sampler = SimpleNamespace(sample=watch.watched("mixing_and_reads", sampler.sample))
            episodes = episodes and SimpleNamespace(draw=watch.watched("episode", episodes.draw))
        self._next += 1
        made = TrainingBatches(
            sampler,
            trainer.experiment.seed,
            trainer.arm.phase,
            size or self._settings.batch_size,
            self._settings.pure_fraction,
            episodes,
        )
        return made.batch(self._next)

    def step(self, batch: Batch, watch: Stopwatch | None = None) -> None:
        """Train on a batch."""
        optimiser = self._trainer.optimiser
        self._trainer._loss = watch.watched("forward", self._loss) if watch else self._loss  # type: ignore[assignment]
        hooks = [
            optimiser.register_step_pre_hook(lambda *_: watch.start("optimiser")),
            optimiser.register_step_post_hook(lambda *_: watch.end("optimiser")),
        ] if watch else []  # fmt: skip
        self._trainer.train_step(self._next, batch)
        for hook in hooks:
            hook.remove()

    def whole(self, size: int | None = None) -> float:
        """Give the seconds of one step, mixtures included."""
        return seconds(lambda: self.step(self.batch(size=size)), self.device)

    def parts(self) -> dict[str, float]:
        """Give the seconds of each part of one step (`PARTS`); a GPU is waited for after each."""
        watch = Stopwatch(self.device)
        self.step(self.batch(watch), watch)
        spent = {name: watch.seconds(name) for name in PARTS if name in watch.started}
        spent.setdefault("episode", 0.0)
        spent["backward"] = watch.started["optimiser"] - watch.ended["forward"]
        return {name: spent[name] for name in PARTS}

    def products(self) -> Products:
        """Do one step and note its matrix products."""
        batch, products = self.batch(), Products()
        with products:
            self.step(batch)
        return products


def training_step(training: TimedTraining, repetitions: int) -> dict[str, Any]:
    """Measure one arm: a step, its parts, and its matrix products alone, in turn; medians of the repetitions."""
    products = training.products()
    calls: dict[str, Callable[[], float]] = {
        "step": training.whole,
        "products": lambda: seconds(products.repeat, training.device),
    }
    rounds = []
    for _ in range(_FIRST + repetitions):
        rounds.append({**{name: call() for name, call in calls.items()}, **training.parts()})
    # The first ones meet empty caches.
    spent = medians(rounds[_FIRST:])
    return {
        "repetitions": repetitions,
        "taken": "median",
        "batch_size": training.batch_size,
        "step_seconds": spent["step"],
        "part_seconds": {name: spent[name] for name in PARTS},
        "products_seconds": spent["products"],
        "products": products.listed(),
        "products_gflop": products.flop / 1e9,
        "products_gflop_per_second": products.flop / 1e9 / spent["products"],
        "step_over_products": spent["step"] / spent["products"],
        "generation_over_step": spent["mixing_and_reads"] / spent["step"],
        "generation_with_episode_over_step": (spent["mixing_and_reads"] + spent["episode"]) / spent["step"],
    }
