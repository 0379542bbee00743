"""Counts on disk: written region by region as tables have them, read sample by sample."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Rows = slice | npt.NDArray[np.int64]


class Store:
    """A temporary file without a name, of 8 bytes a sample and region, gone when it is closed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._end = 0

    @classmethod
    @contextmanager
    def open(cls) -> Iterator["Store"]:
        """Open a store in the folder for temporary files (``TMPDIR``)."""
        with tempfile.TemporaryFile(prefix="methmix.") as file:
            yield cls(file)

    def append(self, methylated: Array, depth: Array) -> int:
        """Write arrays [n_samples, n] and tell where they are."""
        at = self._end
        self._file.seek(at)
        for values in (methylated, depth):
            self._file.write(np.ascontiguousarray(values, dtype=np.float32).data)
        self._end = self._file.tell()
        return at

    def read(self, at: int, shape: tuple[int, int], samples: slice) -> tuple[Array, Array]:
        """Read some samples of the arrays that were written at a place."""
        n_samples, n = shape
        self._file.flush()
        values = []
        for number in (0, 1):
            self._file.seek(at + 4 * n * (number * n_samples + samples.start))
            count = (samples.stop - samples.start) * n
            values.append(np.frombuffer(self._file.read(4 * count), dtype=np.float32).reshape(-1, n))
        return values[0], values[1]


class StoredCounts:
    """Counts of the samples of one file, in a store.

    Parameters
    ----------
    store
        Where they are kept.
    n_samples, n_regions
        Their shape.
    """

    def __init__(self, store: Store, n_samples: int, n_regions: int) -> None:
        self._store, self._n_samples, self._n_regions = store, n_samples, n_regions
        self._parts: list[tuple[int, Rows, int]] = []

    def append(self, region: npt.NDArray[np.int64], methylated: Array, depth: Array) -> None:
        """Add counts [n_samples, n] of n regions, which are in no order and may be there again."""
        unique, position = np.unique(region, return_inverse=True)
        if len(unique) < len(region):
            methylated, depth = (_summed(values, position, len(unique)) for values in (methylated, depth))
            region = unique
        if len(region):
            together = region[-1] - region[0] + 1 == len(region) and bool((np.diff(region) == 1).all())
            rows = slice(int(region[0]), int(region[-1]) + 1) if together else region
            self._parts.append((self._store.append(methylated, depth), rows, len(region)))

    def read(self, samples: slice) -> tuple[Array, Array]:
        """Give methylated and depth [samples, n_regions], 0 for a region that was not added."""
        shape = (samples.stop - samples.start, self._n_regions)
        totals = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
        for at, rows, n in self._parts:
            part = self._store.read(at, (self._n_samples, n), samples)
            for total, values in zip(totals, part, strict=True):
                total[:, rows] += values
        return totals


def _summed(values: Array, position: npt.NDArray[np.int64], n: int) -> Array:
    total = np.zeros((n, len(values)), dtype=np.float32)
    np.add.at(total, position, values.T)
    return total.T
