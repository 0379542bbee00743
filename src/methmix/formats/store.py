"""Counts of more samples than memory holds, in one temporary file."""

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from methmix.errors import RunError
from methmix.rows import blocks

# Methylated and depth of some samples, [n, n_regions] each.
Pair = tuple[npt.NDArray[Any], npt.NDArray[Any]]


class CountsStore:
    """Two values of each sample and region, such as methylated and depth, in a temporary file (in ``TMPDIR``).

    The file has no name, is mapped part by part, so that memory does not grow with the number of samples, and is gone
    when the ``with`` statement ends that the store is made in. Models read float32; counts of a reference are int32.
    """

    def __init__(self, n_regions: int, dtype: npt.DTypeLike = np.float32) -> None:
        self._file = tempfile.TemporaryFile(prefix="methmix.")  # noqa: SIM115 (closed by __exit__)
        self._n_regions, self._dtype, self._n = n_regions, np.dtype(dtype), 0
        self._row_bytes = 2 * n_regions * self._dtype.itemsize

    def __enter__(self) -> "CountsStore":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._n

    def extend(self, n: int) -> slice:
        """Add ``n`` samples without reads and return their rows; RunError if the disk has no room for them.

        The room is taken at once: were it missing when a map is written to, the process would end without a word.
        """
        rows = slice(self._n, self._n + n)
        if size := n * self._row_bytes:
            try:
                os.posix_fallocate(self._file.fileno(), rows.start * self._row_bytes, size)
            except OSError as error:
                raise RunError(
                    f"{tempfile.gettempdir()}: cannot hold {size / 2**20:,.0f} MiB of temporary counts "
                    f"({error.strerror})",
                    "set TMPDIR to a folder with more room, and start the same command again",
                ) from None
        self._n = rows.stop
        return rows

    def mapped(self, rows: slice) -> npt.NDArray[Any]:
        """Map some samples, [n, 2, n_regions]: what is assigned to the array is in the store."""
        shape = (rows.stop - rows.start, 2, self._n_regions)
        if 0 in shape:
            return np.empty(shape, dtype=self._dtype)
        return np.memmap(self._file, self._dtype, mode="r+", offset=rows.start * self._row_bytes, shape=shape)

    def append(self, first: npt.NDArray[Any], second: npt.NDArray[Any]) -> slice:
        """Add samples, [n, n_regions] each of the two values, and return their rows."""
        rows = self.extend(len(first))
        mapped = self.mapped(rows)
        mapped[:, 0], mapped[:, 1] = first, second
        return rows

    def read(self, rows: slice) -> Pair:
        """Return the two values of some samples, [n, n_regions] each."""
        mapped = self.mapped(rows)
        return mapped[:, 0], mapped[:, 1]

    def blocks(self, size: int) -> Iterator[Pair]:
        """Yield the two values of all samples, ``size`` at a time."""
        return map(self.read, blocks(self._n, size))
