"""How pages and figures write numbers."""

from collections.abc import Sequence

import numpy as np


def percent(value: float, digits: int | None = None) -> str:
    """Write a proportion in per cent, with ``digits`` decimals or as many as needed."""
    return f"{100 * value:g} %" if digits is None else f"{100 * value:.{digits}f} %"


def shown(value: float | None, digits: int = 3) -> str:
    """Write a number, which may be undefined."""
    return "undefined" if value is None or np.isnan(value) else f"{value:.{digits}f}"


def in_unit(value: float | None, unit: str) -> str:
    """Write a metric in per cent (``%``) or as a number; it may be undefined.

    Examples
    --------
    >>> in_unit(0.0023, "%"), in_unit(-0.00003, "%"), in_unit(0.0, "%")
    ('0.23 %', '-0.003 %', '0.00 %')
    """
    if unit != "%" or value is None or np.isnan(value):
        return shown(value)
    # Differences of errors are small.
    return percent(value, 3 if 0 < abs(value) < 1e-3 else 2)


def between(ends: Sequence[float | None], unit: str) -> str:
    """Write an interval."""
    return " to ".join(in_unit(end, unit) for end in ends)


def plural(number: int, word: str) -> str:
    """Write a count with its noun, such as ``1 donor``, ``2 donors``."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"
