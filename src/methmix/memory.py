"""Memory of this process: reuse of what was freed, and how much it has needed."""

import contextlib
import ctypes
import resource
import sys

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


def peak_memory_mb(of_children: bool = False) -> float:
    """Read the largest resident memory so far, in MiB, of this process or of the largest one that it waited for."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN if of_children else resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
