"""Functions in processes of their own, with one thread and with memory that is theirs alone. For Linux."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, cast

from methmix.errors import RunError
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


def at_once(calls: Sequence[Callable[[], Any]], seconds: float) -> list[Any]:
    """Run calls in new processes at the same time, as they wait for each other; returns what each has returned.

    RunError where one fails or the time is over; none of the processes is left.
    """
    context, started, pipes = multiprocessing.get_context("spawn"), [], []
    try:
        for call in calls:
            pipe, answer = context.Pipe(duplex=False)
            started.append(context.Process(target=_answer, args=(answer, call), daemon=True))
            started[-1].start()
            # Else this process would hold it open, and not notice that the other one has ended.
            answer.close()
            pipes.append(pipe)
        return _answers(pipes, time.monotonic() + seconds)
    finally:
        for process in started:
            process.kill()
            process.join()


def _answer(pipe: Connection, call: Callable[[], Any]) -> None:
    try:
        pipe.send((call(), ""))
    except Exception as error:
        pipe.send((None, f"{type(error).__name__}: {error}"))


def _answers(pipes: list[Connection], end: float) -> list[Any]:
    found: dict[Connection, Any] = {}
    while len(found) < len(pipes):
        ready = wait([pipe for pipe in pipes if pipe not in found], max(0.0, end - time.monotonic()))
        if not ready:
            raise RunError(f"{len(pipes) - len(found)} of {len(pipes)} processes have not ended in time")
        for pipe in cast(list[Connection], ready):
            try:
                found[pipe], error = pipe.recv()
            except EOFError:
                raise RunError("a process has ended without an answer") from None
            if error:
                raise RunError(f"a process has failed: {error}")
    return [found[pipe] for pipe in pipes]


@contextmanager
def timed(times: dict[str, float], what: str = "") -> Iterator[None]:
    """Add what the block takes to ``<what>cpu_seconds``, computed by this process, and ``<what>seconds``."""
    clocks = {f"{what}cpu_seconds": time.process_time, f"{what}seconds": time.monotonic}
    before = {name: clock() for name, clock in clocks.items()}
    yield
    times |= {name: times.get(name, 0.0) + clock() - before[name] for name, clock in clocks.items()}


def peak_memory() -> float:
    """Return the peak resident memory of this process, MiB; ``ru_maxrss`` would start from that of its parent."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
