"""Arrays that are read in blocks of rows, from memory or from a file."""

from typing import Any, Protocol

import numpy.typing as npt


class Rows(Protocol):
    """Anything indexed by rows (``rows[2:5]``, ``rows[7]``, ``rows[:]``): a NumPy array or a dataset of a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows first."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> npt.NDArray[Any]: ...


def blocks(n: int, size: int) -> list[slice]:
    """Divide ``n`` rows into blocks of at most ``size``, so that memory does not grow with ``n``."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
