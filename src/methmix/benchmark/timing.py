"""Times taken in turn, so that their ratios hold on a machine that does other work too."""

from collections.abc import Callable, Hashable, Mapping

import numpy as np
import pandas as pd
from torch.utils import benchmark

# Short calls are repeated for so long and averaged; a longer one is timed once, after a first one to warm up.
_LEAST_SECONDS = 0.05


def in_turn(
    calls: Mapping[Hashable, Callable[[], object]],
    rounds: int,
    threads: int = 1,
    clock: Callable[[], float] = benchmark.timer,
) -> pd.DataFrame:
    """Time calls one after the other, round after round.

    Parameters
    ----------
    calls
        Name -> what is timed; names that are tuples become levels of the columns.
    rounds
        How often each is timed.
    threads
        Number of torch threads.
    clock
        Returns seconds; the default one waits for a GPU.

    Returns
    -------
    DataFrame
        Seconds of one call, a row per round and a column per name. Other work slows neighbouring calls alike but
        changes from second to second, so compare within rounds: ``(times["b"] / times["a"]).median()``.
    """
    timers = [
        benchmark.Timer("call()", globals={"call": call}, num_threads=threads, timer=clock) for call in calls.values()
    ]
    taken = [[timer.blocked_autorange(min_run_time=_LEAST_SECONDS).median for timer in timers] for _ in range(rounds)]
    return pd.DataFrame(taken, columns=[*calls])


def growth(times: pd.DataFrame) -> float:
    """Return the largest factor by which doubling the size multiplies the time, a median over rounds.

    Parameters
    ----------
    times
        Seconds, a row per round and a column per size, ascending; between sizes a power law is assumed.
    """
    powers = np.diff(np.log(times), axis=1) / np.diff(np.log(times.columns.to_numpy(float)))
    return float(2 ** np.median(powers, axis=0).max())
