"""docs/formats.md names every format that is read, and every one that is known and not read."""

from pathlib import Path

import methmix
from methmix.formats.file_formats import FORMATS
from methmix.formats.near_misses import NEAR_MISSES

PAGE = (Path(methmix.__file__).parents[2] / "docs" / "formats.md").read_text()
READ, NOT_READ = PAGE.split("## What is not read")


def rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("| \n").split(" | ")] for line in text.splitlines() if line[:2] == "| "
    ]


def test_each_format_has_a_row_and_each_row_a_format():
    assert [row[0].strip("`") for row in rows(READ)[1:]] == [known.name for known in FORMATS]
    assert {len(row) for row in rows(READ)} == {7}
    assert all(cell for row in rows(READ) for cell in row)


def test_each_near_miss_has_a_row():
    assert [row[0] for row in rows(NOT_READ)[1:]] == [known.what for known in NEAR_MISSES]
