"""What the parts of the GPU run share: its sizes, the references and mixtures made on the spot, and trainings."""

import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from methmix.benchmark.costs import PHASE, opened, prepare
from methmix.benchmark.gpu_parts import Deadline, NotMeasuredError, release
from methmix.config.arm import ArmSettings
from methmix.config.load import load_arm, load_experiment
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.reference.build import build_reference
from methmix.training.loop import Trainer
from methmix.training.parallel import Ranks


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Parameters
    ----------
    regions, few_regions
        The most regions of the timed trainings, and those of the checks: small enough for a CPU to train 200 steps.
    mixtures
        Mixtures to validate on and to predict, at the full size.
    training_steps, seeds
        Steps of the trainings on CPU and GPU, and the seeds whose trainings on the CPU give the spread.
    short_steps
        Steps of each epoch of the trainings that are stopped or divided over processes.
    draws
        Counts drawn of each mean.
    warm_up, timed_steps
        Steps before the clock starts, and timed steps of each arm.
    batch_sizes, rate_seconds
        Batch sizes to compare, and for how long to time each.
    matrix, copied
        Rows of the square matrices whose product is timed, and bytes of the copy.
    """

    regions: int
    few_regions: int
    mixtures: int
    training_steps: int
    seeds: tuple[int, ...]
    short_steps: int
    draws: int
    warm_up: int
    timed_steps: dict[str, int]
    batch_sizes: tuple[int, ...]
    rate_seconds: float
    matrix: int
    copied: int


FULL = Sizes(
    regions=10**9,
    few_regions=2500,
    mixtures=1000,
    training_steps=200,
    seeds=(1, 2),
    short_steps=10,
    draws=2**18,
    warm_up=12,
    timed_steps={"original": 400, "sparse": 120},
    batch_sizes=(125, 250, 500, 1000),
    rate_seconds=1.5,
    matrix=8192,
    copied=2**30,
)
DRY = Sizes(
    regions=600,
    few_regions=300,
    mixtures=40,
    training_steps=4,
    seeds=(1, 2),
    short_steps=2,
    draws=2**16,
    warm_up=1,
    timed_steps={"original": 3, "sparse": 2},
    batch_sizes=(20, 40),
    rate_seconds=0.1,
    matrix=128,
    copied=2**20,
)
_FEW_MIXTURES = 300


class Room:
    """Makes trainings of the arms at the full size and at that of the checks; their files are below ``folder``."""

    def __init__(self, config: Path, sizes: Sizes, device: torch.device, folder: Path, deadline: Deadline) -> None:
        self.config, self.sizes, self.device, self.folder, self.deadline = config, sizes, device, folder, deadline
        self.experiment = load_experiment(config)
        self.files: dict[str, Path] = {name: Path(path) for name, path in self.experiment.arms[PHASE].items()}
        self._arms: dict[str, ArmSettings] = {
            name: load_arm(path, overrides=self.experiment.overrides) for name, path in self.files.items()
        }
        reference = build_reference(self.experiment)
        self.whole = min(len(reference.regions), sizes.regions)
        self.few = min(self.whole, sizes.few_regions)
        mixtures = {self.few: min(sizes.mixtures, _FEW_MIXTURES), self.whole: sizes.mixtures}
        self.inputs = {n: prepare(self.experiment, reference, n, mixtures[n], folder) for n in mixtures}
        self._opened = {n: opened(path) for n, path in self.inputs.items()}
        self._models: dict[tuple[str, int], Any] = {}
        self._numbers = count()
        self._held: tuple[str, Trainer] | None = None
        # Seconds of a step, and of a validation, at the full size.
        self.pace: dict[str, tuple[float, float]] = {}

    @property
    def names(self) -> list[str]:
        """Names of the arms."""
        return [*self.files]

    @property
    def on_gpu(self) -> bool:
        """Whether there is a GPU; in a dry run there is none."""
        return self.device.type == "cuda"

    def need_gpu(self) -> None:
        """Raise NotMeasuredError in a dry run."""
        if not self.on_gpu:
            raise NotMeasuredError("it needs a GPU")

    def reference(self, n_regions: int) -> Reference:
        """Give the reference of so many regions, `whole` or `few`."""
        return self._opened[n_regions][0]

    def mixtures(self, n_regions: int) -> Mixtures:
        """Give the validation mixtures of so many regions."""
        return self._opened[n_regions][1]

    def arm(self, name: str, n_regions: int, **training: Any) -> Any:
        """Give the settings of an arm, with changes of its training; its least squares are chosen but once."""
        arm = self._arms[name]
        model = self._models.get((name, n_regions), arm.model)
        return arm.model_copy(update={"model": model, "training": arm.training.model_copy(update=training)})

    def trainer(
        self,
        name: str,
        n_regions: int,
        device: torch.device | None = None,
        seed: int | None = None,
        folder: Path | None = None,
        **training: Any,
    ) -> Trainer:
        """Begin a training of an arm; on the measured device, with the experiment's seed, in a folder of its own."""
        arm = self.arm(name, n_regions, **training)
        experiment = self.experiment if seed is None else self.experiment.model_copy(update={"seed": seed})
        folder = folder or self.folder / f"training{next(self._numbers)}"
        made = Trainer(arm, experiment, *self._opened[n_regions], folder, device or self.device, Ranks())
        self._models[name, n_regions] = made.arm.model
        return made

    def full(self, name: str) -> Trainer:
        """Give the training of an arm at the full size; parts in succession share one, of one arm at a time."""
        if self._held is None or self._held[0] != name:
            self.let_go()
            self._held = (name, self.trainer(name, self.whole))
        return self._held[1]

    def let_go(self) -> None:
        """Free the training that is held."""
        self._held = None
        release()


def trained(trainer: Trainer, steps: int, first: int = 0) -> Trainer:
    """Do some steps of a training."""
    for step in range(first, first + steps):
        trainer.train_step(step, trainer.batches.batch(step))
    return trainer


class Marks:
    """Marks in the work of a device, and the seconds between them: on a GPU by events, which nothing waits for."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._marks: list[Any] = []

    def mark(self) -> None:
        """Set a mark after what the device has been given to do so far."""
        if self._device.type != "cuda":
            self._marks.append(time.perf_counter())
            return
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        self._marks.append(event)

    def seconds(self) -> npt.NDArray[np.float64]:
        """Wait for the device, and return the seconds between each two marks."""
        synchronise(self._device)
        if self._device.type != "cuda":
            return np.diff(self._marks)
        pairs = zip(self._marks[:-1], self._marks[1:], strict=True)
        return np.array([first.elapsed_time(second) / 1000 for first, second in pairs])


def synchronise(device: torch.device) -> None:
    """Wait until a device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
