"""Source ``wgbstools``: a ``.beta`` or ``.pat.gz`` file of each donor, counted in regions."""

from pathlib import Path, PurePosixPath

import numpy as np

from methmix import cli
from methmix.config.sources import WgbstoolsReference
from methmix.errors import InputError
from methmix.formats.bed import read_bed
from methmix.formats.counts import Request
from methmix.formats.file_formats import open_file
from methmix.formats.regions import RegionSet
from methmix.formats.store import CountsStore
from methmix.formats.wgbstools import n_cpgs_of_beta
from methmix.reference.donors import DonorCounts, read_donor_sheet, splits_of
from methmix.reference.inputs import data_file


def read_donor_files(settings: WgbstoolsReference) -> DonorCounts:
    """Read the donors of a sample sheet with columns donor, tissue, file, one file after the other."""
    sheet, bed = data_file(settings.sample_sheet), data_file(settings.regions_bed)
    content = read_donor_sheet(sheet, "file")
    names = content["donor"].tolist()
    files = _files(settings, sheet, dict(zip(names, content["file"], strict=True)))
    regions = read_bed(bed, cpg_indices=True)
    start, end, start_cpg, end_cpg = (regions[name].to_numpy() for name in regions.columns[1:])
    chrom = regions["chrom"].tolist()
    region_set = RegionSet(chrom, start, end, settings.genome, start_cpg, end_cpg, settings.measure)
    with CountsStore(len(regions), np.int32) as store:
        request = Request(region_set, store)
        # All are opened before the first one is counted, which may take long.
        opened_files = [open_file(path, request) for path in files.values()]
        for opened in cli.progress(opened_files, "files of donors", len(opened_files)):
            opened.load()
        methylated, depth = (np.array(values) for values in store.read(slice(0, len(store))))
    inputs = {sheet.name: sheet, bed.name: bed, **files}
    return DonorCounts(names, content["tissue"].tolist(), regions, methylated, depth, splits_of(content), inputs)


def _files(settings: WgbstoolsReference, sheet: Path, named: dict[str, str]) -> dict[str, Path]:
    """Find the file of each donor, by its name in the sheet: all of one genome build."""
    files: dict[str, Path] = {}
    n_cpgs: dict[int, str] = {}
    for donor, name in named.items():
        where = f"{sheet}: donor {donor}"
        if not name.endswith((".beta", ".pat.gz")):
            raise InputError(
                f"{where}: file: expected a .beta or .pat.gz file, found {name!r}",
                "name the file that wgbstools has made of the donor",
            )
        if name in files:
            raise InputError(f"{where}: {name} is the file of another donor too", "each donor needs its own")
        try:
            files[name] = data_file(str(PurePosixPath(settings.folder) / name))
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        if name.endswith(".beta"):
            n_cpgs.setdefault(n_cpgs_of_beta(files[name]), name)
        if len(n_cpgs) > 1:
            (expected, first), (found, other) = n_cpgs.items()
            raise InputError(
                f"{where}: {other} has {found} CpGs, but {first} has {expected}",
                "all files must be of one genome build",
            )
    return files
