"""Opening HDF5 files, with clear errors: what is damaged, incomplete or not what is expected is refused."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from methmix.errors import InputError, first_line
from methmix.files.schema import TEXT, FileSchema, plain
from methmix.files.seal import check_seal

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_NO_LOCK = (errno.ENOLCK, errno.ENOSYS, errno.EAGAIN)
# What h5py raises for content that is damaged or that it has no type for.
_DAMAGE = (
    OSError,
    RuntimeError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    MemoryError,
)


def open_hdf5(path: Path, schema: FileSchema) -> tuple[h5py.File, dict[str, Any]]:
    """Open a file for reading and check its structure; returns it with its attributes.

    A file that was damaged or edited after it was written is refused before it is interpreted: its seal does not hold.
    """
    if not path.is_file():
        what = "is a folder; expected a file" if path.is_dir() else "there is no such file"
        raise InputError(f"{path}: {what}", f"it is made by {schema.made_by}" if schema.made_by else "")
    # Damaged HDF5 can crash its library, or never end.
    if schema.version is not None and _is_hdf5(path) and not check_seal(path, schema.remedy):
        raise InputError(
            f"{path}: has no digest: truncated, changed after it was written, of an earlier version of methmix, or of "
            "another program",
            schema.remedy,
        )
    file = _opened(path, schema)
    try:
        with readable(path, schema):
            _check_version(path, file, schema)
            return file, schema.check(path, file)
    except BaseException:
        file.close()
        raise


def _opened(path: Path, schema: FileSchema) -> h5py.File:
    try:
        # Files are written under another name and then renamed, so that none is read half; a lock, which not every file
        # system grants, is not needed.
        return h5py.File(path, "r", locking=False)
    except _DAMAGE as error:
        if getattr(error, "errno", None) in _NO_LOCK or "unable to lock" in str(error):
            raise InputError(
                f"{path}: cannot be locked, though it may be whole ({error})",
                "its file system grants no locks: set HDF5_USE_FILE_LOCKING=FALSE in the environment",
            ) from None
        raise InputError(f"{path}: is truncated or not HDF5 ({first_line(error)})", schema.remedy) from None


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE


def _check_version(path: Path, file: h5py.File, schema: FileSchema) -> None:
    found = plain(file.attrs.get("schema_version"))
    if schema.version is not None and (type(found) is not int or found != schema.version):
        raise InputError(f"{path}: schema_version: expected {schema.version}, found {found!s:.20}", schema.remedy)


def read_dataset(path: Path, file: h5py.File, schema: FileSchema, name: str) -> Any:
    """Read a dataset of an open file whole and check its values: an array, or a list of text."""
    with readable(path, schema):
        values = file[name].asstr()[:] if schema.datasets[name].dtype == TEXT else file[name][:]
    schema.datasets[name].check_values(f"{path}: {name}", values, schema.remedy)
    return values if isinstance(values, np.ndarray) and values.dtype != object else values.tolist()


@contextmanager
def readable(path: Path, schema: FileSchema) -> Iterator[None]:
    """Report a failure to read the file in the block, which does nothing else, as damage of the file."""
    try:
        yield
    except _DAMAGE as error:
        message = f"{path}: cannot be read to its end, it is damaged ({first_line(error)})"
        raise InputError(message, schema.remedy) from None
