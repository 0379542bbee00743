"""Source ``pattern_h5``: single CpG calls of each sample, and a table that states what the samples are.

Augmented and synthetic samples are copies of an original one and no donors of their own: were they divided like
donors, copies of one donor would be in training and test. The donor is the original sample, and its counts are those
of the rows that are no copies (version 0, not synthetic), since copies carry nothing new. Where an original has no
such row, the counts of all its copies are summed into one donor.
"""

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix import cli
from methmix.config.sources import PatternH5Reference
from methmix.errors import InputError
from methmix.files.hdf5 import open_hdf5, readable
from methmix.files.schema import Dataset, FileSchema
from methmix.formats.bed import read_bed
from methmix.formats.sheet_tables import read_sheet_table
from methmix.formats.text_errors import CORRECT
from methmix.reference.donors import DonorCounts
from methmix.reference.inputs import data_file
from methmix.rows import first_true

_COLUMNS = ("sample_name", "tissue_top_level", "aug_version", "is_synthetic", "original_sample")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_METHYLATED, _MISSING = 1, 2
# Patterns compress well: most positions of the padded regions are missing.
SCHEMA = FileSchema(
    None, None, {"methylation": Dataset("uint8", ("samples", "regions", "positions"))}, most_compressed=200
)  # fmt: skip
# How much of the file is held at a time, unless one of its chunks is larger; a call is one byte.
BLOCK_BYTES = 2**24


def read_pattern_donors(settings: PatternH5Reference) -> DonorCounts:
    """Read the donors of a pattern file, block by block; counts of a region are those of its calls.

    Beyond the counts of the donors, memory is about three times `BLOCK_BYTES`, whatever the number of samples.
    The HDF5 has ``methylation`` [n_samples, n_regions, n_positions], uint8: 0 unmethylated, 1 methylated, 2 missing;
    the metadata (CSV) has a row for each sample and the BED one for each region, in order.
    """
    path, metadata, bed = paths = [data_file(name) for name in (settings.file, settings.metadata, settings.regions_bed)]
    table, regions = _read_metadata(metadata), read_bed(bed, cpg_indices=False)
    with open_hdf5(path, SCHEMA)[0] as file:
        calls = file["methylation"]
        n_samples, n_regions, _ = calls.shape
        for number, what, other, found in (
            (n_samples, "samples", metadata, len(table)),
            (n_regions, "regions", bed, len(regions)),
        ):
            if found != number:
                raise InputError(
                    f"{other}: has {found} rows, but {path} has {number} {what}",
                    "a row for each, in the same order, is expected",
                )
        originals = (table["aug_version"] == 0) & ~table["is_synthetic"]
        with_original = table["original_sample"].isin(table["original_sample"][originals])
        used = table[originals | ~with_original]
        donors = used.drop_duplicates("original_sample").set_index("original_sample")["tissue_top_level"]
        place = {name: number for number, name in enumerate(donors.index)}
        rows = {row: place[name] for row, name in zip(used.index.tolist(), used["original_sample"], strict=True)}
        methylated, depth = count_calls(path, calls, rows, len(donors))
    notes = []
    left_out = len(table) - len(used)
    if left_out:
        notes.append(f"{left_out} augmented or synthetic samples are left out: they are no further donors")
    copies = sorted(set(table["original_sample"][~with_original]))
    if copies:
        notes.append(f"there are only copies of {', '.join(copies)}: the counts of each one's copies are summed")
    inputs = {file.name: file for file in paths}
    return DonorCounts(donors.index.tolist(), donors.tolist(), regions, methylated, depth, inputs=inputs, notes=notes)


def count_calls(
    path: Path, calls: h5py.Dataset, rows: Mapping[int, int], n_donors: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Count methylated and all calls of each donor and region, int32 [n_donors, n_regions] each.

    ``calls`` is uint8 [n_samples, n_regions, n_positions] of the file ``path``; ``rows`` maps a sample to the donor
    that it adds to, others are left out.
    """
    methylated = np.zeros((n_donors, calls.shape[1]), dtype=np.int32)
    depth = np.zeros_like(methylated)
    parts = list(blocks(calls.shape, calls.chunks))
    for samples, regions, positions in cli.progress(parts, f"calls of {path.name}, blocks", len(parts)):
        used = [row for row in range(samples.start, samples.stop) if row in rows]
        if not used:
            continue
        with readable(path, SCHEMA):
            block = calls[samples, regions, positions]
        for row in used:
            values = block[row - samples.start]
            if values.max() > _MISSING:
                region = regions.start + int(np.argmax(values.max(axis=1) > _MISSING))
                raise InputError(
                    f"{path}: methylation: sample {row}, region {region} (from 0): expected 0, 1 or 2, "
                    f"found {values.max()}"
                )
            methylated[rows[row], regions] += np.count_nonzero(values == _METHYLATED, axis=1)
            depth[rows[row], regions] += np.count_nonzero(values != _MISSING, axis=1)
    return methylated, depth


def blocks(shape: tuple[int, int, int], chunks: tuple[int, int, int] | None) -> Iterator[tuple[slice, slice, slice]]:
    """Divide a dataset into blocks of whole chunks, so that no chunk is decompressed twice.

    ``shape`` is n_samples, n_regions, n_positions, and ``chunks`` that of a chunk, if the dataset has any. A
    block is of at most `BLOCK_BYTES`, or one chunk if that is more.
    """
    size = list(chunks or (1, 1, 1))
    for axis in (2, 1):
        size[axis] = min(max(1, BLOCK_BYTES // prod(size)) * size[axis], shape[axis])
    for sample in range(0, shape[0], size[0]):
        for region in range(0, shape[1], size[1]):
            for position in range(0, shape[2], size[2]):
                starts = (sample, region, position)
                stops = [min(start + step, end) for start, step, end in zip(starts, size, shape, strict=True)]
                yield slice(sample, stops[0]), slice(region, stops[1]), slice(position, stops[2])


def _read_metadata(path: Path) -> pd.DataFrame:
    def refuse(wrong: pd.Series, message: str, hint: str = CORRECT) -> None:
        if wrong.any():
            raise InputError(f"{path}: line {wrong.idxmax()}: {message}", hint)

    table = read_sheet_table(path, _COLUMNS)
    for column in ("sample_name", "tissue_top_level", "original_sample"):
        refuse(table[column] == "", f"{column} is empty", "a sample that is no copy is its own original_sample")
    refuse(table["sample_name"].duplicated(), "duplicate sample_name")
    versions = pd.to_numeric(table["aug_version"], errors="coerce")
    refuse(~((versions >= 0) & (versions % 1 == 0)), "aug_version: expected a whole number >= 0")
    synthetic = table["is_synthetic"].str.lower().map(_TRUTH)
    refuse(synthetic.isna(), "is_synthetic: expected True or False")
    differ = table.groupby("original_sample")["tissue_top_level"].transform("nunique") > 1
    if (row := first_true(differ)) is not None:
        name = table["original_sample"].iloc[row]
        raise InputError(
            f"{path}: samples of original_sample {name} are of different tissues",
            "copies of a sample are of the same tissue: correct the metadata",
        )
    return table.assign(aug_version=versions, is_synthetic=synthetic.astype(bool)).reset_index(drop=True)
