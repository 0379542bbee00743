"""One page for each patient."""

import datetime
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from methmix.models.prediction import Prediction
from methmix.prediction.card import model_card
from methmix.prediction.goodness_of_fit import Fit
from methmix.prediction.output import record_of
from methmix.prediction.patient_page import page_names, patient_folder, patient_pages
from methmix.prediction.sample_results import Cohort, SampleResult
from methmix.samples.sample_sheet import Sample
from methmix.training.checkpoint import load_checkpoint

HARMFUL = 'Ann "O\'Neil"/../../<script>alert(1)</script>'


def names(*patients):
    run = Cohort(["B"], 1)
    run.results = [SampleResult(Sample(f"S{n}", Path("x"), p), 1, 1, 1.0, None) for n, p in enumerate(patients)]
    return page_names(run)


def test_a_plain_name_is_the_file_and_any_other_is_made_one():
    found = names("P-001", "p-001", HARMFUL, "../../etc/passwd", "..", "Müller", "Muller?", "", "x" * 300, "P-001", "/")
    assert found["P-001"] == "P-001.html" and "" not in found and len(found) == 9
    for name in found.values():
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*\.html", name) and ".." not in name and len(name) < 90
    assert len({name.lower() for name in found.values()}) == 9


def test_the_folder_is_beside_the_table():
    assert patient_folder(Path("a/predictions.csv")) == Path("a/predictions_patients")


class Checker(HTMLParser):
    """Collect the text and the tags of a page, with what they refer to."""

    def __init__(self):
        super().__init__()
        self.tags, self.refers, self.words = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.refers += [value for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def pages(checkpoint):
    """Pages of patients with many dates and tissues, with one sample, and without estimates."""
    rng = np.random.default_rng(0)
    tissues = ["Blood", *(f"Tissue {number}" for number in range(29))]
    run = Cohort(tissues, 1000, background=["Blood"])
    for patient, n in (("many", 15), ("one", 1), (HARMFUL, 2)):
        for number in range(n):
            p = rng.dirichlet(np.full(30, 0.5))
            p[3] = 0
            known = Prediction(
                p / p.sum(), rng.uniform(size=30), None, p * 0.5, np.minimum(p * 2 + 0.01, 1), limit=p * 0.9
            )
            date = datetime.date(2026, 1 + number % 12, 1 + number)
            sample = Sample(f"{patient} sample {number:02d}", Path("x"), patient, date)
            fit = Fit(2.0, 1.0, 2.0, 0.1, 0.3)
            run.results.append(SampleResult(sample, 1000, 900, 33.3, known, fit=fit, verdict="odd"))
    run.results.append(SampleResult(Sample("silent", Path("x"), "silent"), 1000, 3, 1.0, None))
    run.results.append(SampleResult(Sample("nobody", Path("x")), 1000, 900, 33.3, known))
    card = {**model_card(load_checkpoint(checkpoint)), "checkpoint": "0123456789abcdef" * 4}
    record = record_of(run, card)
    return record, dict(patient_pages(run, record, "../all.html")), page_names(run)


def read(pages, patient):
    record, rendered, files = pages
    checker = Checker()
    checker.feed(rendered[files[patient]])
    return record, checker, " ".join(" ".join(checker.words).split())


def test_a_page_has_what_identifies_sample_and_model(pages):
    record, checker, text = read(pages, "one")
    assert len(pages[1]) == 4 and text.count("For research use only, not for diagnosis.") == 1
    for words in ("Patient one", "one sample 00", "2026-01-01", "0123456789abcdef", "panel of normals none", "Blood"):
        assert words in text
    assert record["commit"] in text and f"methmix {record['versions']['methmix']}" in text
    assert record["model"]["training"]["reference"][:16] in text
    assert "It has methylation that the reference tissues do not explain: do not rely on its proportions." in text
    # It opens without a connection, and has no course of a single date.
    assert [value for value in checker.refers if not value.startswith("data:")] == ["../all.html"]
    assert "img" not in checker.tags and "Course over time" not in text


def test_estimates_are_those_of_the_latest_sample(pages):
    record, _, text = read(pages, "many")
    own = [sample for sample in record["samples"] if sample["patient"] == "many"]
    latest = max(own, key=lambda sample: sample["date"])
    leading = sorted(latest["proportions"].items(), key=lambda item: -item[1]["proportion"])
    name, known = next(item for item in leading if item[0] != "Blood")
    assert f"Latest sample, {latest['date']}: {latest['sample']} . {name} {known['shown']} (" in text
    assert f"All tissues, {latest['date']}" in text
    presence = f"{known['presence_probability']:.2f}"
    assert re.search(rf"{name} {re.escape(known['shown'])} [0-9.]+ to [0-9.]+ % {presence} [0-9.]+ %", text)
    # What does not fit on a sheet is counted.
    assert "The last 12; 3 earlier ones are in the report of all samples." in text
    assert "6 more tissues are in the report of all samples." in text
    assert sum(sample["sample"] in text for sample in own) == 12


def test_a_harmful_name_is_text(pages):
    _, checker, text = read(pages, HARMFUL)
    assert f"Patient {HARMFUL}: tissues of origin" in text
    # The page has one script of its own.
    assert checker.tags.count("script") == 1 and checker.tags.count("img") == 1


def test_a_sample_without_estimates_has_none_on_the_page(pages):
    _, _, text = read(pages, "silent")
    assert "No estimates: too few reads (3 of 1000 regions observed)." in text and "All tissues" not in text


@pytest.mark.slow
def test_pages_are_written_and_linked_and_old_ones_are_removed(command, counts, sheet_of):
    rows = [("a", counts, "Ann", "2026-01-01", "S0"), ("b", counts, "Ann", "2026-02-01", "S1")]
    code, _, output = command("--sheet", sheet_of(*rows, ("c", counts, HARMFUL, "", "S2")))
    folder = output.with_name("predictions_patients")
    assert code == 0 and len(list(folder.iterdir())) == 2
    page = output.with_suffix(".html").read_text()
    linked = set(re.findall(r'href="(predictions_patients/[^"]*)"', page))
    assert linked == {f"predictions_patients/{path.name}" for path in folder.iterdir()}
    assert 'href="../predictions.html"' in (folder / "Ann.html").read_text() and "<script>alert" not in page
    command("--sheet", sheet_of(*rows))
    assert [path.name for path in folder.iterdir()] == ["Ann.html"]
    command("--sheet", sheet_of(("a", counts, "", "", "S0")))
    assert list(folder.iterdir()) == []
