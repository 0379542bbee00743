"""The reference report: its numbers, its flags, and a page that opens offline."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from methmix.files.reference import Reference
from methmix.reference.purity import leave_one_out_purity
from methmix.reference.quality import assess, tissue_difference
from methmix.reference.reference_report import write_report


@pytest.fixture(scope="module")
def contaminated(reference) -> Reference:
    """The small reference with one donor of Colon that is half Blood, Liver without validation donors."""
    row = reference.tissues.index("Colon")
    blood = reference.tissues.index("Blood")
    methylated = reference.methylated.copy()
    mixed = (np.nan_to_num(reference.fractions[row]) + np.nan_to_num(reference.fractions[blood])) / 2
    methylated[row] = np.round(mixed * reference.depth[row])
    liver = [i for i, tissue in enumerate(reference.tissues) if tissue == "Liver"]
    keep = [i for i in range(len(reference.donors)) if i not in liver[2:]]
    split = ["train" if i == liver[0] else "test" if i == liver[1] else reference.split[i] for i in keep]
    return Reference(
        methylated[keep],
        reference.depth[keep],
        [reference.donors[i] for i in keep],
        [reference.tissues[i] for i in keep],
        split,
        reference.regions,
        {**reference.attributes, "notes": json.dumps(["a note with <angle> & brackets"])},
    )


def test_donor_table(reference):
    table = assess(reference).donors
    assert table["donor"].tolist() == reference.donors
    assert set(table["origin"]) == {"simulated"}
    np.testing.assert_allclose(table["purity"], leave_one_out_purity(reference))
    np.testing.assert_allclose(table["missing"], (reference.depth == 0).mean(axis=1))
    np.testing.assert_allclose(table["median_depth"], np.median(reference.depth, axis=1))
    assert (table["flags"] == "").all()
    assert (table["purity"] + table["looks_like_share"] <= 1 + 1e-9).all()
    assert (table["looks_like"] != table["tissue"]).all()


def test_low_purity_is_flagged(contaminated):
    quality = assess(contaminated)
    assert quality.low_purity["donor"].tolist() == ["Colon-1"]
    flagged = quality.donors.set_index("donor").loc["Colon-1"]
    assert flagged["flags"] == "purity below 70 %"
    assert flagged["looks_like"] == "Blood"
    assert 0.3 < flagged["looks_like_share"] < 0.7


def test_few_donors_are_flagged(contaminated, reference):
    quality = assess(contaminated)
    assert quality.few_donors["tissue"].tolist() == ["Liver"]
    liver = quality.tissues.set_index("tissue").loc["Liver"]
    assert liver[["donors", "train", "validation", "test"]].tolist() == [2, 1, 0, 1]
    assert liver["flags"] == "validation mixtures are made of training donors: optimistic"
    assert (quality.tissues["flags"] != "").sum() == 1
    assert assess(reference).few_donors.empty


def test_only_donor_of_a_tissue(reference):
    rows = [i for i, tissue in enumerate(reference.tissues) if tissue == "Liver"]
    tissues = ["Rare" if i == rows[0] else tissue for i, tissue in enumerate(reference.tissues)]
    split = ["train" if i == rows[0] else own for i, own in enumerate(reference.split)]
    quality = assess(replace(reference, tissues=tissues, split=split, known_composition=None))
    rare = quality.donors.set_index("tissue").loc["Rare"]
    assert np.isnan(rare["purity"])
    assert rare["flags"] == "only donor of its tissue: in every split"
    assert rare["donor"] not in quality.low_purity["donor"].tolist()


def test_tissue_difference_by_hand():
    regions = pd.DataFrame({"chrom": "chr1", "start": np.arange(4) * 10, "end": np.arange(4) * 10 + 5})
    methylated = np.array([[100, 100, 50, 0], [100, 70, 50, 0], [0, 75, 50, 0]])
    depth = np.array([[100, 100, 100, 100], [100, 100, 100, 0], [100, 100, 100, 100]])
    reference = Reference(methylated, depth, ["a", "b", "c"], ["A", "B", "C"], ["train"] * 3, regions)
    # A-B: regions 1-3 known to both, one differs. A-C: two of four. B-C: one of three.
    expected = [[0, 1 / 3, 1 / 2], [1 / 3, 0, 1 / 3], [1 / 2, 1 / 3, 0]]
    np.testing.assert_allclose(tissue_difference(reference), expected)


def test_similar_tissues_stand_beside_each_other(reference):
    quality = assess(reference)
    assert sorted(quality.order) == list(range(6))
    names = [reference.tissue_names[i] for i in quality.order]
    for first, second in (("Cortex", "Neuron"), ("Colon", "Liver"), ("Blood", "Kidney")):
        assert abs(names.index(first) - names.index(second)) == 1
    similar = quality.most_similar(3)
    assert {frozenset(pair) for pair in similar[["first", "second"]].to_numpy().tolist()} == {
        frozenset(pair) for pair in (("Cortex", "Neuron"), ("Colon", "Liver"), ("Blood", "Kidney"))
    }
    assert similar["difference"].is_monotonic_increasing


def test_histogram(reference):
    methylation = assess(reference).methylation
    assert methylation.shape == (50,)
    assert methylation.sum() == pytest.approx(1)
    fractions = reference.fractions[:]
    observed = fractions[~np.isnan(fractions)]
    assert methylation[:25].sum() == pytest.approx((observed < 0.5).mean(), abs=1e-6)


class _Page(HTMLParser):
    """Collects what a page loads, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attributes if name in {"src", "href", "srcset"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_report_is_one_page_that_opens_offline(contaminated, tmp_path):
    path = tmp_path / "below" / "reference_report.html"
    write_report(path, contaminated)
    text = path.read_text()
    page = _Page(text)
    loaded = [address for address in page.loaded if not address.startswith("#")]
    assert len(loaded) == 3
    assert all(address.startswith("data:image/png;base64,") for address in loaded)
    assert "url(" not in text
    assert "@import" not in text
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "donors.csv",
        "reference_methylation.png",
        "reference_purity.png",
        "reference_report.html",
        "reference_similarity.png",
    ]
    for name in ("methylation", "purity", "similarity"):
        assert (path.parent / f"reference_{name}.png").read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(path.parent / "donors.csv")
    assert table["donor"].tolist() == contaminated.donors


def test_report_says_what_a_user_must_know(contaminated, tmp_path):
    write_report(tmp_path / "page.html", contaminated)
    text = re.sub(r"\s+", " ", _Page((tmp_path / "page.html").read_text()).text)
    assert text.index("a note with <angle> & brackets") < text.index("Tissues", text.index("Provenance"))
    assert "1 donor does not look like its tissue" in text
    assert re.search(r"Colon-1 \(\w+\): \d\d % Colon, \d\d % Blood", text)
    assert "1 tissue has fewer than 3 donors" in text
    assert "validation mixtures are made of training donors: optimistic" in text
    assert "All donors are simulated; none is a real sample." in text
    for donor in contaminated.donors:
        assert donor in text


def test_report_of_a_good_reference_has_no_warnings(reference, tmp_path):
    write_report(tmp_path / "page.html", reference)
    text = _Page((tmp_path / "page.html").read_text()).text
    assert "Every donor that could be checked looks at least 70 % like its tissue." in text
    assert "fewer than" not in text


def test_same_reference_same_report(reference, tmp_path):
    for name in ("a", "b"):
        write_report(tmp_path / name / "page.html", reference)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_report_of_two_tissues(reference, tmp_path):
    rows = [i for i, tissue in enumerate(reference.tissues) if tissue in {"Blood", "Colon"}]
    small = Reference(
        reference.methylated[rows],
        reference.depth[rows],
        [reference.donors[i] for i in rows],
        [reference.tissues[i] for i in rows],
        [reference.split[i] for i in rows],
        reference.regions,
    )
    write_report(tmp_path / "page.html", small)
    assert "unknown" in (tmp_path / "page.html").read_text()
