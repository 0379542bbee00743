"""Reuse of freed memory."""

import contextlib
import ctypes

# Of mallopt(3).
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> None:
    """Keep the memory of freed arrays for the next ones, which are as large; without glibc, nothing happens.

    Otherwise the system zeroes the pages of every large array of every training step, which costs as much as some of
    the computing.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_TOP_PAD, 2**26)
