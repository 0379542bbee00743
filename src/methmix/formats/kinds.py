"""Which format a file has, told from its content."""

import re
from pathlib import Path
from typing import Literal

from methmix.errors import InputError
from methmix.formats.tables import BETA_COORDINATES, COUNTS_COORDINATES
from methmix.formats.text import UNREADABLE, open_text, unreadable

Kind = Literal["counts", "beta_table", "bismark", "bedmethyl", "beta", "pat", "mixtures"]

_KNOWN = """known formats:
    counts table: header CHROM START END <sample>_METH <sample>_DEPTH ...
    beta table: header chr start end startCpG endCpG <sample> ...
    Bismark coverage (.cov, .cov.gz): chromosome start end percent methylated unmethylated
    bedMethyl of modkit: 18 columns
    wgbstools .beta, or .pat.gz: chromosome first-CpG pattern count
    mixtures HDF5 of methmix.mixtures"""
_HDF5 = b"\x89HDF\r\n\x1a\n"
_NUMBER = re.compile(r"\d+")
_NAME_ENDINGS = re.compile(r"(\.bismark)?(\.cov|\.bed|\.bedmethyl|\.pat|\.beta)?(\.gz)?$", re.IGNORECASE)


def kind_of(path: Path) -> Kind:
    """Tell the format of a file.

    Raises
    ------
    InputError
        The file is missing, empty, damaged or of no known format.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    with path.open("rb") as raw:
        beginning = raw.read(len(_HDF5))
    if not beginning:
        raise InputError(f"{path}: is empty")
    if beginning == _HDF5:
        return "mixtures"
    if path.suffix == ".beta":
        return "beta"
    line = first_line(path)
    kind = _kind_of_line(line.split("\t"), line.split())
    if kind is None:
        raise InputError(f"{path}: is of no known format; its first line is {line[:80]!r}", _KNOWN)
    return kind


def sample_name(path: Path) -> str:
    """Name the sample of a file that has only one: the file's name without what tells the format."""
    return _NAME_ENDINGS.sub("", path.name)


def first_line(path: Path) -> str:
    """Read the first line that is no comment."""
    try:
        with open_text(path) as lines:
            for line in lines:
                if not line.startswith("#"):
                    return line.rstrip("\r\n")
    except UnicodeDecodeError:
        raise InputError(f"{path}: is of no known format; it is no text", _KNOWN) from None
    except UNREADABLE as error:
        raise unreadable(path, error) from None
    raise InputError(f"{path}: is empty")


def _kind_of_line(fields: list[str], words: list[str]) -> Kind | None:
    if set(COUNTS_COORDINATES) <= set(fields):
        return "counts"
    if set(BETA_COORDINATES) <= set(fields):
        return "beta_table"
    if len(words) == 18 and _numbers(words, 1, 2, 9, 11) and words[5] in {"+", "-", "."}:
        return "bedmethyl"
    if len(fields) == 6 and _numbers(fields, 1, 2, 4, 5):
        return "bismark"
    if len(fields) >= 4 and _numbers(fields, 1, 3) and set(fields[2]) <= set("CT."):
        return "pat"
    return None


def _numbers(fields: list[str], *positions: int) -> bool:
    return all(_NUMBER.fullmatch(fields[position]) for position in positions)
