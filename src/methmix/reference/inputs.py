"""Where input files are."""

import os
from pathlib import Path
from typing import Any

from methmix.errors import InputError
from methmix.formats.sheet_tables import read_sheet_table
from methmix.shipped import found

_DATA_MARK = "METHMIX_DATA/"
# Where METHMIX_DATA/ is looked for without that variable: what `snakemake download` fills, and a folder that several
# checkouts use.
_DATA_FOLDERS = ("data", "../shared/data")


def data_file(name: str) -> Path:
    """Resolve the path of an input file, which must exist; a leading ``METHMIX_DATA/`` is replaced."""
    candidates, hint = [Path(name)], "paths are relative to the working directory"
    if name.startswith(_DATA_MARK):
        given = os.environ.get("METHMIX_DATA")
        candidates = [Path(folder) / name.removeprefix(_DATA_MARK) for folder in ([given] if given else _DATA_FOLDERS)]
        hint = "fetch the public data with: snakemake download; or set METHMIX_DATA to a folder that has it"
    try:
        for candidate in map(found, candidates):
            if candidate.is_file():
                return candidate
    except OSError as error:  # a name that is too long, for example
        raise InputError(f"{str(candidates[0])[:100]}: cannot be a file ({error.strerror})", hint) from None
    if candidates[0].is_dir():
        raise InputError(f"{candidates[0]}: is a folder; expected a file", "name the file in it")
    raise InputError(f"{candidates[0]}: there is no such file", hint)


def own_files(settings: Any) -> list[str]:
    """List the files that a reference with these settings is made of and that are there; public data never change."""
    keys = ("file", "metadata", "manifest", "sample_sheet", "regions_bed")
    names = [name for key in keys if (name := getattr(settings, key, None))]
    if folder := getattr(settings, "folder", None):
        content = read_sheet_table(data_file(settings.sample_sheet), ("file",))
        names += [str(Path(folder) / name) for name in content["file"] if name]
    own = [found(name) for name in names if not name.startswith(_DATA_MARK)]
    # What is missing is an error of the command, which says whose it is.
    return [str(path) for path in dict.fromkeys(own) if path.is_file()]
