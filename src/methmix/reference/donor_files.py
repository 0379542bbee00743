"""Sources ``files`` and ``wgbstools``: a file of each donor, of any format with one sample, counted in regions."""

from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np

from methmix import cli
from methmix.config.sources import DonorFilesReference
from methmix.errors import InputError
from methmix.formats.bed import read_bed
from methmix.formats.counts import OpenedFile, Request
from methmix.formats.file_formats import open_file, recognise
from methmix.formats.regions import RegionSet
from methmix.formats.store import CountsStore
from methmix.formats.wgbstools import n_cpgs_of_beta
from methmix.reference.donors import DonorCounts, read_donor_sheet, splits_of
from methmix.reference.inputs import data_file

# Formats that count in CpG indices.
_INDEXED = {"beta", "pat"}


def read_donor_files(settings: DonorFilesReference) -> DonorCounts:
    """Read the donors of a sample sheet with columns donor, tissue, file, one file after the other."""
    sheet, bed = data_file(settings.sample_sheet), data_file(settings.regions_bed)
    content = read_donor_sheet(sheet, "file")
    names = content["donor"].tolist()
    files, formats = _files(settings, sheet, dict(zip(names, content["file"], strict=True)))
    regions = read_bed(bed, cpg_indices=bool(_INDEXED & set(formats)))
    start, end, *cpgs = (regions[name].to_numpy() for name in regions.columns[1:])
    start_cpg, end_cpg = cpgs or (None, None)
    region_set = RegionSet(
        regions["chrom"].tolist(),
        start,
        end,
        settings.genome,
        start_cpg,
        end_cpg,
        settings.measure,
        modification=settings.modification,
    )
    notes: Counter[str] = Counter()
    with CountsStore(len(regions), np.int32) as store:
        request = Request(region_set, store, zero_based=settings.zero_based)
        # All are opened before the first one is counted, which may take long.
        opened_files = [_opened(path, request) for path in files.values()]
        for opened in cli.progress(opened_files, "files of donors", len(opened_files)):
            notes.update(opened.load().notes)
        methylated, depth = (np.array(values) for values in store.read(slice(0, len(store))))
    inputs = {sheet.name: sheet, bed.name: bed, **files}
    in_words = [f"{n} of {len(files)} files of donors: {note}" for note, n in notes.items()]
    if len(formats) > 1:
        in_words.append(
            f"the files of donors have several formats ({', '.join(f'{name} {n}' for name, n in formats.items())}): if "
            "they are of different technologies, tissues may differ by these"
        )
    return DonorCounts(
        names, content["tissue"].tolist(), regions, methylated, depth, splits_of(content), inputs, in_words
    )


def _opened(path: Path, request: Request) -> OpenedFile:
    opened = open_file(path, request)
    if len(opened.names) != 1:
        raise InputError(
            f"{path}: has {len(opened.names)} samples; expected the file of one donor",
            "for a table of all donors, use source: counts or beta_table",
        )
    return opened


def _files(settings: DonorFilesReference, sheet: Path, named: dict[str, str]) -> tuple[dict[str, Path], Counter[str]]:
    """Find the file of each donor, by its name in the sheet, and how many have each format.

    All must be of one genome build.
    """
    files: dict[str, Path] = {}
    n_cpgs: dict[int, str] = {}
    formats: Counter[str] = Counter()
    for donor, name in named.items():
        where = f"{sheet}: donor {donor}"
        if name in files:
            raise InputError(f"{where}: {name} is the file of another donor too", "each donor needs its own")
        try:
            files[name] = data_file(str(PurePosixPath(settings.folder) / name))
            format_name = recognise(files[name])[0].name
        except InputError as error:
            raise InputError(f"{where}: {error}", "the column file is below reference.folder") from None
        formats[format_name] += 1
        if format_name == "beta":
            n_cpgs.setdefault(n_cpgs_of_beta(files[name]), name)
        if len(n_cpgs) > 1:
            (expected, first), (found, other) = n_cpgs.items()
            raise InputError(
                f"{where}: {other} has {found} CpGs, but {first} has {expected}",
                "all files must be of one genome build",
            )
    return files, formats
