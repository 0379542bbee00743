"""Mixtures with known proportions."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.errors import InputError
from methmix.files.hdf5 import open_hdf5, read_dataset, readable
from methmix.files.new_hdf5 import new_hdf5
from methmix.files.reference import REGIONS, Reference, read_regions, write_regions
from methmix.files.schema import TEXT, Attribute, Dataset, FileSchema
from methmix.rows import Rows, blocks

_BLOCK = 100
_PROPORTIONS = Dataset("float32", ("mixtures", "tissues"), low=0, high=1 + 1e-6)
SCHEMA = FileSchema(
    made_by="python -m methmix.mixtures",
    version=3,
    datasets={
        "mixed_methylation": Dataset("float32", ("mixtures", "regions"), low=0, high=1, missing=True),
        "depth": Dataset("uint16", ("mixtures", "regions"), low=0),
        "true_proportions": _PROPORTIONS,
        "label_proportions": _PROPORTIONS,
        "mixture_info": Dataset(TEXT, ("mixtures",)),
        **REGIONS,
    },
    attributes={
        "tissue_names": Attribute("texts", size="tissues", optional=False),
        **{f"n_{size}": Attribute("integer", size=size) for size in ("mixtures", "regions", "tissues")},
        **dict.fromkeys(("phase", "split", "reference_source", "reference_digest"), Attribute("text")),
        "seed": Attribute("integer"),
        "recipe": Attribute("json object"),
        "notes": Attribute("json list"),
    },
)


class FileRows:
    """The rows of a dataset of an open file, read when they are indexed: ``rows[2:5]``, ``rows[7]``, ``rows[:]``.

    Columns are in the order of the file, or those of ``columns``.
    """

    def __init__(self, dataset: h5py.Dataset, columns: npt.NDArray[np.intp] | None = None) -> None:
        self._dataset, self._columns = dataset, columns
        self.shape: tuple[int, ...] = (len(dataset), dataset.shape[1] if columns is None else len(columns))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice) -> npt.NDArray[Any]:
        """Read one row or some."""
        with readable(Path(self._dataset.file.filename), SCHEMA):
            found: npt.NDArray[Any] = self._dataset[rows]
        return found if self._columns is None else found[..., self._columns]

    def with_columns(self, columns: npt.NDArray[np.intp]) -> "FileRows":
        """Give the same rows with other columns, by their places in these rows."""
        return FileRows(self._dataset, columns if self._columns is None else self._columns[columns])


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
    regions
        chrom, start, end of each region; empty for mixtures in memory, whose regions are those of their reference.
    """

    methylation: Rows
    depth: Rows
    proportions: npt.NDArray[np.float32]
    label_proportions: npt.NDArray[np.float32]
    info: list[dict[str, Any]]
    tissue_names: list[str]
    attributes: dict[str, Any]
    regions: pd.DataFrame = field(default_factory=pd.DataFrame)

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
        cls,
        path: Path,
        n_mixtures: int,
        regions: pd.DataFrame,
        tissue_names: list[str],
        attributes: dict[str, Any],
    ) -> Iterator["MixturesWriter"]:
        """Open a file for writing; it appears under its name only when all mixtures are in it."""
        with new_hdf5(path) as file:
            writer = cls(file, n_mixtures, len(regions), len(tissue_names))
            write_regions(file, regions)
            for key, value in attributes.items():
                file.attrs[key] = value
            file.attrs["tissue_names"] = np.array(tissue_names, dtype=h5py.string_dtype())
            file.attrs["n_tissues"] = len(tissue_names)
            file.attrs["n_regions"] = len(regions)
            file.attrs["n_mixtures"] = n_mixtures
            file.attrs["schema_version"] = SCHEMA.version
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


def open_mixtures(path: Path) -> tuple[h5py.File, dict[str, Any]]:
    """Open a mixtures file, to read some rows of it; returns it with its attributes."""
    return open_hdf5(path, SCHEMA)


def read_mixtures(path: Path) -> Mixtures:
    """Open a mixtures file and validate its content; its reads stay in the file."""
    file, attributes = open_mixtures(path)
    mixtures = Mixtures(
        methylation=FileRows(file["mixed_methylation"]),
        depth=FileRows(file["depth"]),
        proportions=read_dataset(path, file, SCHEMA, "true_proportions"),
        label_proportions=read_dataset(path, file, SCHEMA, "label_proportions"),
        info=_read_info(path, file),
        tissue_names=attributes.pop("tissue_names"),
        attributes=attributes,
        regions=read_regions(path, file, SCHEMA),
    )
    for name, values in (("true", mixtures.proportions), ("label", mixtures.label_proportions)):
        if not np.allclose(values.sum(axis=1), 1, atol=1e-5):
            raise InputError(f"{path}: {name}_proportions: rows do not sum to 1", SCHEMA.remedy)
    for rows in blocks(len(mixtures), _BLOCK):
        check_reads(path, rows.start, mixtures.methylation[rows], mixtures.depth[rows])
    return mixtures


def check_reads(path: Path, first: int, methylation: npt.NDArray[Any], depth: npt.NDArray[Any]) -> None:
    """Check a block of mixtures, the number of the first of which is given: 0-1, NaN exactly where depth is 0."""
    unread, within = depth == 0, (methylation >= 0) & (methylation <= 1)
    wrong = (within == unread) | (unread & ~np.isnan(methylation))
    if wrong.any():
        row, region = np.argwhere(wrong)[0]
        raise InputError(
            f"{path}: mixture {first + row}, region {region}: methylation {methylation[row, region]}, "
            f"depth {depth[row, region]:.0f}; expected 0-1, and NaN exactly where depth is 0",
            SCHEMA.remedy,
        )


def _read_info(path: Path, file: h5py.File) -> list[dict[str, Any]]:
    info = []
    for number, text in enumerate(read_dataset(path, file, SCHEMA, "mixture_info")):
        try:
            entry = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: mixture_info {number} is not JSON ({error})", SCHEMA.remedy) from None
        if not isinstance(entry, dict):
            raise InputError(f"{path}: mixture_info {number}: expected a JSON object, found {text:.40}", SCHEMA.remedy)
        info.append(entry)
    return info


def matched(mixtures: Mixtures, reference: Reference, what: str) -> Mixtures:
    """Give mixtures with tissues and regions in the order of a reference; `InputError` unless they are the same sets.

    ``what`` names the mixtures.
    """
    if mixtures.attributes.get("reference_digest") != reference.content_digest:
        raise InputError(f"{what} were made of another reference", "make them again: python -m methmix.mixtures")
    tissues = _places(mixtures.tissue_names, reference.tissue_names, f"{what}: tissues")
    if tissues is not None:
        of_tissues = {name: getattr(mixtures, name)[:, tissues] for name in ("proportions", "label_proportions")}
        mixtures = replace(mixtures, tissue_names=reference.tissue_names, **of_tissues)
    if mixtures.regions.empty:
        return mixtures
    regions = _places(_coordinates(mixtures.regions), _coordinates(reference.regions), f"{what}: regions")
    if regions is not None:
        methylation, depth = (_columns(values, regions) for values in (mixtures.methylation, mixtures.depth))
        mixtures = replace(mixtures, regions=reference.regions, methylation=methylation, depth=depth)
    return mixtures


def _coordinates(regions: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(regions[["chrom", "start", "end"]].itertuples(index=False, name=None))


def _places(found: list[Any], expected: list[Any], what: str) -> npt.NDArray[np.intp] | None:
    """Give the place of each expected name among those found; None if they stand in the same order."""
    if found == expected:
        return None
    place = {name: number for number, name in enumerate(found)}
    if len(place) != len(found) or set(expected) != set(place):
        other = next(iter(set(expected) ^ set(place)), "a duplicate")
        raise InputError(
            f"{what} are not those expected: {len(found)} found, {len(expected)} expected; in one only: {other}",
            "make them again of this reference: python -m methmix.mixtures",
        )
    return np.array([place[name] for name in expected])


def _columns(values: Rows, columns: npt.NDArray[np.intp]) -> Rows:
    return values.with_columns(columns) if isinstance(values, FileRows) else values[:][:, columns]
