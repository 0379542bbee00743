"""A long measurement in parts, each of which may fail, with a time limit; what is known is kept after every part."""

import gc
import logging
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

logger = logging.getLogger("methmix")

PASSED, FAILED, DONE, NOT_MEASURED = "passed", "failed", "done", "not measured"


class NotMeasuredError(Exception):
    """A part cannot be measured here; the message says why."""


class Finding(NamedTuple):
    """What a check has found: a figure and the limit that it must keep, or no figure, and why in the note.

    The figure must be at most the limit, or, where ``least`` is set, at least that.
    """

    figure: float | None
    limit: float | None = None
    note: str = ""
    least: bool = False

    @property
    def outcome(self) -> str:
        """Whether the check has passed; a figure that is no number has not."""
        if self.figure is None or self.limit is None:
            return NOT_MEASURED
        kept = self.figure >= self.limit if self.least else self.figure <= self.limit
        return PASSED if kept else FAILED


class Found(NamedTuple):
    """The figures of a part, by name, as JSON has them, and the findings of its checks."""

    figures: dict[str, Any]
    findings: Mapping[str, Finding] = {}


class Part(NamedTuple):
    """A part: its name, what measures it, and its checks, by name, with what each compares.

    It is not begun with less than ``seconds`` left.
    """

    name: str
    measure: Callable[[], Found]
    checks: Mapping[str, str] = {}
    seconds: float = 1.0


class Deadline:
    """The end of the time that a run has."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self._started = seconds, time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._started

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self.seconds - self.spent

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Raise NotMeasuredError at the end, wherever the block is then; for the main thread."""

        def end(*_: Any) -> None:
            raise NotMeasuredError(f"stopped after {self.spent:.0f} s, as the time was over")

        former = signal.signal(signal.SIGALRM, end)
        signal.setitimer(signal.ITIMER_REAL, max(self.left, 1e-3))
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, former)


class Account:
    """What is known so far of parts, checks and figures; before a part is measured, it and its checks are not."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        waiting = {"outcome": NOT_MEASURED, "seconds": 0.0, "message": "the run ended before"}
        self.parts: dict[str, dict[str, Any]] = {part.name: dict(waiting) for part in parts}
        self.checks: dict[str, dict[str, Any]] = {}
        self.measured: dict[str, dict[str, Any]] = {}
        for part in parts:
            self._judge(part, {}, NOT_MEASURED, waiting["message"])

    def _judge(self, part: Part, findings: Mapping[str, Finding], otherwise: str, why: object) -> None:
        for name, compared in part.checks.items():
            found = findings.get(name, Finding(None, note=str(why)))
            self.checks[name] = {
                "compared": compared,
                "figure": found.figure if found.figure is not None and math.isfinite(found.figure) else None,
                "relation": ">=" if found.least else "<=",
                "limit": found.limit,
                "outcome": found.outcome if name in findings else otherwise,
                "note": found.note,
            }

    @property
    def failed(self) -> list[str]:
        """Names of the parts and checks that have failed."""
        return [name for of in (self.parts, self.checks) for name, entry in of.items() if entry["outcome"] == FAILED]

    def measure(self, deadline: Deadline, write: Callable[[], None]) -> None:
        """Measure part by part; ``write`` is called at first, after every part that was begun, and at the end."""
        write()
        for part in self._parts:
            begun = deadline.spent
            findings: Mapping[str, Finding] = {}
            outcome, message = self._outcome(part, deadline)
            if isinstance(message, Found):
                self.measured[part.name], findings = message
                message = ""
            self.parts[part.name] = {"outcome": outcome, "seconds": deadline.spent - begun, "message": message}
            self._judge(part, findings, outcome if outcome == FAILED else NOT_MEASURED, message)
            logger.info("%6.1f s  %s: %s%s", deadline.spent, part.name, outcome, f" ({message})" if message else "")
            if outcome != NOT_MEASURED:
                release()
                write()
        write()

    def _outcome(self, part: Part, deadline: Deadline) -> tuple[str, Found | str]:
        """Measure a part; the message is short, as an exception holds the tensors of its frames."""
        if deadline.left < part.seconds:
            return NOT_MEASURED, f"{max(0.0, deadline.left):.0f} s were left, it takes at least {part.seconds:.0f}"
        logger.info("%6.1f s  %s", deadline.spent, part.name)
        try:
            with deadline.kept():
                return DONE, part.measure()
        except NotMeasuredError as error:
            return NOT_MEASURED, str(error)
        except Exception as error:
            logger.debug("traceback follows", exc_info=error)
            return FAILED, f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"


def release() -> None:
    """Give memory that nothing refers to any more back to the GPU."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
