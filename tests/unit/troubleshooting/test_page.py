"""The page of messages is what the code says, and complete."""

import re

import pytest

from methmix.provenance import PACKAGE
from methmix.troubleshooting.page import troubleshooting_page


@pytest.fixture(scope="module")
def page():
    return troubleshooting_page()


def test_the_committed_page_is_what_the_code_says(repository, page):
    committed = (repository / "docs/troubleshooting.md").read_text()
    assert committed == page, "python -m methmix.troubleshooting > docs/troubleshooting.md"


def test_the_usual_symptoms_come_first(page):
    rows = [line for line in page.splitlines() if line.startswith("| ")][2:6]
    for row, symptom in zip(rows, ("import", "missing keys", "stuck at 50 %", "predictions are 0 %"), strict=True):
        assert symptom in row
    assert page.index("No module named methmix") < page.index("## Every command") < page.index("## config")


def test_what_every_command_may_say_is_in_its_code(page):
    code = (PACKAGE / "cli.py").read_text()
    for words in ("permission denied", "interrupted", "--verbose shows where it happened", "free memory"):
        assert words in code and words in page


def test_tables_are_whole(page):
    for line in page.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (4, 5), line
