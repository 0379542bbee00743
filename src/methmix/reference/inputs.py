"""Where input files are."""

import os
from pathlib import Path

from methmix.errors import InputError

_DATA_MARK = "METHMIX_DATA/"
# Where METHMIX_DATA/ is looked for without that variable: what `snakemake download` fills, and a folder that
# checkouts share.
_DATA_FOLDERS = ("data", "../shared/data")


def data_file(name: str) -> Path:
    """Resolve the path of an input file; a leading ``METHMIX_DATA/`` is replaced.

    Raises
    ------
    InputError
        The file does not exist.
    """
    if not name.startswith(_DATA_MARK):
        candidates = [Path(name)]
    else:
        given = os.environ.get("METHMIX_DATA")
        folders = [given] if given else list(_DATA_FOLDERS)
        candidates = [Path(folder) / name.removeprefix(_DATA_MARK) for folder in folders]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise InputError(
        f"{candidates[0]}: there is no such file",
        "fetch the public data with: snakemake download; or set METHMIX_DATA to a folder that has it"
        if name.startswith(_DATA_MARK)
        else "paths are relative to the working directory",
    )
