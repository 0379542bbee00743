"""How large a file and its parts may be: looked at before anything is read, so that a small file fills no memory."""

import os
from pathlib import Path

from methmix.errors import InputError

# In the environment: nothing is bounded.
LIFT = "METHMIX_NO_SIZE_LIMITS"


def is_lifted() -> bool:
    """Whether ``METHMIX_NO_SIZE_LIMITS=1`` in the environment lifts all bounds."""
    return os.environ.get(LIFT) == "1"


def check_size(path: Path, what: str, size: int, most: int, unit: str = "bytes") -> None:
    """Check a size against its bound, unless all bounds are lifted.

    Parameters
    ----------
    what
        What has that size, for the message.
    """
    if size > most and not is_lifted():
        raise InputError(
            f"{path}: {what}: {size:,} {unit}, more than the bound of {most:,}",
            f"check the file; {LIFT}=1 in the environment lifts the bound",
        )
