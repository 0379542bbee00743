"""Writing HDF5 files: atomically, and without a word of HDF5 where the disk is full."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from methmix.files.atomic import atomic_path
from methmix.files.seal import seal

# That there is room for what HDF5 writes first is known before it begins.
_FIRST_BYTES = 1 << 16


@contextmanager
def new_hdf5(path: Path) -> Iterator[h5py.File]:
    """Give a file to write to, which appears under its name, with its seal, when the block ends well."""
    with atomic_path(path) as temporary:
        with temporary.open("wb") as empty:
            os.posix_fallocate(empty.fileno(), 0, _FIRST_BYTES)
        # Not locked, which not every file system grants: its name is known to nobody else.
        file = h5py.File(temporary, "w", locking=False)
        try:
            yield file
            file.flush()
        except BaseException:
            _forget(file)
            raise
        finally:
            file.close()
        seal(temporary)


def _forget(file: h5py.File) -> None:
    """Let the rest be written to memory: of each object that cannot be closed, HDF5 would print a traceback."""
    nowhere = os.memfd_create("methmix")
    os.dup2(nowhere, file.id.get_vfd_handle())
    os.close(nowhere)
