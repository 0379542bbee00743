"""Source ``beta_table``: fractions with a stated pseudo-depth, and what is refused with line and column."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from methmix.config.experiment import Experiment
from methmix.errors import InputError
from methmix.files.reference import Reference
from methmix.reference import tables
from methmix.reference.beta_table import read_beta_table
from methmix.reference.build import build_reference

GOOD = """\
chr start end startCpG endCpG Liver-1 Liver-2 Blood-1 Blood-2
chr1 100 200 1 5 0.9 1 0.1 0.0
chr1 300 400 7 12 NA 0.75 0.04 NA
chr2 100 200 50 55 0.2 0.3 1.0 1
"""


def _table(path: Path, text: str = GOOD) -> Path:
    path.write_text(text.replace(" ", "\t"))
    return path


@pytest.fixture
def build(settings, tmp_path):
    """Build the reference of a table, with changed keys."""

    def make(text: str = GOOD, **changes) -> Reference:
        source = {
            "source": "beta_table",
            "file": str(_table(tmp_path / "betas.tsv", text)),
            "genome": "hg38",
            "pseudo_depth": 20,
            "split": {"validation": 0.2, "test": 0.2, "allow_single_donor": False},
            **changes,
        }
        return build_reference(Experiment.model_validate({**settings, "reference": source}))

    return make


def test_good_table(tmp_path):
    names, regions, values = read_beta_table(_table(tmp_path / "betas.tsv"))
    assert names == ["Liver-1", "Liver-2", "Blood-1", "Blood-2"]
    assert list(regions) == ["chrom", "start", "end", "start_cpg", "end_cpg"]
    assert regions.to_numpy().tolist()[1] == ["chr1", 300, 400, 7, 12]
    np.testing.assert_array_equal(values[:2], [[0.9, np.nan, 0.2], [1, 0.75, 0.3]])


def test_table_of_several_blocks(tmp_path, monkeypatch):
    path = tmp_path / "betas.tsv.gz"
    path.write_bytes(gzip.compress(_table(tmp_path / "plain.tsv").read_bytes()))
    whole = read_beta_table(path)
    monkeypatch.setattr(tables, "_ROWS", 2)
    names, regions, values = read_beta_table(path)
    assert names == whole[0]
    assert regions.equals(whole[1])
    np.testing.assert_array_equal(values, whole[2])
    bad = _table(tmp_path / "bad.tsv", GOOD.replace("0.2 0.3", "0.2 3"))
    with pytest.raises(InputError, match="line 4, column Liver-2"):
        read_beta_table(bad)


def test_reference(build):
    reference = build()
    assert reference.donors == ["Blood-1", "Blood-2", "Liver-1", "Liver-2"]
    np.testing.assert_array_equal(reference.depth, [[20, 20, 20], [20, 0, 20], [20, 0, 20], [20, 20, 20]])
    # 0.04 of 20 reads is 0.8: the nearest number of reads.
    np.testing.assert_array_equal(reference.methylated, [[2, 1, 20], [0, 0, 20], [18, 0, 4], [20, 15, 6]])
    assert reference.regions["end_cpg"].tolist() == [5, 12, 55]
    assert reference.measure == "cpg"
    note = "depth is not known: the table has fractions, each is taken for 20 reads and rounded to whole ones"
    assert note in json.loads(reference.attributes["notes"])
    assert set(json.loads(reference.attributes["sha256"])) == {"betas.tsv"}


def test_sample_sheet_and_merged_tissues(build, tmp_path):
    text = "donor tissue split\nBlood-2 T train\nBlood-1 B test\nLiver-1 Liver train\nLiver-2 Liver test\n"
    sheet = _table(tmp_path / "sheet.tsv", text)
    reference = build(sample_sheet=str(sheet), merge_tissues={"T": "Lymphocyte", "B": "Lymphocyte"})
    assert reference.tissues == ["Liver", "Liver", "Lymphocyte", "Lymphocyte"]
    assert reference.split == ["train", "test", "test", "train"]
    np.testing.assert_array_equal(reference.methylated[3], [0, 0, 20])


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ("NA 0.75", "NA 1.75", ["line 3, column Liver-2", "fraction 0-1 or NA", "'1.75'"]),
        ("NA 0.75", "NA -0.1", ["line 3, column Liver-2", "'-0.1'"]),
        ("NA 0.75", "NA 75%", ["line 3, column Liver-2", "'75%'"]),
        ("0.04 NA", "0.04 NA 0.5", ["is not a readable table", "line 3"]),
        ("300 400 7 12", "300 x 7 12", ["line 3, column end", "whole number", "'x'"]),
        ("300 400 7 12", "400 400 7 12", ["line 3: end must be larger than start"]),
        ("300 400 7 12", "300 400 12 7", ["line 3: end_cpg must be larger than start_cpg"]),
        ("chr1 300 400", "chr1 100 200", ["line 3: region chr1:100-200 is there twice"]),
        ("endCpG", "lastCpG", ["column endCpG is missing", "expected chr start end startCpG endCpG <sample>"]),
        ("Liver-2", "Liver-1", ["column Liver-1 is there twice"]),
        ("Liver-2", "patient7", ["donor 'patient7': cannot tell its tissue", "reference.sample_sheet"]),
    ],
)
def test_bad_table(build, old, new, fragments):
    assert old in GOOD
    with pytest.raises(InputError) as caught:
        build(GOOD.replace(old, new, 1))
    for fragment in ["betas.tsv", *fragments]:
        assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", "is not a readable table"),
        (GOOD.splitlines()[0], "has a header but no regions"),
        ("chr start end startCpG endCpG\nchr1 1 2 3 4\n", "has no sample"),
    ],
)
def test_empty_table(build, text, fragment):
    with pytest.raises(InputError, match=fragment):
        build(text)


def test_sheet_and_table_that_do_not_match(build, tmp_path):
    sheet = _table(tmp_path / "sheet.tsv", "donor tissue\nLiver-1 Liver\nLiver-9 Liver\n")
    with pytest.raises(InputError, match=r"donor Liver-9 is not in .*betas\.tsv"):
        build(sample_sheet=str(sheet))
    with pytest.raises(InputError, match="merge_tissues: 'Lung' is not a tissue"):
        build(merge_tissues={"Lung": "Chest"})
