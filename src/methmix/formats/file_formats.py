"""The formats of sample files: one entry for each, which is all that a new format needs beside its reader."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from methmix.errors import InputError
from methmix.formats.counts import Counts, OpenedFile, Request
from methmix.formats.cpgs import open_bedmethyl, open_bismark
from methmix.formats.mixtures_file import open_mixtures_file
from methmix.formats.region_tables import BETA_COORDINATES, COUNTS_COORDINATES, open_beta_table, open_counts_table
from methmix.formats.text import HDF5, Beginning, read_beginning
from methmix.formats.wgbstools import open_beta_file, open_pat


class Format(NamedTuple):
    """A format that samples can have.

    ``description`` is what a user recognises it by. ``recognise`` decides by the beginning of a file; ``open`` checks
    what needs no reading of the file, and returns what reads it. ``fragments``: it can stand for counts of fragments.
    """

    name: str
    description: str
    recognise: Callable[[Beginning], bool]
    open: Callable[[Beginning, Request], OpenedFile]
    fragments: bool = True


def _has_columns(names: Sequence[str]) -> Callable[[Beginning], bool]:
    return lambda beginning: set(names) <= set(beginning.line.split("\t"))


def _is_bedmethyl(beginning: Beginning) -> bool:
    words = beginning.line.split()
    return len(words) == 18 and _are_numbers(words, 1, 2, 9, 11) and words[5] in {"+", "-", "."}


def _is_bismark(beginning: Beginning) -> bool:
    fields = beginning.line.split("\t")
    return len(fields) == 6 and _are_numbers(fields, 1, 2, 4, 5)


def _is_pat(beginning: Beginning) -> bool:
    fields = beginning.line.split("\t")
    return len(fields) >= 4 and _are_numbers(fields, 1, 3) and set(fields[2]) <= set("CT.")


def _are_numbers(fields: list[str], *positions: int) -> bool:
    return all(re.fullmatch(r"\d+", fields[position]) for position in positions)


# In the order in which they are tried.
FORMATS = (
    Format("mixtures", "mixtures HDF5 of methmix.mixtures", lambda b: b.head == HDF5, open_mixtures_file),
    Format("beta", ".beta of wgbstools", lambda b: b.path.suffix == ".beta", open_beta_file, fragments=False),
    Format(
        "counts",
        "counts table: header CHROM START END <sample>_METH <sample>_DEPTH ...",
        _has_columns(COUNTS_COORDINATES),
        open_counts_table,
    ),
    Format(
        "beta_table",
        "beta table: header chr start end startCpG endCpG <sample> ...",
        _has_columns(BETA_COORDINATES),
        open_beta_table,
    ),
    Format("bedmethyl", "bedMethyl of modkit: 18 columns", _is_bedmethyl, open_bedmethyl, fragments=False),
    Format(
        "bismark",
        "Bismark coverage (.cov, .cov.gz): chromosome start end percent methylated unmethylated",
        _is_bismark,
        open_bismark,
        fragments=False,
    ),
    Format("pat", ".pat.gz of wgbstools: chromosome first-CpG pattern count", _is_pat, open_pat),
)


def recognise(path: Path) -> tuple[Format, Beginning]:
    """Find the format of a file by its content; an unknown one is an error."""
    beginning = read_beginning(path)
    for known in FORMATS:
        if known.recognise(beginning):
            return known, beginning
    found = f"its first line is {beginning.line[:80]!r}" if beginning.number else "it is no text"
    listed = "\n    ".join(known.description for known in FORMATS)
    raise InputError(f"{path}: is of no known format; {found}", f"known formats:\n    {listed}")


def open_file(path: Path, request: Request) -> OpenedFile:
    """Open a file of any known format, after all checks that need not read it to its end."""
    known, beginning = recognise(path)
    if request.regions is not None and request.regions.measure == "fragment" and not known.fragments:
        raise InputError(
            f"{path}: has counts of single CpGs, but proportions of fragments are needed (measure: fragment)",
            "give the .pat.gz of wgbstools, or use a model or reference of mean methylation (measure: cpg)",
        )
    return known.open(beginning, request)


def read_as(name: str, path: Path, request: Request) -> Counts:
    """Read a file that must have the format of this name."""
    known = next(known for known in FORMATS if known.name == name)
    return known.open(read_beginning(path), request).load()
