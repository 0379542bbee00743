"""What an HDF5 file must contain: its datasets and attributes, their types, shapes and ranges, each stated once.

A schema is checked when the file is opened, by `methmix.files.hdf5.open_hdf5`, before any content is read.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt

from methmix.bounds import check_size
from methmix.errors import InputError

TEXT = "text"
# Of a dataset that claims far more than its file holds; and of a chunk, which is read whole.
_MOST_BYTES = 2**28


@dataclass(frozen=True)
class Dataset:
    """A dataset: its NumPy type or `TEXT`, its dimensions by name, and its range, which includes both ends.

    Infinite values are allowed only at an infinite end of the range that is stated; NaN only where ``missing``.
    An ``optional`` one need not be there.
    """

    dtype: str
    shape: tuple[str, ...]
    low: float = -np.finfo(np.float64).max
    high: float = np.finfo(np.float64).max
    missing: bool = False
    optional: bool = False

    def check_values(self, where: str, values: npt.NDArray[Any], remedy: str) -> None:
        """Check the range of values, or that no text is empty; ``where`` names file and dataset."""
        if self.dtype == TEXT:
            wrong, expected = np.array([not text for text in values], dtype=bool), "text"
        else:
            wrong, expected = ~((values >= self.low) & (values <= self.high)), f"{self.low:.4g} to {self.high:.4g}"
            if abs(self.low) > 1e300 and self.high > 1e300:
                expected = "finite numbers"
            if self.missing:
                wrong &= ~np.isnan(values)
        if wrong.any():
            place = tuple(int(index) for index in np.argwhere(wrong)[0])
            raise InputError(f"{where}: expected {expected}, found {values[place]!s:.40} at {list(place)}", remedy)


@dataclass(frozen=True)
class Attribute:
    """An attribute: ``text``, ``texts`` (a list of distinct ones), JSON (``json list``, ``json object``), or a number.

    ``size`` names the dimension that a number states, or that texts have an entry for each of.
    """

    kind: Literal["text", "texts", "integer", "number", "flag", "json list", "json object"]
    size: str = ""
    optional: bool = True


@dataclass(frozen=True)
class FileSchema:
    """What a kind of file contains.

    Parameters
    ----------
    made_by
        The command that makes such files, for hints; None for files that are not of ours.
    version
        Version that the reader understands, of a file that has a seal (`methmix.files.seal`); None: files without.
    most_compressed
        How many times the stored bytes a dataset may claim, beyond a size that is no danger.
    """

    made_by: str | None
    version: int | None
    datasets: Mapping[str, Dataset]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    most_compressed: int = 4

    @property
    def remedy(self) -> str:
        """What to do about a file that is damaged."""
        return f"make it again with {self.made_by}" if self.made_by else "copy it again from where it was made"

    def check(self, path: Path, file: h5py.File) -> dict[str, Any]:
        """Check the structure of an open file; returns its attributes, each as plain Python."""
        sizes: dict[str, int] = {}
        for name, expected in self.datasets.items():
            if (dataset := self._dataset(path, file, name)) is not None:
                self._check_dataset(path, name, dataset, expected, sizes)
            elif not expected.optional:
                raise InputError(f"{path}: dataset {name} is missing", self.remedy)
        return self._attributes(path, file, sizes)

    def _dataset(self, path: Path, file: h5py.File, name: str) -> h5py.Dataset | None:
        """Find a dataset, every part of whose path is in this file itself; None if there is none."""
        group, *rest = name.split("/")
        parts = [group, name] if rest else [name]
        for part in parts:
            link = file.get(part, getlink=True)
            if link is None:
                return None
            if not isinstance(link, h5py.HardLink):
                raise InputError(f"{path}: {part} is a link to elsewhere, which is not followed", self.remedy)
            if part != name and not isinstance(file[part], h5py.Group):
                return None
        found = file[name]
        if not isinstance(found, h5py.Dataset):
            return None
        if found.is_virtual or found.external:
            raise InputError(f"{path}: dataset {name} is stored in other files, which are not read", self.remedy)
        return found

    def _check_dataset(
        self, path: Path, name: str, dataset: h5py.Dataset, expected: Dataset, sizes: dict[str, int]
    ) -> None:
        is_text = h5py.check_string_dtype(dataset.dtype) is not None
        if is_text != (expected.dtype == TEXT) or not (is_text or dataset.dtype == np.dtype(expected.dtype)):
            raise InputError(
                f"{path}: dataset {name}: expected {expected.dtype}, found {_type_name(dataset)}", self.remedy
            )
        shape = dataset.shape
        if shape is None or len(shape) != len(expected.shape):
            n_axes = len(expected.shape)
            raise InputError(f"{path}: dataset {name}: expected {n_axes} axes, found shape {shape}", self.remedy)
        fits = tuple(sizes.setdefault(axis, n) for axis, n in zip(expected.shape, shape, strict=True))
        if shape != fits:
            raise InputError(f"{path}: {name} has shape {shape}, expected {fits}", self.remedy)
        if 0 in shape:
            raise InputError(f"{path}: {name} is empty: shape {shape} ({', '.join(expected.shape)})", self.remedy)
        each, stored = dataset.dtype.itemsize, dataset.id.get_storage_size()
        most = max(_MOST_BYTES, self.most_compressed * stored)
        check_size(path, f"size of {name}, of which {stored:,} bytes are stored", math.prod(shape) * each, most)
        if dataset.chunks:
            check_size(path, f"chunk of {name}", math.prod(dataset.chunks) * each, _MOST_BYTES)

    def _attributes(self, path: Path, file: h5py.File, sizes: Mapping[str, int]) -> dict[str, Any]:
        found = {}
        for name in file.attrs:
            expected = self.attributes.get(name)
            value = plain(file.attrs[name])
            if expected is None:
                # What nothing reads is kept where it is a plain value.
                if isinstance(value, str | int | float):
                    found[name] = value
                continue
            if (wrong := _wrong(value, expected, sizes)) is not None:
                raise InputError(f"{path}: attribute {name}: {wrong}, found {value!r:.60}", self.remedy)
            found[name] = value
        for name, expected in self.attributes.items():
            if name not in found and not expected.optional:
                raise InputError(f"{path}: attribute {name} is missing", self.remedy)
        return found


def plain(value: Any) -> Any:
    """Turn what h5py gives for an attribute into text, a number or a list of them; others are None."""
    if isinstance(value, np.ndarray):
        value = [plain(part) for part in value.tolist()] if value.ndim == 1 else None
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, str | int | float | list) else None


def _type_name(dataset: h5py.Dataset) -> str:
    return TEXT if h5py.check_string_dtype(dataset.dtype) is not None else f"{dataset.dtype!s:.40}"


def _wrong(value: Any, expected: Attribute, sizes: Mapping[str, int]) -> str | None:
    """Say what is expected of an attribute, None if it is so."""
    kind, size = expected.kind, sizes.get(expected.size)
    if kind == "texts":
        distinct = isinstance(value, list) and all(isinstance(v, str) and v for v in value)
        if not distinct or len(set(value)) != len(value):
            return "expected distinct texts"
        return f"expected {size} texts" if size not in (None, len(value)) else None
    if kind.startswith("json"):
        return None if _is_json(value, list if kind == "json list" else dict) else f"expected a {kind[5:]} in JSON"
    is_bool = isinstance(value, bool)
    types = {"text": str, "integer": int, "number": float | int, "flag": bool}
    if not isinstance(value, types[kind]) or (is_bool and kind != "flag"):
        return f"expected {'true or false' if kind == 'flag' else kind}"
    if isinstance(value, float) and not math.isfinite(value):
        return "expected a finite number"
    return f"expected {size}, the number of {expected.size}" if size not in (None, value) else None


def _is_json(value: Any, of: type) -> bool:
    try:
        return isinstance(value, str) and isinstance(json.loads(value), of)
    except (ValueError, RecursionError):
        return False
