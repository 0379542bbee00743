"""Mixtures with known proportions."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from methmix.errors import InputError
from methmix.files.hdf5 import open_hdf5, readable
from methmix.files.new_hdf5 import new_hdf5
from methmix.rows import Rows, blocks

SCHEMA_VERSION = 2
_MADE_BY = "python -m methmix.mixtures"
_AGAIN = f"make it again with {_MADE_BY}"
_BLOCK = 100
_DATASETS = {"mixed_methylation": 2, "depth": 2, "true_proportions": 2, "label_proportions": 2, "mixture_info": 1}


class FileRows:
    """The rows of a dataset of an open file, read when they are indexed: ``rows[2:5]``, ``rows[7]``, ``rows[:]``."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset
        self.shape: tuple[int, ...] = dataset.shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice) -> npt.NDArray[Any]:
        """Read one row or some."""
        with readable(Path(self._dataset.file.filename), _MADE_BY):
            found: npt.NDArray[Any] = self._dataset[rows]
        return found


@dataclass(frozen=True)
class Mixtures:
    """Mixtures, with their reads in memory or in a file.

    Parameters
    ----------
    methylation, depth
        Observed methylation, float32, 0-1, NaN where not observed, and the number of reads, 0 exactly there;
        [n_mixtures, n_regions] each, to be read in blocks of rows.
    proportions
        True proportions, float32 [n_mixtures, n_tissues]; rows sum to 1. Where the composition of the donors is known,
        what they consist of.
    label_proportions
        The same with each donor counted as the tissue that it is a donor of.
    info
        Per mixture: donors, their proportions, mean depth, seed.
    attributes
        phase, split, seed, the digest of tissues and regions, and what the reference was.
    """

    methylation: Rows
    depth: Rows
    proportions: npt.NDArray[np.float32]
    label_proportions: npt.NDArray[np.float32]
    info: list[dict[str, Any]]
    tissue_names: list[str]
    attributes: dict[str, Any]

    def __len__(self) -> int:
        return len(self.proportions)


class MixturesWriter:
    """Writes mixtures block by block; see `mixtures_writer`."""

    def __init__(self, file: h5py.File, n_mixtures: int, n_regions: int, n_tissues: int) -> None:
        self._file = file
        self._written = 0
        # One row a chunk: mixtures are read whole. Compression would save a quarter of the room for ten times the time.
        options = {"chunks": (1, n_regions)}
        file.create_dataset("mixed_methylation", (n_mixtures, n_regions), dtype=np.float32, **options)
        file.create_dataset("depth", (n_mixtures, n_regions), dtype=np.uint16, **options)
        for name in ("true_proportions", "label_proportions"):
            file.create_dataset(name, (n_mixtures, n_tissues), dtype=np.float32)
        file.create_dataset("mixture_info", (n_mixtures,), dtype=h5py.string_dtype())

    @classmethod
    @contextmanager
    def open(
        cls, path: Path, n_mixtures: int, n_regions: int, tissue_names: list[str], attributes: dict[str, Any]
    ) -> Iterator["MixturesWriter"]:
        """Open a file for writing; it appears under its name only when all mixtures are in it."""
        with new_hdf5(path) as file:
            writer = cls(file, n_mixtures, n_regions, len(tissue_names))
            for key, value in attributes.items():
                file.attrs[key] = value
            file.attrs["tissue_names"] = np.array(tissue_names, dtype=h5py.string_dtype())
            file.attrs["n_tissues"] = len(tissue_names)
            file.attrs["n_regions"] = n_regions
            file.attrs["n_mixtures"] = n_mixtures
            file.attrs["schema_version"] = SCHEMA_VERSION
            yield writer
            if writer._written != n_mixtures:
                raise RuntimeError(f"{path}: {writer._written} of {n_mixtures} mixtures were written")

    def append(
        self,
        methylation: npt.NDArray[np.float32],
        depth: npt.NDArray[np.number],
        proportions: npt.NDArray[np.float32],
        label_proportions: npt.NDArray[np.float32],
        info: list[dict[str, Any]],
    ) -> None:
        """Append a block; arrays as in `Mixtures`."""
        rows = slice(self._written, self._written + len(info))
        self._file["mixed_methylation"][rows] = methylation
        # Deeper than 65,535 reads adds nothing; a cap keeps the file at two bytes an entry.
        self._file["depth"][rows] = np.minimum(depth, np.iinfo(np.uint16).max).astype(np.uint16)
        self._file["true_proportions"][rows] = proportions
        self._file["label_proportions"][rows] = label_proportions
        self._file["mixture_info"][rows] = [json.dumps(entry) for entry in info]
        self._written = rows.stop


def mixture_ids(n: int) -> list[str]:
    """Name the mixtures of a file, from Mixture_1 on."""
    return [f"Mixture_{number}" for number in range(1, n + 1)]


def open_mixtures(path: Path) -> h5py.File:
    """Open a mixtures file, to read some rows of it."""
    return open_hdf5(path, _MADE_BY, SCHEMA_VERSION, _DATASETS)


def read_mixtures(path: Path) -> Mixtures:
    """Open a mixtures file and validate shapes and values; its reads stay in the file."""
    file = open_mixtures(path)
    attributes = dict(file.attrs)
    if "tissue_names" not in attributes:
        raise InputError(f"{path}: attribute tissue_names is missing", _AGAIN)
    mixtures = Mixtures(
        methylation=FileRows(file["mixed_methylation"]),
        depth=FileRows(file["depth"]),
        proportions=FileRows(file["true_proportions"])[:],
        label_proportions=FileRows(file["label_proportions"])[:],
        info=_read_info(path, file),
        tissue_names=[str(name) for name in attributes.pop("tissue_names")],
        attributes=attributes,
    )
    _check(path, mixtures)
    return mixtures


def _read_info(path: Path, file: h5py.File) -> list[dict[str, Any]]:
    try:
        with readable(path, _MADE_BY):
            return [json.loads(text) for text in file["mixture_info"].asstr()[:]]
    except ValueError as error:
        raise InputError(f"{path}: mixture_info is not JSON ({error})", _AGAIN) from None


def _check(path: Path, mixtures: Mixtures) -> None:
    shape = mixtures.methylation.shape
    if mixtures.depth.shape != shape:
        raise InputError(f"{path}: depth has shape {mixtures.depth.shape}, expected {shape}", _AGAIN)
    expected = (shape[0], len(mixtures.tissue_names))
    for name, values in (("true", mixtures.proportions), ("label", mixtures.label_proportions)):
        if values.shape != expected:
            raise InputError(f"{path}: {name}_proportions has shape {values.shape}, expected {expected}", _AGAIN)
        if not np.allclose(values.sum(axis=1), 1, atol=1e-5):
            raise InputError(f"{path}: {name}_proportions: rows do not sum to 1", _AGAIN)
    for rows in blocks(len(mixtures), _BLOCK):
        methylation, depth = mixtures.methylation[rows], mixtures.depth[rows]
        if (np.isnan(methylation) != (depth == 0)).any():
            raise InputError(f"{path}: mixed_methylation must be NaN exactly where depth is 0", _AGAIN)
        if np.nanmin(methylation, initial=0) < 0 or np.nanmax(methylation, initial=1) > 1:
            raise InputError(f"{path}: mixed_methylation: values outside 0-1", _AGAIN)
