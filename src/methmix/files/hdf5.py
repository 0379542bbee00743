"""Opening HDF5 files, with clear errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from methmix.errors import InputError


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
        file = h5py.File(path, "r")
    except OSError as error:
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
