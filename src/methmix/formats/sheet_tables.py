"""Sheets: small tables that people write, of samples, donors or files; a header, and text in every column."""

import csv
import io
import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from methmix.bounds import check_size
from methmix.errors import InputError
from methmix.formats.beginning import Beginning, read_beginning
from methmix.formats.text import first_duplicate, open_rows
from methmix.formats.text_errors import UNREADABLE, unreadable

logger = logging.getLogger("methmix")

MOST_BYTES, MOST_LINES = 2**26, 1_000_000
_FIRST_PRINTABLE = " "


def read_sheet_table(path: Path, needed: Sequence[str], optional: Sequence[str] = (), hint: str = "") -> pd.DataFrame:
    """Read a sheet, separated by tabs, commas or semicolons, which must have some columns; the index is the line.

    Fields are without spaces around them; rows that are empty throughout, or begin with #, are left out. A column that
    is called like a known one but for its case is an error, as it would be ignored.
    """
    hint = hint or f"name the columns in the first line, separated as in the other lines: {', '.join(needed)}"
    beginning = read_beginning(path)
    check_size(path, "a sheet", path.stat().st_size, MOST_BYTES)
    if not beginning.number:
        raise InputError(
            f"{path}: is not a readable table: it is no text in UTF-8",
            f"of a workbook, save the sheet as text with tabs. {hint}",
        )
    sep = next((mark for mark in "\t,;" if mark in beginning.line), "\t")
    header = [field.strip() for field in next(csv.reader([beginning.line], delimiter=sep))]
    rows = _rows(path, beginning, sep, len(header))
    table = pd.DataFrame(list(rows.values()), index=list(rows), columns=range(len(header)), dtype=str)
    return _named(path, header, table, [*needed, *optional], needed, hint)


def _rows(path: Path, beginning: Beginning, sep: str, n_columns: int) -> dict[int, list[str]]:
    """Read the rows below the header, by the number of the line."""
    rows: dict[int, list[str]] = {}
    n_comments = 0
    try:
        with open_rows(beginning, beginning.number + 1, sep, n_columns) as lines:
            reader = csv.reader(io.TextIOWrapper(lines, "utf-8", newline="\n"), delimiter=sep)
            for row in reader:
                check_size(path, "a sheet", reader.line_num, MOST_LINES, "lines")
                fields = [field.strip() for field in row]
                if reader.line_num <= beginning.number or not any(fields):
                    continue
                if fields[0].startswith("#"):
                    n_comments += 1
                    continue
                if any(letter < _FIRST_PRINTABLE or letter == "\x7f" for field in fields for letter in field):
                    raise InputError(
                        f"{path}: line {reader.line_num}: has a control character", "write the line again as plain text"
                    )
                rows[reader.line_num] = fields
    except UNREADABLE as error:
        raise unreadable(path, error) from None
    except csv.Error as error:
        raise InputError(f"{path}: is not a readable table ({error})", "write it as plain text with tabs") from None
    if n_comments:
        logger.warning("%s: lines that begin with # are left out: %d", path, n_comments)
    for note in beginning.notes:
        logger.warning("%s: %s", path, note)
    return rows


def _named(
    path: Path, header: list[str], table: pd.DataFrame, known: list[str], needed: Sequence[str], hint: str
) -> pd.DataFrame:  # fmt: skip
    """Name the columns, and check their names."""
    unnamed = [number for number, name in enumerate(header) if not name]
    for number in unnamed:
        if (table[number] != "").any():
            raise InputError(f"{path}: column {number + 1} has no name", hint)
    table = table.set_axis(header, axis=1).iloc[:, [number for number in range(len(header)) if number not in unnamed]]
    columns = list(table.columns)
    if duplicate := first_duplicate(columns):
        raise InputError(f"{path}: duplicate column {duplicate}", "give each column its own name")
    by_case = {name.lower(): name for name in columns}
    for name in known:
        if name not in columns and name in by_case:
            raise InputError(f"{path}: column {by_case[name]}: expected it to be written {name}", hint)
    for name in needed:
        if name not in columns:
            raise InputError(f"{path}: column {name} is missing; found {', '.join(columns)[:200]}", hint)
    return table
