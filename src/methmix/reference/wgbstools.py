"""Source ``wgbstools``: a ``.beta`` or ``.pat.gz`` file of each donor, counted in regions."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from methmix.config.sources import WgbstoolsReference
from methmix.errors import InputError
from methmix.formats.wgbstools import beta_counts, n_cpgs_of_beta, pat_counts
from methmix.reference.inputs import data_file
from methmix.reference.samples import Donors, read_sheet, splits_of
from methmix.reference.tables import read_bed

_BETA, _PAT = ".beta", ".pat.gz"


def read_wgbstools(settings: WgbstoolsReference, sheet: Path, bed: Path) -> tuple[Donors, dict[str, Path]]:
    """Read the donors of a sample sheet, one file after the other.

    Parameters
    ----------
    settings
        The folder of the files and what is counted.
    sheet
        Sample sheet with columns donor, tissue, file.
    bed
        The regions with their CpG indices.

    Returns
    -------
    donors, files
        Counts of the donors; the files by the name that the sheet gives them.

    Raises
    ------
    InputError
        The sheet or the regions cannot be read, a file is missing, of two donors, of another kind or genome, or
        cannot be counted.
    """
    content = read_sheet(sheet, "file")
    names = content["donor"].tolist()
    files = _files(settings, sheet, dict(zip(names, content["file"], strict=True)))
    regions = read_bed(bed, cpg_indices=True)
    chrom, start, end = regions["chrom"].tolist(), regions["start_cpg"].to_numpy(), regions["end_cpg"].to_numpy()
    counts = []
    for path in files.values():
        if path.name.endswith(_BETA):
            counts.append(beta_counts(path, start, end))
        else:
            counts.append(pat_counts(path, start, end, settings.measure, chrom))
    methylated, depth = (np.stack(of_donors).astype(np.int32) for of_donors in zip(*counts, strict=True))
    return Donors(names, content["tissue"].tolist(), splits_of(content), regions, methylated, depth), files


def _files(settings: WgbstoolsReference, sheet: Path, named: Mapping[str, str]) -> dict[str, Path]:
    """Find the file of each donor before the first one is counted, which may take long."""
    files: dict[str, Path] = {}
    n_cpgs: dict[int, str] = {}
    for donor, name in named.items():
        where = f"{sheet}: donor {donor}"
        if not name.endswith((_BETA, _PAT)):
            raise InputError(f"{where}: file: expected a {_BETA} or {_PAT} file, found {name!r}")
        if name.endswith(_BETA) and settings.measure == "fragment":
            raise InputError(
                f"{where}: {name} has no fragments, but reference.measure is fragment",
                "give the .pat.gz files, or set reference.measure to cpg",
            )
        if name in files:
            raise InputError(f"{where}: {name} is the file of another donor too", "each donor needs its own")
        try:
            files[name] = data_file(str(PurePosixPath(settings.folder) / name))
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        if name.endswith(_BETA):
            n_cpgs.setdefault(n_cpgs_of_beta(files[name]), name)
        if len(n_cpgs) > 1:
            (expected, first), (found, other) = n_cpgs.items()
            raise InputError(
                f"{where}: {other} has {found} CpGs, but {first} has {expected}",
                "all files must be of one genome build",
            )
    return files
