"""Time of calls, on a GPU too, and how it grows."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch


class Stopwatch:
    """Notes when calls start and end.

    Parameters
    ----------
    device
        Where they compute: a GPU is waited for before the clock is read.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.started: dict[str, float] = {}
        self.ended: dict[str, float] = {}

    def now(self) -> float:
        """Read the clock, in seconds."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def start(self, name: str) -> None:
        """Note that something starts."""
        self.started[name] = self.now()

    def end(self, name: str) -> None:
        """Note that it ends."""
        self.ended[name] = self.now()

    def seconds(self, name: str) -> float:
        """Tell how long it took the last time."""
        return self.ended[name] - self.started[name]

    def watched(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Give a function that does the same and is noted."""

        def timed(*arguments: Any, **options: Any) -> Any:
            self.start(name)
            result = call(*arguments, **options)
            self.end(name)
            return result

        return timed


def seconds(call: Callable[[], Any], device: torch.device) -> float:
    """Time one call."""
    watch = Stopwatch(device)
    watch.watched("call", call)()
    return watch.seconds("call")


def medians(timed: Sequence[dict[str, float]]) -> dict[str, float]:
    """Give the median of each of the times that all have."""
    return {name: statistics.median(times[name] for times in timed) for name in timed[0]}


def growth(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Give the largest factor by which a doubling of the size multiplies the cost.

    Parameters
    ----------
    sizes
        Ascending; what is not a doubling is taken as a power of one.
    costs
        Cost at each size, > 0.
    """
    return max(
        math.exp(math.log(cost / cost_before) * math.log(2) / math.log(size / size_before))
        for (size_before, cost_before), (size, cost) in pairwise(zip(sizes, costs, strict=True))
    )
