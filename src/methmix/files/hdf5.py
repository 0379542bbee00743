"""Opening HDF5 files, with clear errors."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from methmix.errors import InputError

_NO_LOCK = (errno.ENOLCK, errno.ENOSYS, errno.EAGAIN)


def open_hdf5(path: Path, made_by: str | None, schema_version: int | None, datasets: dict[str, int]) -> h5py.File:
    """Open a file for reading and check its version and datasets.

    Parameters
    ----------
    made_by
        The command that makes such a file, for the hint; None for a file that is not of ours.
    schema_version
        Version that the reader understands; None if such files have none.
    datasets
        Name of each dataset that must be there -> its number of axes.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file", f"it is made by {made_by}" if made_by else "")
    try:
        # Files are written under another name and then renamed, so that none is read half; a lock, which not every file
        # system grants, is not needed.
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        if error.errno in _NO_LOCK or "unable to lock" in str(error):
            raise InputError(
                f"{path}: cannot be locked, though it may be whole ({error})",
                "its file system grants no locks: set HDF5_USE_FILE_LOCKING=FALSE in the environment",
            ) from None
        raise InputError(f"{path}: is truncated or not HDF5 ({error})", _again(made_by)) from None
    found = file.attrs.get("schema_version")
    if schema_version is not None and found != schema_version:
        raise InputError(f"{path}: schema_version: expected {schema_version}, found {found}", _again(made_by))
    for name, n_axes in datasets.items():
        if not isinstance(file.get(name), h5py.Dataset):
            raise InputError(f"{path}: dataset {name} is missing", _again(made_by))
        if file[name].ndim != n_axes:
            raise InputError(
                f"{path}: dataset {name}: expected {n_axes} axes, found shape {file[name].shape}", _again(made_by)
            )
    return file


@contextmanager
def readable(path: Path, made_by: str | None) -> Iterator[None]:
    """Report a failure to read the file in the block as damage of the file."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read to its end, it is damaged ({error})", _again(made_by)) from None


def _again(made_by: str | None) -> str:
    return f"make it again with {made_by}" if made_by else "copy it again from where it was made"
