"""Pages: one base, one way to write numbers, and no name that is not given."""

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

import methmix
from methmix import metrics, provenance
from methmix.pages.render import render
from methmix.pages.wording import between, in_unit, percent, plural, shown
from methmix.report.metric_labels import HEADLINE

# Macros that pages of predictions have in common.
MACROS = {"explanation.html", "groups.html", "normals.html"}
PAGES = [path for path in Path(methmix.__file__).parent.rglob("*.html") if path.parent.name != "pages"]
TEMPLATES = [path for path in PAGES if path.name not in MACROS]
REPEATED = {
    "title": "title with <angle>", "lead": "lead.", "images": [], "columns": HEADLINE, "lines": [], "legend": "legend"
}  # fmt: skip


def test_a_page_has_head_lead_and_provenance():
    page = render("report/repeated_runs.html", **REPEATED)
    assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")
    assert "<title>methmix: title with &lt;angle&gt;</title>" in page
    assert "<h1>title with &lt;angle&gt;</h1>" in page
    assert "lead. For research use only." in page
    assert page.count('id="provenance"') == 1
    assert f"commit {provenance.commit()}; methmix {methmix.__version__}" in page
    assert '<th title="mean absolute error over all tissues">MAE</th>' in page


def test_a_page_runs_its_own_scripts_alone_and_asks_no_server():
    page, other = (render("report/repeated_runs.html", **{**REPEATED, "lead": lead}) for lead in ("one", "other"))
    (nonce,) = set(re.findall(r"nonce[-=]\"?([0-9a-f]{32})", page))
    assert f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'nonce-{nonce}'; " in page
    assert page.count("<script") == page.count(f'<script nonce="{nonce}">') == 1
    # The same content makes the same page; what a page has in it cannot foresee its nonce.
    assert page == render("report/repeated_runs.html", **{**REPEATED, "lead": "one"}) and nonce not in other


def test_no_template_takes_text_for_markup():
    package = Path(methmix.__file__).parent
    for path in package.rglob("*.html"):
        assert not re.search(r"\|\s*safe\b|autoescape", path.read_text()), path
        assert all("nonce" in tag or "application/json" in tag for tag in re.findall("<script[^>]*>", path.read_text()))
    # Code of Vega; a break of a line between the parts of a key; JSON that is escaped for a script.
    users = {path.name for path in package.rglob("*.py") if "Markup" in path.read_text()}
    assert users == {"interactive.py", "sweep_page.py"}


def test_a_name_that_is_not_given_is_an_error():
    del (content := dict(REPEATED))["legend"]
    with pytest.raises(UndefinedError, match="'legend' is undefined"):
        render("report/repeated_runs.html", **content)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_page_extends_the_base_and_takes_the_level_of_intervals_from_the_metrics(path):
    text = path.read_text()
    assert text.startswith('{% extends "pages/base.html" %}')
    assert "<head" not in text and "<html" not in text
    assert percent(metrics.INTERVAL_LEVEL) not in text
    assert "Provenance</h2>" not in text


def test_numbers_in_words():
    assert [percent(value) for value in (0.01, 0.07, 0.9, 1)] == ["1 %", "7 %", "90 %", "100 %"]
    assert percent(0.12345, 1) == "12.3 %"
    assert [in_unit(0.12345, unit) for unit in ("%", "")] == ["12.35 %", "0.123"]
    assert [in_unit(value, "%") for value in (None, float("nan"))] == ["undefined", "undefined"]
    assert shown(None) == shown(float("nan")) == "undefined" and shown(0.5, 4) == "0.5000"
    assert between([0.1, None], "%") == "10.00 % to undefined"
    assert [plural(number, "donor") for number in (1, 2, 1200)] == ["1 donor", "2 donors", "1,200 donors"]
