"""Mixtures of `methmix.mixtures` taken for samples; they stay in their file and are read from it block by block."""

from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from methmix.errors import InputError
from methmix.files.mixtures import FileRows, check_reads, mixture_ids, open_mixtures, read_file_regions
from methmix.formats.counts import Counts, OpenedFile, Request
from methmix.formats.regions import RegionSet
from methmix.formats.store import Pair
from methmix.formats.text import Beginning


def open_mixtures_file(beginning: Beginning, request: Request) -> OpenedFile:
    """Open a mixtures HDF5, whose regions are found by their coordinates.

    A file of an earlier version has none: its regions must be those that are asked for, in their order.
    """
    path, (regions, _) = beginning.path, request.target()
    file, attributes = open_mixtures(path)
    names = mixture_ids(len(file["depth"]))
    notes = []
    place, example = _places(path, file, regions)
    digest = attributes.get("reference_digest")
    if digest is None or digest != regions.reference_digest:
        of_regions = "are taken to be the model's, in its order" if not example else "are found by their coordinates"
        notes.append(
            "the mixtures were made of another reference than the model's, or of an unknown one; "
            f"their regions {of_regions}"
        )
    return OpenedFile(
        names, lambda: Counts(names, lambda rows: _read(path, file, rows, place), place >= 0, example, notes)
    )  # fmt: skip


def _places(path: Path, file: h5py.File, regions: RegionSet) -> tuple[npt.NDArray[np.int64], str]:
    """Give the column of each region that is asked for, -1 where there is none, and the name of the file's first."""
    own, n_regions = read_file_regions(path, file), file["depth"].shape[1]
    if own.empty:
        if n_regions != len(regions):
            raise InputError(
                f"{path}: has {n_regions} regions, the model has {len(regions)}",
                "without coordinates it must be made from the model's reference; make it again for coordinates",
            )
        return np.arange(n_regions), ""
    place = np.full(len(regions), -1)
    asked_for = regions.find(own["chrom"], own["start"], own["end"])
    place[asked_for[asked_for >= 0]] = np.flatnonzero(asked_for >= 0)
    return place, f"{own['chrom'][0]}:{own['start'][0]}-{own['end'][0]}"


def _read(path: Path, file: h5py.File, rows: slice, place: npt.NDArray[np.int64]) -> Pair:
    methylation, depth = FileRows(file["mixed_methylation"])[rows], FileRows(file["depth"])[rows].astype(np.float32)
    check_reads(path, rows.start, methylation, depth)
    if not np.array_equal(place, np.arange(methylation.shape[1])):
        methylation, depth = methylation[:, place], np.where(place >= 0, depth[:, place], 0)
    # Divided by the depth again, this product of 24 and 16 bits gives exactly the methylation of the file.
    return np.nan_to_num(methylation.astype(np.float64)) * depth, depth
