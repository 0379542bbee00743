"""Tables of samples: counts and fractions, lined up with the regions of a model."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from methmix.errors import InputError
from methmix.formats.counts import Request
from methmix.formats.file_formats import open_file
from methmix.formats.regions import RegionSet
from methmix.formats.samples import open_samples
from methmix.formats.store import CountsStore

REGIONS = RegionSet(
    chrom=["chr1", "chr1", "chr2", "chrX"],
    start=np.array([100, 300, 100, 500]),
    end=np.array([200, 400, 200, 600]),
    genome="hg38",
    start_cpg=None,
    end_cpg=None,
    measure="cpg",
)
COUNTS = """\
CHROM START END b_METH b_DEPTH a_METH a_DEPTH
chr2 100 200 5 5 0 6
chr9 100 200 9 9 9 9
chr1 100 200 9 10 8 10
chr1 300 400 0 0 NA 9
"""
BETA = """\
chr start end startCpG endCpG b a
chr2 100 200 7 9 1 0.0
chr1 100 200 1 4 0.25 NA
chr1 300 400 4 6 0.5 0.125
"""
NAN = np.nan


def write(path: Path, text: str) -> Path:
    content = text.replace(" ", "\t").encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def read(path, size=10, regions=REGIONS, **options):
    with open_samples(path, regions, **options) as samples:
        blocks = list(samples.blocks(size))
    assert [name for block in blocks for name in block.names] == samples.names
    assert all(block.methylation.dtype == block.depth.dtype == np.float32 for block in blocks)
    return (
        samples,
        np.concatenate([block.methylation for block in blocks]),
        np.concatenate([block.depth for block in blocks]),
    )


def read_donors(path, **options):
    """Read a table as a reference does; gives what `read` gives, in the order of the file's own regions."""
    counts = open_file(path, Request(**options)).load()
    methylated, depth = counts.all()
    return counts, methylated / np.where(depth, depth, NAN), depth


USES = pytest.mark.parametrize("use", [read, read_donors], ids=["samples", "donors"])


@pytest.mark.parametrize("name", ["s.tsv", "s.tsv.gz"])
@pytest.mark.parametrize("values_per_block", [4_000_000, 7, 14])
def test_counts(tmp_path, monkeypatch, name, values_per_block):
    monkeypatch.setattr("methmix.formats.table_rows._VALUES_PER_BLOCK", values_per_block)
    samples, methylation, depth = read(write(tmp_path / name, COUNTS))
    assert samples.names == ["b", "a"]
    np.testing.assert_allclose(methylation, [[0.9, NAN, 1, NAN], [0.8, NAN, 0, NAN]], rtol=1e-6)
    np.testing.assert_array_equal(depth, [[10, 0, 5, 0], [10, 0, 6, 0]])
    assert (samples.n_found, samples.notes) == (3, [])


@pytest.mark.parametrize("name", ["s.tsv", "s.tsv.gz"])
def test_fractions(tmp_path, name):
    samples, methylation, depth = read(write(tmp_path / name, BETA), pseudo_depth=20)
    assert samples.names == ["b", "a"]
    np.testing.assert_allclose(methylation, [[0.25, 0.5, 1, NAN], [NAN, 0.125, 0, NAN]])
    np.testing.assert_array_equal(depth, [[20, 20, 20, 0], [0, 20, 20, 0]])
    assert samples.n_found == 3
    assert samples.notes == ["the table has no depth; every value is taken as 20 reads"]


def test_samples_come_in_order_whatever_the_block(tmp_path):
    path = write(tmp_path / "s.tsv", "chr start end d b a\nchr1 100 200 0.25 NA 1\nchr2 100 200 0.5 0.125 0\n")
    samples, methylation, depth = read(path, size=100)
    assert samples.names == ["d", "b", "a"]
    for size in (1, 2, 3):
        _, again, depth_again = read(path, size=size)
        np.testing.assert_array_equal(again, methylation)
        np.testing.assert_array_equal(depth_again, depth)


def test_chromosomes_without_chr(tmp_path):
    samples, methylation, _ = read(write(tmp_path / "s.tsv", COUNTS.replace("\nchr", "\n")))
    np.testing.assert_array_equal(methylation, read(write(tmp_path / "t.tsv", COUNTS))[1])
    assert samples.n_found == 3
    assert len(samples.notes) == 1 and "with or without chr" in samples.notes[0]


@pytest.mark.parametrize("values_per_block", [4_000_000, 7])
def test_duplicate_regions(tmp_path, monkeypatch, values_per_block):
    monkeypatch.setattr("methmix.formats.table_rows._VALUES_PER_BLOCK", values_per_block)
    counts = read(write(tmp_path / "s.tsv", COUNTS + "chr1 100 200 1 10 2 30\nchr1 100 200 0 0 0 10\n"))
    np.testing.assert_allclose(counts[1][:, 0], [0.5, 0.2])
    np.testing.assert_array_equal(counts[2][:, 0], [20, 50])
    assert counts[0].notes == ["regions with more than one row: 1; their rows are summed"]
    fractions = read(write(tmp_path / "b.tsv", BETA + "chr1 300 400 4 6 0.75 NA\n"))
    np.testing.assert_allclose(fractions[1][:, 1], [0.625, 0.125])
    np.testing.assert_array_equal(fractions[2][:, 1], [30, 30])
    assert "averaged" in fractions[0].notes[0]


def test_table_for_a_model_of_fragments_is_taken_with_a_note(tmp_path):
    fragments = RegionSet(REGIONS.chrom, REGIONS.start, REGIONS.end, "hg38", None, None, "fragment")
    notes = read(write(tmp_path / "s.tsv", COUNTS), regions=fragments)[0].notes
    assert len(notes) == 1 and "proportions of fragments that are not unmethylated" in notes[0]


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ("9 10 8 10", "9 10 18 10", ["line 4, a", "18 methylated of 10 reads", "METH <= DEPTH"]),
        ("chr9 100 200 9", "chr9 100 200 -9", ["line 3, column b_METH", "whole number >= 0", "-9"]),
        ("9 10 8 10", "9 10 8 x", ["line 4, column a_DEPTH", "a whole number >= 0 or NA", "'x'"]),
        ("9 10 8 10", "9 10 8.5 10", ["line 4, column a_METH", "8.5"]),
        ("9 10 8 10", "9 10 8 1e99", ["line 4, column a_DEPTH", "1e+99"]),
        ("9 10 8 10", "9 10 8 inf", ["line 4, column a_DEPTH", "inf"]),
        ("9 10 8 10", "9 10 True 10", ["line 4, column a_METH", "'True'"]),
        ("9 10 8 10", "9 10  10", ["line 4, column a_METH", "found ''"]),
        ("9 10 8 10", "9 10 8", ["line 4 has 6 columns, the header has 7", "truncated"]),
        ("9 10 8 10", "9 10 8 10 1", ["line 4"]),
        ("chr2 100", "chr2 x", ["line 2, column START", "'x'"]),
        ("chr2 100", "chr2 100.5", ["line 2, column START", "100.5"]),
        ("chr2 100", "chr2 NA", ["line 2, column START", "'NA'"]),
        ("a_METH", "b_METH", ["duplicate column b_METH"]),
        ("a_METH", "a_COUNT", ["column a_COUNT has no partner"]),
        (COUNTS.split("\n", 1)[1], "", ["has a header but no regions"]),
    ],
)
@pytest.mark.parametrize("values_per_block", [4_000_000, 7])
@USES
def test_bad_counts(tmp_path, monkeypatch, old, new, fragments, values_per_block, use):
    assert old in COUNTS
    monkeypatch.setattr("methmix.formats.table_rows._VALUES_PER_BLOCK", values_per_block)
    path = write(tmp_path / "bad.tsv", COUNTS.replace(old, new))
    with pytest.raises(InputError) as caught:
        use(path)
    for fragment in [str(path), *fragments]:
        assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ("0.25 NA", "1.25 NA", ["line 3, column b", "fraction 0-1 or NA", "1.25"]),
        ("0.25 NA", "0.25 -1", ["line 3, column a", "-1"]),
        ("0.25 NA", "0.25 none", ["line 3, column a", "'none'"]),
        ("0.25 NA", "0.25 ", ["line 3, column a", "fraction 0-1 or NA", "found ''"]),
        ("startCpG", "firstCpG", ["column startCpG is missing"]),
        (" b a\n", " b b\n", ["duplicate column b"]),
        ("chr start end startCpG endCpG b a", "chr start end startCpG endCpG", ["has no sample"]),
    ],
)
@USES
def test_bad_fractions(tmp_path, old, new, fragments, use):
    assert old in BETA
    path = write(tmp_path / "bad.tsv", BETA.replace(old, new))
    with pytest.raises(InputError) as caught:
        use(path)
    for fragment in [str(path), *fragments]:
        assert fragment in str(caught.value)


TAB = COUNTS.replace(" ", "\t")
LINES = TAB.splitlines()
# How spreadsheets, R and Windows leave a table -> its bytes.
LEFT_BY_OTHERS = {
    "CRLF": TAB.replace("\n", "\r\n").encode(),
    "CR": TAB.replace("\n", "\r").encode(),
    "byte order mark": TAB.encode("utf-8-sig"),
    "UTF-16": TAB.encode("utf-16"),
    "packed, whatever the name": gzip.compress(TAB.encode()),
    "quoted": re.sub(r"([A-Za-z]\w*)", r'"\1"', TAB).replace('"NA"', "NA").encode(),
    "commas": TAB.replace("\t", ",").encode(),
    "semicolons": TAB.replace("\t", ";").encode(),
    "spaces": COUNTS.encode(),
    "lower case": TAB.replace("CHROM\tSTART\tEND", "chr\tstart\tend").replace("_METH", "_meth").encode(),
    "comment": b"# made by\n\n" + TAB.encode(),
    "header as comment": b"#" + TAB.encode(),
    "trailing tab": TAB.replace("\n", "\t\n").encode(),
    "trailing tab below the header": (LINES[0] + "\n" + "".join(line + "\t\n" for line in LINES[1:])).encode(),
    "row names": (LINES[0] + "\n" + "".join(f"r{n}\t{line}\n" for n, line in enumerate(LINES[1:]))).encode(),
    "row names with a header": "".join(f"{n or ''}\t{line}\n" for n, line in enumerate(LINES)).encode(),
    "numbers of R": TAB.replace("100\t200", "1e+02\t2e+02").encode(),
    "numbers of pandas": TAB.replace("100\t200", "100.0\t200.0").replace("\t9\t10", "\t9.0\t10.0").encode(),
}


@pytest.mark.parametrize("values_per_block", [4_000_000, 7])
@pytest.mark.parametrize("form", LEFT_BY_OTHERS)
@USES
def test_tables_as_others_leave_them(tmp_path, monkeypatch, form, values_per_block, use):
    monkeypatch.setattr("methmix.formats.table_rows._VALUES_PER_BLOCK", values_per_block)
    path = tmp_path / "s.txt"
    path.write_bytes(LEFT_BY_OTHERS[form])
    found, methylation, depth = use(path)
    assert found.names == ["b", "a"]
    expected = use(write(tmp_path / "t.tsv", COUNTS))
    np.testing.assert_array_equal(methylation, expected[1])
    np.testing.assert_array_equal(depth, expected[2])


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        (
            COUNTS.replace("chr1 300 400", "chr1 1,300 1,400"),
            ["line 5, column START", "'1,300'", "thousands separators"],
        ),
        (COUNTS.replace("chr1 300 400", "chr1 1.30E+03 1.40E+03"), ["line 5, column 2", "spreadsheet has rounded"]),
        (COUNTS.replace("9 10 8 10", "9 10 8,5 10"), ["line 4, column a_METH", "decimal comma"]),
        (BETA.replace("0.25", "0,25"), ["line 3, column b", "'0,25'", "decimal comma"]),
        (BETA.replace("0.25", "92.61"), ["line 3, column b", "92.61", "divide by 100", "M-values"]),
        (BETA.replace("0.25", "-3.638"), ["line 3, column b", "-3.638", "M-values"]),
        (BETA.replace("0.25", "TP53"), ["line 3, column b", "'TP53'", "no sample"]),
        (BETA.replace(" b a", " b b_Detection.Pval"), ["column b_Detection.Pval seems to be p-values"]),
        (BETA.replace(" b a", " b pval"), ["column pval seems to be p-values"]),
        (BETA.replace(" b a", " b b_coverage"), ["column b_coverage seems to be reads", "<sample>_METH"]),
        (COUNTS.replace("CHROM START END", "chr start end").replace("a_DEPTH", "a"), ["column a has no partner"]),
        (COUNTS.replace("chr2 100 200", "chr2 200 200"), ["line 2: end must be larger than start"]),
    ],
)
@USES
def test_what_a_person_sees_wrong_in_a_table_is_said(tmp_path, text, fragments, use):
    path = write(tmp_path / "bad.tsv", text)
    with pytest.raises(InputError) as caught:
        use(path)
    for fragment in [str(path), *fragments]:
        assert fragment in str(caught.value)


ARRAY = "IlmnID,b,a\ncg00000029_TC21,0.2,NA\ncg00000029_TC22,0.4,0.5\ncg00000108_BC21,NA,1\n"


def test_probes_of_an_array_are_regions_with_a_name(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(ARRAY)
    names = ["cg00000108", "cg00000029", "cg00000165"]
    probes = RegionSet(names, np.zeros(3, int), np.ones(3, int), "none", None, None, "cpg")
    samples, methylation, depth = read(path, regions=probes, pseudo_depth=20)
    np.testing.assert_allclose(methylation, [[NAN, 0.3, NAN], [1, 0.5, NAN]], rtol=1e-6)
    assert samples.names == ["b", "a"] and depth[0].tolist() == [0, 20, 0]
    # They are the same in every build.
    assert read(path, regions=probes, genome="hg38")[0].n_found == 2
    of_places = RegionSet(["chr1"], np.zeros(1, int), np.ones(1, int), "hg38", None, None, "cpg")
    with pytest.raises(InputError, match=r"only 0 of [\s\S]*is for a model of an array atlas"):
        read(path, regions=of_places)
    counts, of_donors, depth = read_donors(path, pseudo_depth=20)
    assert counts.regions["chrom"].tolist() == ["cg00000029", "cg00000108"]
    np.testing.assert_allclose(of_donors, [[0.3, NAN], [0.5, 1]])
    assert depth.tolist() == [[20, 0], [20, 20]]


@pytest.mark.parametrize("n_samples", [1, 2])
def test_probes_of_r_have_no_name_above_them(tmp_path, n_samples):
    path = write(tmp_path / "a.txt", "b a\ncg00000029 0.2 NA\ncg00000108 NA 1\n")
    if n_samples == 1:
        write(path, "b\ncg00000029 0.2\ncg00000108 NA\n")
    counts, of_donors, _ = read_donors(path)
    assert counts.names == ["b", "a"][:n_samples]
    np.testing.assert_allclose(of_donors, [[0.2, NAN], [NAN, 1]][:n_samples])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        # Not the names of R, which has none for the first column.
        ("IlmnID,b,a", "IlmnID,b", "line 2 has 3 columns, the header has 2"),
        ("TC21,", "TC21" + "x" * 2**18 + ",", "no known format"),
    ],
    ids=["a name is missing", "a long field"],
)
def test_damaged_tables_of_probes_are_refused(tmp_path, old, new, said):
    path = tmp_path / "a.csv"
    path.write_text(ARRAY.replace(old, new, 1))
    with pytest.raises(InputError, match=said):
        read_donors(path)


def test_places_counted_from_1_are_refused_with_the_way_out(tmp_path):
    path = write(tmp_path / "s.tsv", BETA.replace(" 100 ", " 101 ").replace(" 300 ", " 301 "))
    with pytest.raises(InputError, match=r"line 2: chr2:101-200 is chr2:100-200 of the model[\s\S]*subtract 1"):
        read(path)


@pytest.mark.parametrize("cpgs", [True, False])
@pytest.mark.parametrize("values_per_block", [4_000_000, 7])
@pytest.mark.parametrize("text", [COUNTS, BETA], ids=["counts", "fractions"])
def test_samples_and_donors_are_read_alike(tmp_path, monkeypatch, text, values_per_block, cpgs):
    monkeypatch.setattr("methmix.formats.table_rows._VALUES_PER_BLOCK", values_per_block)
    if not cpgs:
        rows = [line.split() for line in text.splitlines()]
        text = "\n".join(" ".join(row[:3] + row[3 + 2 * (text[:3] == "chr") :]) for row in rows) + "\n"
    path = write(tmp_path / "s.tsv", text)
    samples, methylation, depth = read(path)
    counts, of_donors, depth_of_donors = read_donors(path)
    assert counts.names == samples.names == ["b", "a"]
    assert set(counts.regions) - {"chrom", "start", "end"} == (
        {"start_cpg", "end_cpg"} if cpgs and text[0] == "c" else set()
    )
    place = REGIONS.find(*(counts.regions[name].tolist() for name in ("chrom", "start", "end")))
    np.testing.assert_array_equal(depth[:, place[place >= 0]], depth_of_donors[:, place >= 0])
    np.testing.assert_allclose(methylation[:, place[place >= 0]], of_donors[:, place >= 0], rtol=1e-6)
    # NA is no reads, in either use.
    assert np.isnan(methylation[:, place[place >= 0]]).sum() == np.isnan(of_donors).sum() == 1 + (text[0] == "C")


@pytest.mark.parametrize("values_per_block", [4_000_000, 7])
@pytest.mark.parametrize("text", [COUNTS + "chr1 100 200 1 10 2 30\n", BETA + "chr1 100 200 1 4 0.5 0.5\n"])
def test_duplicate_regions_are_refused_unless_a_policy_says_otherwise(tmp_path, monkeypatch, text, values_per_block):
    monkeypatch.setattr("methmix.formats.table_rows._VALUES_PER_BLOCK", values_per_block)
    path = write(tmp_path / "s.tsv", text)
    message = f"line {text.count(chr(10))}: duplicate region chr1:100-200\n  keep one row"
    with CountsStore(len(REGIONS)) as store:
        for request in (Request(), Request(REGIONS, store)):
            with pytest.raises(InputError, match=message):
                open_file(path, request).load()
    # The new row is shallower in one sample and deeper in the other, and deeper over both.
    counts, methylation, _ = read_donors(path, duplicates="deepest")
    assert len(counts.regions) == text.count("\n") - 2
    row = counts.regions.query("chrom == 'chr1' and start == 100").index[0]
    assert methylation[1, row] == pytest.approx(2 / 30 if text[0] == "C" else 0.5)
    for wrong in ({"duplicates": "sum"}, {"duplicates": "deepest", "regions": REGIONS}):
        with pytest.raises(ValueError, match="duplicates: expected one of"):
            Request(**wrong)


def test_damaged_gzip(tmp_path, rng):
    rows = "\n".join(f"chr1 {start} {start + 5} {rng.integers(9)} 9" for start in range(5000))
    path = write(tmp_path / "s.tsv.gz", f"CHROM START END a_METH a_DEPTH\n{rows}\n")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match="truncated gzip"):
        read(path)


def many(n: int) -> RegionSet:
    start = np.arange(n) * 1000
    return RegionSet(["chr1"] * n, start, start + 100, "hg38", None, None, "cpg")


def table_of(path: Path, starts) -> Path:
    rows = "".join(f"chr1 {start} {start + 100} 1 2\n" for start in starts)
    return write(path, f"CHROM START END a_METH a_DEPTH\n{rows}")


def test_few_regions(tmp_path):
    half = table_of(tmp_path / "half.tsv", range(0, 50_000, 1000))
    assert read(half, regions=many(100))[0].notes == []
    less = table_of(tmp_path / "less.tsv", range(0, 49_000, 1000))
    assert read(less, regions=many(100))[0].notes == ["only 49 of 100 regions are in it"]
    least = table_of(tmp_path / "least.tsv", range(0, 5000, 1000))
    assert read(least, regions=many(100))[0].n_found == 5
    for starts in (range(77, 400_000, 1000), [*range(0, 4000, 1000), *range(77, 400_000, 1000)]):
        path = table_of(tmp_path / "other.tsv", starts)
        with pytest.raises(InputError) as caught:
            read(path, regions=many(100), genome="hg38")
        for fragment in (
            f"other.tsv: only {len(starts) - 400} of the model's 100 regions",
            f"the file has for example chr1:{starts[0]}-{starts[0] + 100}, the model chr1:0-100",
            "another genome build (the model: hg38; the file: hg38)",
        ):
            assert fragment in str(caught.value)


def test_genome(tmp_path):
    path = write(tmp_path / "s.tsv", COUNTS)
    for genome in ("hg38", "GRCh38", None):
        assert read(path, genome=genome)[0].names == ["b", "a"]
    with pytest.raises(InputError, match="samples are of genome hg19, the model is of hg38"):
        read(path, genome="hg19")


def test_a_region_set_has_each_region_once():
    with pytest.raises(InputError, match="1 of 2 are duplicates"):
        RegionSet(["chr1", "1"], np.array([1, 1]), np.array([2, 2]), "hg38", None, None, "cpg")


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    read(write(tmp_path / "s.tsv", COUNTS))
    assert list(folder.iterdir()) == []
