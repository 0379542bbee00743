"""Functions in a process of their own, with the memory that it needs. For Linux."""

import multiprocessing
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from methmix.memory import keep_freed_memory

STATUS = Path("/proc/self/status")
_SAMPLE_SECONDS = 0.005


class Used(NamedTuple):
    """What a function gave and used.

    Parameters
    ----------
    result
        What it returned.
    seconds
        How long it took, without the start of the process.
    resident_mb
        Largest resident memory of the process (MiB), pages of mapped files included.
    anonymous_mb
        Largest anonymous memory, that of no file, of samples every 5 ms; what a machine must really have.
    """

    result: Any
    seconds: float
    resident_mb: float
    anonymous_mb: float


def apart(function: Callable[..., Any], *arguments: Any) -> Used:
    """Run a function of a module in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, function, arguments).result()


def _measured(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Used:
    # As a command line does (`methmix.cli.run`).
    keep_freed_memory()
    ended, samples = threading.Event(), [_status("RssAnon")]

    def sample() -> None:
        while not ended.wait(_SAMPLE_SECONDS):
            samples.append(_status("RssAnon"))

    sampler = threading.Thread(target=sample)
    sampler.start()
    started = time.perf_counter()
    try:
        result = function(*arguments)
    finally:
        spent = time.perf_counter() - started
        ended.set()
        sampler.join()
    return Used(result, spent, _status("VmHWM"), max(samples))


def _status(key: str) -> float:
    """Read a size of this process, MiB; unlike ``ru_maxrss``, without what it was in the process that started it."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) / 1024
