"""Functions in a process of their own, with one thread and with memory that is theirs alone. For Linux."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from methmix.memory import keep_freed_memory

STATUS = Path("/proc/self/status")
# Numerical libraries read their number of threads when they are loaded. The last one silences torch's profiler.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "KINETO_LOG_LEVEL": "99"}


def apart(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Run a function of a module in a new process; of several threads, one that waits for a core stalls the others."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare) as pool:
        return pool.submit(function, *arguments).result()


def _prepare() -> None:
    os.environ.update(_ENVIRONMENT)
    keep_freed_memory()  # as every command line does


def peak_memory() -> float:
    """Return the peak resident memory of this process, MiB; ``ru_maxrss`` would start from that of its parent."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
