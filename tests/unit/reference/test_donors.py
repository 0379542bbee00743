"""Sources ``counts`` and ``beta_table``: what is read, and what is refused with file, row and column."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from methmix.config.experiment import Experiment
from methmix.config.sources import CountsReference
from methmix.errors import InputError
from methmix.files.reference import Reference
from methmix.formats import table_rows
from methmix.formats.counts import Request
from methmix.formats.file_formats import read_as
from methmix.reference.build import build_reference
from methmix.reference.donors import read_table_donors

_DONORS = ("Liver-1", "Liver-2", "Blood-1", "Blood-2")
GOOD = f"""\
CHROM START END {" ".join(f"{donor}_METH {donor}_DEPTH" for donor in _DONORS)}
chr1 100 200 9 10 8 10 1 10 2 10
chr1 300 400 0 0 7 9 3 3 0 4
chr2 100 200 5 5 5 6 0 7 0 8
"""


def read_counts_table(path: Path, duplicates="error"):
    counts = read_as("counts", path, Request(duplicates=duplicates))
    return counts.names, counts.regions, *counts.all()


def read_beta_table(path: Path):
    counts = read_as("beta_table", path, Request(pseudo_depth=1))
    fractions, depth = counts.all()
    return counts.names, counts.regions, np.where(depth > 0, fractions, np.nan)


def _table(path: Path, text: str = GOOD) -> Path:
    path.write_text(text.replace(" ", "\t"))
    return path


@pytest.fixture
def table(tmp_path) -> Path:
    return _table(tmp_path / "counts.tsv")


@pytest.fixture
def source(settings, table):
    """Settings of the source, and of an experiment with it."""

    def make(**changes) -> CountsReference:
        return CountsReference.model_validate(
            {
                "source": "counts",
                "file": str(table),
                "genome": "hg38",
                "duplicate_regions": "error",
                "split": {"validation": 0.2, "test": 0.2, "allow_single_donor": False},
                **changes,
            }
        )

    return make


def _sheet(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sheet.tsv"
    path.write_text(text.replace(" ", "\t"))
    return path


def test_good_table(table):
    names, regions, methylated, depth = read_counts_table(table)
    assert names == ["Liver-1", "Liver-2", "Blood-1", "Blood-2"]
    assert regions.to_numpy().tolist() == [["chr1", 100, 200], ["chr1", 300, 400], ["chr2", 100, 200]]
    np.testing.assert_array_equal(methylated, [[9, 0, 5], [8, 7, 5], [1, 3, 0], [2, 0, 0]])
    np.testing.assert_array_equal(depth, [[10, 0, 5], [10, 9, 6], [10, 3, 7], [10, 4, 8]])


def test_compressed_table(table, tmp_path):
    packed = tmp_path / "counts.tsv.gz"
    packed.write_bytes(gzip.compress(table.read_bytes()))
    np.testing.assert_array_equal(read_counts_table(packed)[2], read_counts_table(table)[2])


def test_tissues_are_told_from_names(source, table):
    donors = read_table_donors(source())
    assert donors.names == ["Liver-1", "Liver-2", "Blood-1", "Blood-2"]
    assert donors.tissues == ["Liver", "Liver", "Blood", "Blood"]
    assert donors.splits is None


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ("9 10 8 10 1", "9 10 18 10 1", ["line 2, Liver-2", "18 methylated of 10 reads", "METH <= DEPTH"]),
        ("0 0 7 9", "0 0 -7 9", ["line 3, column Liver-2_METH", "whole number >= 0", "found -7"]),
        ("0 0 7 9", "0 0 seven 9", ["line 3, column Liver-2_METH", "whole number >= 0", "'seven'"]),
        ("0 0 7 9", "0 0 7.5 9", ["line 3, column Liver-2_METH", "whole number >= 0", "found 7.5"]),
        ("0 0 7 9", "0 no 7 9", ["line 3, column Liver-1_DEPTH", "'no'", "METH 0 and DEPTH 0"]),
        ("0 0 7 9", "0 0 7 9e99", ["line 3, column Liver-2_DEPTH", "found 9e+99"]),
        ("chr2 100 200", "chr2 x 200", ["line 4, column START", "'x'"]),
        ("chr2 100 200", "chr2 200 200", ["line 4: end must be larger than start"]),
        ("chr2 100 200", "chr1 300 400", ["line 4: duplicate region chr1:300-400", "deepest"]),
        ("Liver-2", "Liver-1", ["duplicate column Liver-1_DEPTH"]),
        ("Liver-2_DEPTH", "Liver-2_COVERAGE", ["column Liver-2_COVERAGE has no partner"]),
        ("CHROM START", "chr from", ["column START is missing; found CHROM, from", "expected CHROM START"]),
        ("chr2 100 200 5 5", "chr2 100 200 5 5 5", ["line 4 has 12 columns, the header has 11"]),
    ],
)
def test_bad_table(tmp_path, old, new, fragments):
    assert old in GOOD
    path = _table(tmp_path / "bad.tsv", GOOD.replace(old, new))
    with pytest.raises(InputError) as caught:
        read_counts_table(path)
    assert caught.value.exit_code == 2
    for fragment in [str(path), *fragments]:
        assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", "is empty"),
        (GOOD.splitlines()[0] + "\n", "has a header but no regions"),
        ("CHROM START END\nchr1 1 2\n", "has no sample"),
    ],
)
def test_empty_table(tmp_path, text, fragment):
    path = _table(tmp_path / "bad.tsv", text)
    with pytest.raises(InputError, match=fragment):
        read_counts_table(path)


def test_row_that_is_too_short(tmp_path):
    path = _table(tmp_path / "bad.tsv", GOOD.rstrip().rsplit(" ", 1)[0] + "\n")
    with pytest.raises(InputError, match="line 4 has 10 columns, the header has 11"):
        read_counts_table(path)


def test_files_that_are_no_tables(tmp_path, table):
    with pytest.raises(InputError, match="there is no such file"):
        read_counts_table(tmp_path / "absent.tsv")
    binary = tmp_path / "binary.tsv"
    binary.write_bytes(b"\xff\xfe\x00\x81" * 99)
    with pytest.raises(InputError, match="is not a readable table"):
        read_counts_table(binary)
    packed = gzip.compress(table.read_bytes() * 50)
    for name, content in {"cut": packed[:-20], "broken": packed[:20] + b"\xaa" * 30 + packed[50:]}.items():
        path = tmp_path / f"{name}.tsv.gz"
        path.write_bytes(content)
        with pytest.raises(InputError, match="is a damaged or truncated gzip file"):
            read_counts_table(path)


def test_deepest_of_duplicate_regions(tmp_path):
    extra = "chr1 100 200 2 2 2 2 2 2 2 2\nchr1 300 400 1 50 1 50 1 50 1 50\n"
    path = _table(tmp_path / "doubled.tsv", GOOD + extra)
    _, regions, _, depth = read_counts_table(path, duplicates="deepest")
    assert not regions.duplicated().any()
    depth_of = dict(zip([f"{r.chrom}:{r.start}" for r in regions.itertuples()], depth[0].tolist(), strict=True))
    assert depth_of == {"chr1:100": 10, "chr2:100": 5, "chr1:300": 50}


def test_name_without_a_tissue(source, tmp_path):
    path = _table(tmp_path / "named.tsv", GOOD.replace("Liver-1", "patient7"))
    with pytest.raises(InputError) as caught:
        read_table_donors(source(file=str(path)))
    assert "donor 'patient7': its tissue is not known, expected <tissue>-<number>" in str(caught.value)
    assert "reference.sample_sheet" in str(caught.value)


def test_sample_sheet_chooses_names_and_splits(source, table, tmp_path):
    sheet = _sheet(tmp_path, "donor tissue split\nBlood-2 White train\nLiver-1 Hepatic train\nLiver-2 Hepatic test\n")
    donors = read_table_donors(source(sample_sheet=str(sheet)))
    assert donors.names == ["Blood-2", "Liver-1", "Liver-2"]
    assert donors.tissues == ["White", "Hepatic", "Hepatic"]
    assert donors.splits == ["train", "train", "test"]
    assert donors.inputs == {table.name: table, sheet.name: sheet}
    np.testing.assert_array_equal(donors.methylated, [[2, 0, 0], [9, 0, 5], [8, 7, 5]])
    np.testing.assert_array_equal(donors.depth[0], [10, 4, 8])


def test_sample_sheet_without_a_split(source, table, tmp_path):
    sheet = _sheet(tmp_path, "donor tissue\nBlood-2 White\nLiver-1 Hepatic\n")
    assert read_table_donors(source(sample_sheet=str(sheet))).splits is None


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("donor organ\nLiver-1 Liver\n", "column tissue is missing; found donor, organ"),
        ("donor tissue\nLiver-1 Liver\nLiver-1 Blood\n", "duplicate donor Liver-1"),
        ("donor tissue\nLiver-9 Liver\n", "donor Liver-9 is not in"),
        ("donor tissue\nLiver-1 \n", "donor Liver-1 has no tissue"),
        (
            "donor tissue split\nLiver-1 Liver holdout\n",
            "expected one of train, validation, test, found 'holdout'",
        ),
        ("", "is empty"),
    ],
)
def test_bad_sample_sheet(source, table, tmp_path, text, fragment):
    sheet = _sheet(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_table_donors(source(sample_sheet=str(sheet)))
    assert str(sheet) in str(caught.value)
    assert fragment in str(caught.value)


def test_missing_sample_sheet(source, table, tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        read_table_donors(source(sample_sheet=str(tmp_path / "absent.tsv")))


def test_merging_an_unknown_tissue(settings, source):
    with pytest.raises(InputError, match=r"merge_tissues: 'Lung' is not a tissue of .*; it has Blood, Liver"):
        _build(settings, source(merge_tissues={"Lung": "Gut"}))


def _build(settings, source: CountsReference):
    return build_reference(Experiment.model_validate({**settings, "reference": source.model_dump()}))


def test_reference_of_a_counts_table(settings, source):
    reference = _build(settings, source())
    assert reference.donors == ["Blood-1", "Blood-2", "Liver-1", "Liver-2"]
    assert sorted(reference.split) == ["test", "test", "train", "train"]
    assert reference.shared_tissues("validation") == ["Blood", "Liver"]
    assert reference.shared_tissues("test") == []
    assert "validation mixtures of Blood, Liver take fresh reads of training donors" in reference.attributes["notes"]
    assert reference.attributes["genome"] == "hg38"
    assert reference.measure == "cpg"
    np.testing.assert_array_equal(reference.methylated[2], [9, 0, 5])


def test_merged_tissues(settings, source):
    assert _build(settings, source(merge_tissues={"Liver": "Gut"})).tissues == ["Blood", "Blood", "Gut", "Gut"]


def test_tissue_with_one_donor(settings, source, tmp_path):
    sheet = _sheet(tmp_path, "donor tissue\nBlood-1 Blood\nLiver-1 Liver\nLiver-2 Liver\n")
    with pytest.raises(InputError) as caught:
        _build(settings, source(sample_sheet=str(sheet)))
    assert "tissue Blood has one donor (Blood-1)" in str(caught.value)
    assert "reference.split.allow_single_donor" in str(caught.value)


def test_tissue_with_one_donor_on_request(settings, source, tmp_path):
    sheet = _sheet(tmp_path, "donor tissue\nBlood-1 Blood\nLiver-1 Liver\nLiver-2 Liver\n")
    split = {"validation": 0.2, "test": 0.2, "allow_single_donor": True}
    reference = _build(settings, source(sample_sheet=str(sheet), split=split))
    assert reference.shared_tissues("test") == ["Blood"]
    assert "test mixtures of Blood take fresh reads of training donors" in reference.attributes["notes"]


def test_given_split_without_a_training_donor(settings, source, tmp_path):
    sheet = _sheet(tmp_path, "donor tissue split\nBlood-1 Blood test\nLiver-1 Liver train\nLiver-2 Liver test\n")
    with pytest.raises(InputError, match="tissue Blood has no donor in split train"):
        _build(settings, source(sample_sheet=str(sheet)))


def test_reference_needs_two_tissues(settings, source):
    with pytest.raises(InputError, match=r"expected at least two tissues, found \['Body'\]"):
        _build(settings, source(merge_tissues={"Liver": "Body", "Blood": "Body"}))


@pytest.mark.parametrize(("first", "other"), [("Blood", "blood"), ("T cell", "T_Cell"), ("T cell", "Tcell")])
def test_a_tissue_under_two_spellings_is_refused_unless_they_are_joined(settings, source, tmp_path, first, other):
    rows = [("Blood-1", first), ("Blood-2", other), ("Liver-1", "Liver"), ("Liver-2", "Liver")]
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text("donor\ttissue\n" + "".join(f"{donor}\t{tissue}\n" for donor, tissue in rows))
    with pytest.raises(InputError, match=f"tissues '{first}' and '{other}' differ in their spelling alone"):
        _build(settings, source(sample_sheet=str(sheet)))
    joined = _build(settings, source(sample_sheet=str(sheet), merge_tissues={other: first}))
    assert set(joined.tissue_names) == {"Liver", first}


@pytest.mark.parametrize("n_observed", [2, 3])
def test_a_donor_in_few_regions(settings, source, table, n_observed):
    """With fewer than one in twenty, its file is another one."""
    lines = [GOOD.splitlines()[0]]
    for row in range(60):
        high, low = (8, 1) if row % 2 else (1, 8)
        first = f"{high} 9" if row < n_observed else "0 0"
        lines.append(f"chr1 {1000 * row} {1000 * row + 9} {first} {high} 10 {low} 9 {low} 10")
    _table(table, "\n".join([*lines, ""]))
    if n_observed == 3:
        assert (_build(settings, source()).depth[2] > 0).sum() == 3
        return
    with pytest.raises(InputError, match="donor Liver-1 has reads in 2 of 60 regions; expected at least 5 %"):
        _build(settings, source())


def test_donor_without_reads(settings, source, table):
    _table(table, GOOD.replace("9 10 8", "0 0 8").replace("5 5 5 6", "0 0 5 6"))
    with pytest.raises(InputError, match="donor Liver-1 has reads in 0 of"):
        _build(settings, source())


def test_tissues_that_were_observed_in_different_regions(settings, source, table):
    header = GOOD.splitlines()[0]
    _table(table, f"{header}\nchr1 100 200 9 10 8 10 0 0 0 0\nchr2 100 200 0 0 0 0 1 7 2 8\n")
    with pytest.raises(InputError, match="no overlap of regions"):
        _build(settings, source())


@pytest.mark.data
def test_published_table(data_file):
    path = data_file("metdecode/atlas_with_replicates.tsv.gz")
    with pytest.raises(InputError, match="duplicate region"):
        read_counts_table(path)
    names, regions, methylated, depth = read_counts_table(path, duplicates="deepest")
    assert len(names) == 40
    assert len(regions) == 12_522
    assert not regions.duplicated().any()
    assert (methylated <= depth).all()


BETAS = """\
chr start end startCpG endCpG Liver-1 Liver-2 Blood-1 Blood-2
chr1 100 200 1 5 0.9 1 0.1 0.0
chr1 300 400 7 12 NA 0.75 0.04 NA
chr2 100 200 50 55 0.2 0.3 1.0 1
"""


@pytest.fixture
def build_betas(settings, tmp_path):
    """Build the reference of a table, with changed keys."""

    def make(text: str = BETAS, **changes) -> Reference:
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


def test_good_betas(tmp_path):
    names, regions, values = read_beta_table(_table(tmp_path / "betas.tsv", BETAS))
    assert names == ["Liver-1", "Liver-2", "Blood-1", "Blood-2"]
    assert list(regions) == ["chrom", "start", "end", "start_cpg", "end_cpg"]
    assert regions.to_numpy().tolist()[1] == ["chr1", 300, 400, 7, 12]
    np.testing.assert_array_equal(values[:2], [[0.9, np.nan, 0.2], [1, 0.75, 0.3]])


def test_table_of_several_blocks(tmp_path, monkeypatch):
    path = tmp_path / "betas.tsv.gz"
    path.write_bytes(gzip.compress(_table(tmp_path / "plain.tsv", BETAS).read_bytes()))
    whole = read_beta_table(path)
    monkeypatch.setattr(table_rows, "_VALUES_PER_BLOCK", 18)
    names, regions, values = read_beta_table(path)
    assert names == whole[0]
    assert regions.equals(whole[1])
    np.testing.assert_array_equal(values, whole[2])
    bad = _table(tmp_path / "bad.tsv", BETAS.replace("0.2 0.3", "0.2 3"))
    with pytest.raises(InputError, match="line 4, column Liver-2"):
        read_beta_table(bad)


def test_reference_of_betas(build_betas):
    reference = build_betas()
    assert reference.donors == ["Blood-1", "Blood-2", "Liver-1", "Liver-2"]
    np.testing.assert_array_equal(reference.depth, [[20, 20, 20], [20, 0, 20], [20, 0, 20], [20, 20, 20]])
    # 0.04 of 20 reads is 0.8: the nearest number of reads.
    np.testing.assert_array_equal(reference.methylated, [[2, 1, 20], [0, 0, 20], [18, 0, 4], [20, 15, 6]])
    assert reference.regions["end_cpg"].tolist() == [5, 12, 55]
    assert reference.measure == "cpg"
    note = "depth is not known: the table has fractions, each is taken for 20 reads and rounded to whole ones"
    assert note in json.loads(reference.attributes["notes"])
    assert set(json.loads(reference.attributes["sha256"])) == {"betas.tsv"}


def test_sheet_and_merged_tissues_of_betas(build_betas, tmp_path):
    text = "donor tissue split\nBlood-2 T train\nBlood-1 B test\nLiver-1 Liver train\nLiver-2 Liver test\n"
    sheet = _table(tmp_path / "sheet.tsv", text)
    reference = build_betas(sample_sheet=str(sheet), merge_tissues={"T": "Lymphocyte", "B": "Lymphocyte"})
    assert reference.tissues == ["Liver", "Liver", "Lymphocyte", "Lymphocyte"]
    assert reference.split == ["train", "test", "test", "train"]
    np.testing.assert_array_equal(reference.methylated[3], [0, 0, 20])


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ("NA 0.75", "NA 1.75", ["line 3, column Liver-2", "fraction 0-1 or NA", "found 1.75"]),
        ("NA 0.75", "NA -0.1", ["line 3, column Liver-2", "found -0.1"]),
        ("NA 0.75", "NA 75%", ["line 3, column Liver-2", "'75%'"]),
        ("0.04 NA", "0.04 NA 0.5", ["line 3 has "]),
        ("300 400 7 12", "300 x 7 12", ["line 3, column end", "whole number", "'x'"]),
        ("300 400 7 12", "400 400 7 12", ["line 3: end must be larger than start"]),
        ("300 400 7 12", "300 400 12 7", ["line 3: end_cpg must be larger than start_cpg"]),
        ("chr1 300 400", "chr1 100 200", ["line 3: duplicate region chr1:100-200"]),
        ("endCpG", "lastCpG", ["column endCpG is missing", "expected chr start end startCpG endCpG <name>"]),
        ("Liver-2", "Liver-1", ["duplicate column Liver-1"]),
        ("Liver-2", "patient7", ["donor 'patient7': its tissue is not known", "reference.sample_sheet"]),
    ],
)
def test_bad_betas(build_betas, old, new, fragments):
    assert old in BETAS
    with pytest.raises(InputError) as caught:
        build_betas(BETAS.replace(old, new, 1))
    for fragment in ["betas.tsv", *fragments]:
        assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", "is empty"),
        (BETAS.splitlines()[0], "has a header but no regions"),
        ("chr start end startCpG endCpG\nchr1 1 2 3 4\n", "has no sample"),
    ],
)
def test_empty_betas(build_betas, text, fragment):
    with pytest.raises(InputError, match=fragment):
        build_betas(text)


def test_sheet_and_table_that_do_not_match(build_betas, tmp_path):
    sheet = _table(tmp_path / "sheet.tsv", "donor tissue\nLiver-1 Liver\nLiver-9 Liver\n")
    with pytest.raises(InputError, match=r"donor Liver-9 is not in .*betas\.tsv"):
        build_betas(sample_sheet=str(sheet))
    with pytest.raises(InputError, match="merge_tissues: 'Lung' is not a tissue"):
        build_betas(merge_tissues={"Lung": "Chest"})
