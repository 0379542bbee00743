"""Regions in a BED file, also with the CpG indices that files of wgbstools count in."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from methmix.bounds import check_size
from methmix.errors import InputError
from methmix.formats.beginning import read_beginning
from methmix.formats.genomes import bare_chrom
from methmix.formats.regions import CpgRegions, Integers, RegionSet
from methmix.formats.text import MISSING, NAME, open_rows
from methmix.formats.text_errors import CORRECT, UNREADABLE, unreadable
from methmix.formats.text_stream import WHITESPACE
from methmix.rows import first_true

logger = logging.getLogger("methmix")

_MOST_REGIONS = 2_000_000
REGION = ["chrom", "start", "end"]
_CPGS = ["start_cpg", "end_cpg"]


def read_bed(path: Path, cpg_indices: bool) -> pd.DataFrame:
    """Read the regions of a BED file, plain or gzip, of which none may be empty or a duplicate.

    Returns
    -------
    DataFrame
        Columns chrom, start, end and, with ``cpg_indices``, start_cpg, end_cpg: the first CpG and that after the last.
    """
    regions = _read_regions(path, [*REGION, *_CPGS] if cpg_indices else REGION)
    check_extent(path, regions)
    refuse_duplicates(path, regions)
    return regions.reset_index(drop=True)


def _read_regions(path: Path, columns: list[str], *, converted: bool = False) -> pd.DataFrame:
    """Read these leading columns of a BED file; the index is the line of the file.

    ``converted`` files are as ``wgbstools convert`` makes them: with or without a header, and NA for the CpG indices of
    a region that has no CpG, which is left out.
    """
    rows = _rows(path)
    for line, fields in rows.items():
        if len(fields) < len(columns) or "" in fields[: len(columns)] or not NAME.fullmatch(fields[0]):
            raise InputError(
                f"{path}: line {line}: expected {' '.join(columns)}, found {' '.join(fields)[:60]!r}", CORRECT
            )
    text = pd.DataFrame([fields[: len(columns)] for fields in rows.values()], columns=columns, index=list(rows))
    if converted:
        is_header = not text[REGION[1:]].head(1).apply(lambda column: column.str.isdecimal()).to_numpy().any()
        text = text.iloc[int(is_header) :]
        text = text[~text["start_cpg"].isin(MISSING)]
    if text.empty:
        raise InputError(f"{path}: has no regions", "is it the right file, and complete?")
    numbers = {name: _whole_numbers(path, text[name]) for name in columns[1:]}
    return pd.DataFrame({"chrom": text["chrom"], **numbers})


def _rows(path: Path) -> dict[int, list[str]]:
    """Read the columns of all lines but comments, by the number of the line."""
    beginning = read_beginning(path)
    if not beginning.number:
        raise InputError(f"{path}: is no BED file: it is no text", "give the regions as text: chromosome, start, end")
    sep = "\t" if "\t" in beginning.line else WHITESPACE
    rows = {}
    try:
        with open_rows(beginning, beginning.number, sep, quoted=False) as lines:
            for number, line in enumerate(lines, 1):
                check_size(path, "its size", number, _MOST_REGIONS, "lines")
                if number >= beginning.number and line.strip() and not line.startswith(b"#"):
                    text = line.decode()
                    rows[number] = [field.strip() for field in text.split(sep)] if sep == "\t" else text.split()
    except UNREADABLE as error:
        raise unreadable(path, error) from None
    for note in beginning.notes:
        logger.warning("%s: %s", path, note)
    return rows


def check_extent(path: Path, regions: pd.DataFrame) -> None:
    """Refuse empty regions; the index is the line of the file."""
    for start, end in (("start", "end"), ("start_cpg", "end_cpg")):
        if start in regions and (row := first_true(regions[end] <= regions[start])) is not None:
            raise InputError(
                f"{path}: line {regions.index[row]}: {end} must be larger than {start}",
                "a BED file counts from 0, and the end is the first position after the region: where the file counts "
                "from 1, subtract 1 from its starts",
            )


def refuse_duplicates(path: Path, regions: pd.DataFrame) -> None:
    """Refuse a second row of a region."""
    names = regions["chrom"].map(bare_chrom)
    if (row := first_true(regions.assign(chrom=names).duplicated(REGION))) is not None:
        raise duplicate_region(path, regions, row)


def duplicate_region(path: Path, regions: pd.DataFrame, row: int) -> InputError:
    """Make the message for a row whose region another row has too; the index is the line of the file."""
    return InputError(
        f"{path}: line {regions.index[row]}: duplicate region {place_name(regions, row)}",
        "keep one row of each region; in a counts reference, duplicate_regions: deepest keeps that with most reads",
    )


def place_name(regions: pd.DataFrame, row: int) -> str:
    """``chrom:start-end`` of a row."""
    chrom, start, end = regions[REGION].iloc[row]
    return f"{chrom}:{start}-{end}"


def cpg_regions(regions: RegionSet, regions_file: Path | None) -> CpgRegions:
    """Return regions in CpG indices, their own or those of a file (chrom, start, end, start_cpg, end_cpg).

    A region that the file does not have is empty, from 1 to 1.
    """
    if regions.start_cpg is not None and regions.end_cpg is not None:
        return CpgRegions(regions.chrom, regions.start_cpg, regions.end_cpg, regions.measure)
    if regions_file is None:
        raise InputError(
            "files of wgbstools (.beta, .pat.gz) count in CpG indices, and the model's regions have none",
            "give a regions file with columns chrom, start, end, start_cpg, end_cpg, which wgbstools convert makes: "
            "--regions-file FILE, or regions_file in the section prediction of a configuration",
        )
    table = _read_regions(regions_file, [*REGION, *_CPGS], converted=True)
    if (row := first_true((table["start_cpg"] < 1) | (table["end_cpg"] < table["start_cpg"]))) is not None:
        raise InputError(
            f"{regions_file}: line {table.index[row]}: expected 1 <= start_cpg <= end_cpg",
            "CpG indices count from 1, and end_cpg is the first CpG after the region",
        )
    region = regions.find(table["chrom"], table["start"], table["end"])
    if not (region >= 0).any():
        raise InputError(
            f"{regions_file}: has none of the model's {len(regions)} regions; "
            f"it has for example {place_name(table, 0)}, the model {regions.name(0)}",
            f"is it of another genome build than {regions.genome}?",
        )
    if not (table["end_cpg"] > table["start_cpg"]).any():
        raise InputError(
            f"{regions_file}: has no CpG in any region: end_cpg equals start_cpg in all lines",
            "end_cpg is the first CpG after the region; wgbstools convert makes the columns",
        )
    cpgs = np.ones((2, len(regions)), dtype=np.int64)
    cpgs[:, region[region >= 0]] = table[_CPGS].to_numpy()[region >= 0].T
    return CpgRegions(regions.chrom, cpgs[0], cpgs[1], regions.measure)


def _whole_numbers(path: Path, column: pd.Series) -> Integers:
    if (row := first_true(~column.str.fullmatch("[0-9]{1,10}").to_numpy(dtype=bool))) is not None:
        raise InputError(
            f"{path}: line {column.index[row]}, column {column.name}: expected a whole number >= 0, "
            f"found {column.iloc[row][:40]!r}",
            CORRECT,
        )
    numbers: Integers = column.to_numpy().astype(np.int64)
    return numbers
