"""Signals that ask a training to stop."""

import signal
from typing import Any

# How a training ends that was asked to stop and has saved its state. A scheduler's warning (SIGUSR1) and the order to
# end (SIGTERM) must be distinguished by the script around it: only after a warning may the job be started again.
STOPPED = {signal.SIGUSR1: 75, signal.SIGTERM: 128 + signal.SIGTERM}


class StopSignal:
    """While it is entered, notes a signal that asks to stop, for the end of the current step.

    Attributes
    ----------
    number
        Of the signal; 0 while there is none.
    """

    def __init__(self) -> None:
        self.number = 0

    def __enter__(self) -> "StopSignal":
        self._previous = {number: signal.signal(number, self._note) for number in STOPPED}
        return self

    def __exit__(self, *_: object) -> None:
        """Put the former handlers back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: Any) -> None:
        # The order to end outranks the warning, whichever comes first.
        self.number = max(self.number, number)
