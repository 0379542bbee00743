"""Mixtures of `methmix.mixtures` taken for samples; they stay in their file and are read from it block by block."""

from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from methmix.files.mixtures import SCHEMA, FileRows, check_reads, mixture_ids, open_mixtures
from methmix.files.reference import read_regions
from methmix.formats.beginning import Beginning
from methmix.formats.counts import Counts, OpenedFile, Request
from methmix.formats.store import Pair


def open_mixtures_file(beginning: Beginning, request: Request) -> OpenedFile:
    """Open a mixtures HDF5, whose regions are found by their coordinates."""
    path, (regions, _) = beginning.path, request.target()
    file, attributes = open_mixtures(path)
    names, own = mixture_ids(len(file["depth"])), read_regions(path, file, SCHEMA)
    place = np.full(len(regions), -1)
    asked_for = regions.find(own["chrom"], own["start"], own["end"])
    place[asked_for[asked_for >= 0]] = np.flatnonzero(asked_for >= 0)
    digest, notes = attributes.get("reference_digest"), []
    if digest is None or digest != regions.reference_digest:
        notes.append("the mixtures were made of another reference than the model's, or of an unknown one")
    example = f"{own['chrom'][0]}:{own['start'][0]}-{own['end'][0]}"
    return OpenedFile(
        names, lambda: Counts(names, lambda rows: _read(path, file, rows, place), place >= 0, example, notes)
    )  # fmt: skip


def _read(path: Path, file: h5py.File, rows: slice, place: npt.NDArray[np.int64]) -> Pair:
    methylation, depth = FileRows(file["mixed_methylation"])[rows], FileRows(file["depth"])[rows].astype(np.float32)
    check_reads(path, rows.start, methylation, depth)
    if not np.array_equal(place, np.arange(methylation.shape[1])):
        methylation, depth = methylation[:, place], np.where(place >= 0, depth[:, place], 0)
    # Divided by the depth again, this product of 24 and 16 bits gives exactly the methylation of the file.
    return np.nan_to_num(methylation.astype(np.float64)) * depth, depth
