"""Mixtures of `methmix.mixtures` taken for samples; they stay in their file and are read from it block by block."""

import h5py
import numpy as np

from methmix.errors import InputError
from methmix.files.mixtures import FileRows, mixture_ids, open_mixtures
from methmix.formats.counts import Counts, OpenedFile, Request
from methmix.formats.store import Pair
from methmix.formats.text import Beginning


def open_mixtures_file(beginning: Beginning, request: Request) -> OpenedFile:
    """Open a mixtures HDF5, whose regions must be those that are asked for, in their order."""
    path, (regions, _) = beginning.path, request.target()
    file = open_mixtures(path)
    n, n_regions = file["mixed_methylation"].shape
    if n_regions != len(regions) or file["depth"].shape != (n, n_regions):
        raise InputError(
            f"{path}: has {n_regions} regions, the model has {len(regions)}",
            "a mixtures file has no coordinates; it must be made from the model's reference",
        )
    notes = []
    digest = file.attrs.get("reference_digest")
    if digest is None or digest != regions.reference_digest:
        notes.append(
            "the mixtures were made of another reference than the model's, or of an unknown one; "
            "their regions are taken to be the model's, in its order"
        )
    names = mixture_ids(n)
    found = np.ones(n_regions, dtype=bool)
    return OpenedFile(names, lambda: Counts(names, lambda rows: _read(file, rows), found, notes=notes))


def _read(file: h5py.File, rows: slice) -> Pair:
    methylation, depth = FileRows(file["mixed_methylation"])[rows], FileRows(file["depth"])[rows].astype(np.float32)
    wrong = (np.isnan(methylation) != (depth == 0)) | (methylation < 0) | (methylation > 1)
    if wrong.any():
        row, region = np.argwhere(wrong)[0]
        raise InputError(
            f"{file.filename}: mixture {rows.start + row}, region {region}: methylation {methylation[row, region]}, "
            f"depth {depth[row, region]:.0f}; expected 0-1, and NaN exactly where depth is 0"
        )
    # Divided by the depth again, this product of 24 and 16 bits gives exactly the methylation of the file.
    return np.nan_to_num(methylation.astype(np.float64)) * depth, depth
