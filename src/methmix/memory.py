"""Reuse of freed memory."""

import ctypes

# Of mallopt(3): never take large blocks from the system one by one, and never give freed ones back.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_LARGEST_INT = 2**31 - 1
_STEP = 2**26


def keep_freed_memory() -> None:
    """Keep the memory of freed arrays for the next ones, which are as large.

    Otherwise the system hands out zeroed pages anew for every large array of every training step, which costs as much
    as some of the computing. Where the C library is not glibc, nothing happens.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, _LARGEST_INT)
    mallopt(_M_TOP_PAD, _STEP)
