"""Arrays that are read in blocks of rows, from memory or from a file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class Rows(Protocol):
    """Anything indexed by rows (``rows[2:5]``, ``rows[7]``, ``rows[:]``): a NumPy array or a dataset of a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows first."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> npt.NDArray[Any]: ...


@dataclass(frozen=True)
class ChangedRows:
    """Rows that a function changes as they are read; it gets one row, [n_columns], or some, [n_rows, n_columns]."""

    rows: Rows
    change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows first, then what the function leaves of the columns."""
        return (len(self.rows), *self[:0].shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any, /) -> npt.NDArray[Any]:
        return self.change(np.asarray(self.rows[rows]))


def fractions(methylated: npt.NDArray[Any], depth: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Divide methylated reads by all, of any shape; float32, 0-1, NaN where there are none."""
    divided = np.full(depth.shape, np.nan, dtype=np.float32)
    np.divide(methylated, depth, out=divided, where=depth > 0, casting="same_kind")
    return divided


def first_true(marks: npt.ArrayLike) -> int | None:
    """Give the place of the first entry of one axis that is true, None if none is."""
    marks = np.asarray(marks, dtype=bool)
    return int(marks.argmax()) if marks.any() else None


def blocks(n: int, size: int) -> list[slice]:
    """Divide ``n`` rows into blocks of at most ``size``, so that memory does not grow with ``n``."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
