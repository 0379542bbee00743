"""Donors of a source, and the tissue and split of each: tables, sample sheets and names."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.config.sources import BetaTableReference, CountsReference
from methmix.errors import InputError
from methmix.files.reference import SPLITS
from methmix.formats.counts import Request
from methmix.formats.file_formats import read_as
from methmix.formats.sheet_tables import read_sheet_table
from methmix.formats.text import first_duplicate
from methmix.reference.inputs import data_file
from methmix.reference.variation import DrawnDonors
from methmix.rows import first_true

logger = logging.getLogger("methmix")


@dataclass(frozen=True)
class DonorCounts:
    """Donors of a source: counts [n_donors, n_regions], depth 0 where not observed, in regions as `read_bed` has them.

    ``splits`` are those that the source states; None: donors are to be divided. ``inputs`` are the files read, by
    name, and ``notes`` what the user should know. ``composition``, [n_donors, n_tissues], is what the DNA of each donor
    consists of, where that is known; its tissues are in alphabetical order.
    """

    names: list[str]
    tissues: list[str]
    regions: pd.DataFrame
    methylated: npt.NDArray[np.int32]
    depth: npt.NDArray[np.int32]
    splits: list[str] | None = None
    inputs: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    composition: npt.NDArray[np.floating] | None = None

    @classmethod
    def drawn(cls, drawn: DrawnDonors, regions: pd.DataFrame, **origin: Any) -> Self:
        """Take drawn donors, whose composition is known; ``origin`` are inputs and notes."""
        names, tissues, methylated, depth, composition = drawn
        return cls(names, tissues, regions, methylated, depth, composition=composition, **origin)


def read_table_donors(settings: CountsReference | BetaTableReference) -> DonorCounts:
    """Read the donors of a table: counts, or fractions that are taken for reads at a stated depth.

    The donors that a sample sheet lists are used; without one all are, and their tissues are parsed from their names.
    """
    table, notes = data_file(settings.file), []
    if isinstance(settings, CountsReference):
        request = Request(duplicates=settings.duplicate_regions)
    else:
        request = Request(pseudo_depth=settings.pseudo_depth)
        notes.append(
            f"depth is not known: the table has fractions, each is taken for {settings.pseudo_depth} reads and "
            "rounded to whole ones"
        )
    counts = read_as(settings.source, table, request)
    notes += counts.notes
    if settings.sample_sheet is None:
        names, inputs = counts.names, {table.name: table}
        tissues, splits = [parse_tissue(table, name) for name in names], None
    else:
        sheet = data_file(settings.sample_sheet)
        content = read_donor_sheet(sheet)
        names, inputs = content["donor"].tolist(), {table.name: table, sheet.name: sheet}
        tissues, splits = content["tissue"].tolist(), splits_of(content)
        _check_listed(sheet, names, table, counts.names)
    rows = [counts.names.index(donor) for donor in names]
    methylated, depth = (np.rint(values[rows]).astype(np.int32) for values in counts.all())
    return DonorCounts(names, tissues, counts.regions, methylated, depth, splits, inputs, notes)


def _check_listed(sheet: Path, listed: list[str], table: Path, found: list[str]) -> None:
    absent = [donor for donor in listed if donor not in found]
    if absent:
        raise InputError(
            f"{sheet}: donor {absent[0]} is not in {table}; that has {', '.join(found[:3])} ...",
            "write the donor in the sheet as the columns of the table are named",
        )
    unlisted = [name for name in found if name not in set(listed)]
    if unlisted:
        logger.warning("%s: donors that %s does not list are left out: %s", table, sheet, ", ".join(unlisted))


def parse_tissue(path: Path, donor: str) -> str:
    """Derive the tissue of a donor that is named ``<tissue>-<number>``."""
    match = re.fullmatch(r"(.+)-\d+", donor)
    if not match:
        raise InputError(
            f"{path}: donor {donor!r}: its tissue is not known, expected <tissue>-<number>",
            "name tissues in a sample sheet (reference.sample_sheet: columns donor, tissue)",
        )
    return match.group(1)


def read_donor_sheet(sheet: Path, *further: str) -> pd.DataFrame:
    """Read a sample sheet: TSV with columns donor, tissue, ``further`` ones and maybe split."""
    content = read_sheet_table(sheet, ("donor", "tissue", *further), ("split",))
    known = {"donor", "tissue", "file", "split"}
    if unused := [name for name in content.columns if name not in known]:
        logger.warning("%s: columns that are not used: %s", sheet, ", ".join(unused))
    if content.empty:
        raise InputError(f"{sheet}: has a header but no donors", "write a line for each donor")
    donors = content["donor"].tolist()
    duplicate = first_duplicate(donors)
    if duplicate:
        raise InputError(
            f"{sheet}: duplicate donor {duplicate}",
            "give each donor its own name; replicates of one person are one donor",
        )
    for column in ("donor", "tissue", *further):
        if (row := first_true(content[column] == "")) is not None:
            whose = f"donor {donors[row]} has no {column}" if donors[row] else "the donor has no name"
            raise InputError(
                f"{sheet}: line {content.index[row]}: {whose}",
                "fill the column in, or remove the donor",
            )
    wrong = [split for split in splits_of(content) or [] if split not in SPLITS]
    if wrong:
        raise InputError(
            f"{sheet}: split: expected one of {', '.join(SPLITS)}, found {wrong[0]!r}",
            "correct the column split, or remove it to have donors split at random",
        )
    return content


def splits_of(sheet: pd.DataFrame) -> list[str] | None:
    """Return the splits that a sample sheet states, None if it has none."""
    return sheet["split"].tolist() if "split" in sheet.columns else None


def merge_tissues(tissues: list[str], merged: Mapping[str, str]) -> list[str]:
    """Rename tissues, which merges those of the same new name."""
    unknown = sorted(set(merged) - set(tissues))
    if unknown:
        raise InputError(
            f"reference.merge_tissues: {unknown[0]!r} is not a tissue of this reference; "
            f"it has {', '.join(sorted(set(tissues)))}",
            "write the names of reference.merge_tissues as the source has them",
        )
    return [merged.get(tissue, tissue) for tissue in tissues]
