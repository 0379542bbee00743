"""Donors as a source gives them, and which tissue and split each is of: sample sheets and names."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.errors import InputError
from methmix.files.reference import SPLITS
from methmix.formats.text import UNREADABLE

logger = logging.getLogger("methmix")


class Donors(NamedTuple):
    """What a source gives.

    Parameters
    ----------
    names, tissues
        Of each donor.
    splits
        Split of each donor where the source says it; None: donors are to be divided.
    regions
        Columns chrom, start, end and, where the source has them, start_cpg, end_cpg.
    methylated, depth
        Counts, int32 [n_donors, n_regions]; depth 0 where not observed.
    """

    names: list[str]
    tissues: list[str]
    splits: list[str] | None
    regions: pd.DataFrame
    methylated: npt.NDArray[np.int32]
    depth: npt.NDArray[np.int32]


class Assignment(NamedTuple):
    """Donors that are used: their place in the source, name, tissue and, if given, split."""

    rows: list[int]
    names: list[str]
    tissues: list[str]
    splits: list[str] | None


def parse_tissue(path: Path, donor: str) -> str:
    """Tell the tissue of a donor that is named ``<tissue>-<number>``.

    Raises
    ------
    InputError
        It is named otherwise.
    """
    match = re.fullmatch(r"(.+)-\d+", donor)
    if not match:
        raise InputError(
            f"{path}: donor {donor!r}: cannot tell its tissue, expected <tissue>-<number>",
            "name tissues in a sample sheet (reference.sample_sheet: columns donor, tissue)",
        )
    return match.group(1)


def assign(table: Path, names: list[str], sheet: Path | None) -> Assignment:
    """Tell which donors of a table are used, and what they are.

    Parameters
    ----------
    table, names
        The table, for messages, and its donors.
    sheet
        Sample sheet; without one all donors are used and their tissues are told from their names.

    Raises
    ------
    InputError
        As for `read_sheet` and `parse_tissue`; the sheet lists a donor that the table has not.
    """
    if sheet is None:
        return Assignment(list(range(len(names))), names, [parse_tissue(table, name) for name in names], None)
    content = read_sheet(sheet)
    donors = content["donor"].tolist()
    absent = [donor for donor in donors if donor not in names]
    if absent:
        raise InputError(f"{sheet}: donor {absent[0]} is not in {table}; that has {', '.join(names[:3])} ...")
    unlisted = [name for name in names if name not in set(donors)]
    if unlisted:
        logger.warning("%s: donors that %s does not list are left out: %s", table, sheet, ", ".join(unlisted))
    rows = [names.index(donor) for donor in donors]
    return Assignment(rows, donors, content["tissue"].tolist(), splits_of(content))


def read_sheet(sheet: Path, *further: str) -> pd.DataFrame:
    """Read a sample sheet: TSV with columns donor, tissue, ``further`` ones and maybe split.

    Raises
    ------
    InputError
        A column is missing, a donor is there twice or has an empty field, a split is none.
    """
    try:
        content = pd.read_csv(sheet, sep="\t", dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise InputError(f"{sheet}: there is no such file") from None
    except UNREADABLE as error:
        raise InputError(f"{sheet}: is not a readable sample sheet ({error})") from None
    for column in ("donor", "tissue", *further):
        if column not in content.columns:
            raise InputError(f"{sheet}: column {column} is missing; found {', '.join(content.columns)}")
    donors = content["donor"].tolist()
    if len(set(donors)) != len(donors):
        raise InputError(f"{sheet}: donor {max(donors, key=donors.count)} is there twice")
    for column in ("tissue", *further):
        empty = content[column] == ""
        if empty.any():
            raise InputError(f"{sheet}: donor {donors[int(np.argmax(empty))]} has no {column}")
    wrong = [split for split in splits_of(content) or [] if split not in SPLITS]
    if wrong:
        raise InputError(f"{sheet}: split: expected one of {', '.join(SPLITS)}, found {wrong[0]!r}")
    return content


def splits_of(sheet: pd.DataFrame) -> list[str] | None:
    """Give the splits that a sample sheet names, None if it has none."""
    return sheet["split"].tolist() if "split" in sheet.columns else None


def merge_tissues(tissues: list[str], merged: Mapping[str, str]) -> list[str]:
    """Rename tissues, and so join those that get the same name.

    Raises
    ------
    InputError
        There is no such tissue.
    """
    unknown = sorted(set(merged) - set(tissues))
    if unknown:
        raise InputError(
            f"reference.merge_tissues: {unknown[0]!r} is not a tissue of this reference; "
            f"it has {', '.join(sorted(set(tissues)))}"
        )
    return [merged.get(tissue, tissue) for tissue in tissues]
