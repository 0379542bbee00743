"""Samples that are kept aside, to be gone through several times."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]

_BLOCK = 128


class Spool:
    """Samples in a temporary file without a name, of 8 bytes a region, to be gone through several times."""

    def __init__(self, file: IO[bytes], n_regions: int) -> None:
        self._file, self._n_regions = file, n_regions

    @classmethod
    @contextmanager
    def open(cls, n_regions: int) -> Iterator["Spool"]:
        """Open a spool in the folder for temporary files (``TMPDIR``)."""
        with tempfile.TemporaryFile(prefix="methmix.") as file:
            yield cls(file, n_regions)

    def append(self, methylation: Array, depth: Array) -> None:
        """Add samples, [n, n_regions] each."""
        self._file.seek(0, 2)
        for pair in zip(methylation, depth, strict=True):
            self._file.write(np.stack(pair).astype(np.float32).data)

    def blocks(self) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
        """Yield methylation and depth of all samples, some at a time."""
        self._file.seek(0)
        while content := self._file.read(_BLOCK * 8 * self._n_regions):
            pairs = np.frombuffer(content, dtype=np.float32).reshape(-1, 2, self._n_regions)
            yield pairs[:, 0], pairs[:, 1]
