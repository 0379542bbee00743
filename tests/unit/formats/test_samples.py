"""Files with one sample, and mixtures: distinguished, summed into regions, refused where they cannot answer."""

import gzip
import re
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from methmix.errors import InputError
from methmix.files.mixtures import MixturesWriter
from methmix.files.seal import seal
from methmix.formats.file_formats import FORMATS
from methmix.formats.regions import RegionSet
from methmix.formats.samples import check_files, open_samples

CHROM, START, END = ["chr2", "chr1", "chr1", "chr1"], np.array([10, 100, 150, 900]), np.array([20, 200, 160, 910])
START_CPG, END_CPG = np.array([40, 10, 12, 90]), np.array([50, 20, 15, 95])
REGIONS_FILE = "".join(
    f"{c}\t{s}\t{e}\t{a}\t{b}\n" for c, s, e, a, b in zip(CHROM, START, END, START_CPG, END_CPG, strict=True)
)


def regions(measure="cpg", cpgs=False, genome="hg19"):
    return RegionSet(CHROM, START, END, genome, START_CPG if cpgs else None, END_CPG if cpgs else None, measure)


def write(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_a_chromosome_that_a_file_does_not_have_is_a_note(tmp_path):
    model = RegionSet(
        ["chr1"] * 15 + ["chr2"] * 30, 1000 * np.arange(45), 1000 * np.arange(45) + 9, "x", None, None, "cpg"
    )
    rows = "".join(f"{model.chrom[row]}\t{1000 * row}\t{1000 * row + 9}\t1\t2\n" for row in range(15, 45))
    text = "CHROM\tSTART\tEND\tS_METH\tS_DEPTH\n" + rows
    samples, _ = read(write(tmp_path / "s.tsv", text), model)
    assert samples.notes == [
        "none of the regions on chr1 are in it: are these chromosomes called otherwise, or left out?"
    ]
    some = text + "chr1\t0\t9\t1\t2\n"
    assert read(write(tmp_path / "t.tsv", some), model)[0].notes == []


def read(path, model, **options):
    with open_samples(path, model, **options) as samples:
        (block,) = samples.blocks(1000)
    return samples, block


def cpg_file(rng, line):
    """Text of random CpGs, and methylated and depth of each region summed one by one."""
    lines, expected = [], np.zeros((2, len(CHROM)), dtype=int)
    for chrom, position in [*(("chr1", p) for p in range(90, 990, 7)), *(("chr2", p) for p in range(5, 30))]:
        depth = int(rng.integers(0, 30))
        methylated = int(rng.integers(0, depth + 1))
        lines.append(line(chrom, position, methylated, depth))
        for region in range(len(CHROM)):
            if CHROM[region] == chrom and START[region] <= position < END[region]:
                expected[:, region] += methylated, depth
    return "".join(lines), expected


def bismark_line(chrom, position, methylated, depth):
    percent = 100 * methylated / depth if depth else 0
    return f"{chrom}\t{position + 1}\t{position + 1}\t{percent:.2f}\t{methylated}\t{depth - methylated}\n"


def bedmethyl_line(chrom, position, methylated, depth, code="m", mixed=False):
    first = [chrom, position, position + 1, code, depth, "+", position, position + 1, "255,0,0"]
    last = [depth, f"{100 * methylated / max(depth, 1):.2f}", methylated, depth - methylated, 0, 0, 0, 0, 0]
    return "\t".join(map(str, first)) + "\t" + (" " if mixed else "\t").join(map(str, last)) + "\n"


def check(found, expected):
    samples, block = found
    np.testing.assert_array_equal(block.depth[0], expected[1])
    np.testing.assert_allclose(block.methylation[0], expected[0] / np.where(expected[1], expected[1], np.nan), 1e-6)
    assert block.methylation.dtype == block.depth.dtype == np.float32
    assert samples.n_found == 4


@pytest.mark.parametrize("name", ["s.cov", "s.bismark.cov.gz"])
def test_bismark(tmp_path, rng, name):
    text, expected = cpg_file(rng, bismark_line)
    found = read(write(tmp_path / name, text), regions())
    check(found, expected)
    assert found[0].names == ["s"]
    assert found[0].notes == []


@pytest.mark.parametrize("name", ["s.bed", "s.bedmethyl.gz"])
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("code", ["m", "m,CG,0"])
def test_bedmethyl(tmp_path, rng, name, mixed, code):
    def lines(chrom, position, methylated, depth):
        hydroxy = bedmethyl_line(chrom, position, 1, 1, "h", mixed)
        return hydroxy + bedmethyl_line(chrom, position, methylated, depth, code, mixed)

    text, expected = cpg_file(rng, lines)
    check(read(write(tmp_path / name, "#chrom\tstart\n" + text), regions()), expected)


def test_blocks_of_lines_add_up(tmp_path, rng, monkeypatch):
    monkeypatch.setattr("methmix.formats.text.ROWS_PER_BLOCK", 10)
    for number, line in enumerate((bismark_line, bedmethyl_line)):
        text, expected = cpg_file(rng, line)
        check(read(write(tmp_path / f"{number}.txt", text), regions()), expected)


def test_cpgs_on_chromosomes_without_chr(tmp_path, rng):
    text, expected = cpg_file(rng, bismark_line)
    found = read(write(tmp_path / "s.cov", re.sub("^chr", "", text, flags=re.MULTILINE)), regions())
    check(found, expected)
    assert "with or without chr" in found[0].notes[0]


def test_wgbstools_with_indices_of_the_regions_or_of_a_file(tmp_path, rng):
    pairs = np.stack([rng.integers(0, 20, 200), np.full(200, 20)], axis=1).astype(np.uint8)
    pairs.tofile(tmp_path / "s.beta")
    cpgs = [slice(a - 1, b - 1) for a, b in zip(START_CPG, END_CPG, strict=True)]
    expected = np.array([pairs[rows].sum(axis=0, dtype=int) for rows in cpgs]).T
    pat = write(tmp_path / "s.pat.gz", "chr1\t10\tCCTT\t2\nchr1\t90\tTTTTCC\t1\nchr2\t45\tTC.T\t3\n")
    # CpGs 10-19, 12-14 and 90-94 on chr1, 40-49 on chr2.
    expected_pat = np.array([[3, 4, 0, 1], [9, 8, 4, 5]])
    with_header = "chrom\tstart\tend\tstart_cpg\tend_cpg\tname\nchr7\t1\t2\tNA\tNA\tr\n"
    with_header += REGIONS_FILE.replace("\n", "\tr\n")
    files = [
        write(tmp_path / "plain.bed", REGIONS_FILE),
        write(tmp_path / "header.tsv.gz", with_header),
        write(tmp_path / "numbers.bed", REGIONS_FILE.replace("chr", "")),
    ]
    for options in [{"model": regions(cpgs=True)}, *({"model": regions(), "regions_file": file} for file in files)]:
        check(read(tmp_path / "s.beta", **options), expected)
        check(read(pat, **options), expected_pat)


def test_fragments(tmp_path):
    pat = write(tmp_path / "s.pat.gz", "chr1\t8\tCCTTTT\t3\nchr1\t10\tCCTT\t2\nchr1\t11\tTTC\t9\nchr2\t45\tTC.T\t3\n")
    samples, block = read(pat, regions("fragment", cpgs=True))
    np.testing.assert_array_equal(block.depth[0], [0, 5, 0, 0])
    np.testing.assert_allclose(block.methylation[0], [np.nan, 0.4, np.nan, np.nan])
    assert (samples.n_found, samples.notes) == (1, ["only 1 of 4 regions are in it"])


def test_some_regions_without_cpg_index(tmp_path):
    pat = write(tmp_path / "s.pat.gz", "chr1\t1\tCCCC\t2\nchr1\t10\tCCTT\t2\nchr1\t90\tTTTTCC\t1\n")
    some = write(tmp_path / "some.bed", "\n".join(REGIONS_FILE.splitlines()[1:]) + "\n")
    _, block = read(pat, regions(), regions_file=some)
    np.testing.assert_array_equal(block.depth[0], [0, 8, 4, 5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("chr1\t1\t2\t3\n", "line 1: expected chrom start end start_cpg end_cpg, found 'chr1 1 2 3'"),
        ("chr1\t100\t200\t10\tx\n", "line 1, column end_cpg: expected a whole number >= 0, found 'x'"),
        ("c\ts\te\ta\tb\nchr1\t100\t200\t20\t10\n", "line 2: expected 1 <= start_cpg <= end_cpg"),
        ("chr1\t100\t200\tNA\tNA\n", "has no region"),
        ("chr1\t101\t200\t10\t20\n", "has none of the model's 4 regions; it has for example chr1:101-200"),
    ],
)
def test_bad_regions_file(tmp_path, text, message):
    pat = write(tmp_path / "s.pat.gz", "chr1\t10\tCCTT\t2\n")
    with pytest.raises(InputError, match=message):
        read(pat, regions(), regions_file=write(tmp_path / "regions.bed", text))
    with pytest.raises(InputError, match="no such file"):
        read(pat, regions(), regions_file=tmp_path / "none.bed")
    with pytest.raises(InputError, match=r"CpG indices[\s\S]*give a regions file"):
        read(pat, regions())


def test_counts_of_cpgs_tell_no_fragments(tmp_path):
    (tmp_path / "s.beta").write_bytes(b"\1\2" * 200)
    for path in [
        tmp_path / "s.beta",
        write(tmp_path / "s.cov", bismark_line("chr1", 100, 1, 2)),
        write(tmp_path / "s.bed", bedmethyl_line("chr1", 100, 1, 2)),
    ]:
        with pytest.raises(InputError, match=r"proportions of fragments[\s\S]*\.pat\.gz"):
            read(path, regions("fragment", cpgs=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\t101\t101\t50\t1\t1\nchr1\t105\t105\t50\tx\t1\n", r"line 2, column 5 \(methylated\): .*'x'"),
        ("chr1\t101\t101\t50\t1\t1\nchr1\t105\t105\t50\t-1\t1\n", r"line 2, column 5 \(methylated\): .*'-1'"),
        ("chr1\t101\t101\t50\t1\t1\nchr1\t105\t105\t50\t1.5\t1\n", r"line 2, column 5 \(methylated\): .*'1.5'"),
        ("chr1\t101\t101\t50\t1\t1\nchr1\t105\n", "line 2"),
        (
            "chr1\t1101\t1101\t50\t1\t1\n",
            "only 0 of the model's 4 regions.*for example chr1:1100, the model chr2:10-20",
        ),
        (bedmethyl_line("chr1", 100, 3, 2).replace("-1", "0"), "chr1:100: 3 methylated of 2 reads"),
        (bedmethyl_line("chr1", 100, 3, 2), r"line 1, column 13 \(canonical\): .*'-1'"),
        (bedmethyl_line("chr1", 100, 1, 2, "h"), "no line of code m .*it has h"),
        (
            bedmethyl_line("chr1", 100, 1, 2) + bedmethyl_line("chr1", 150, 1, 2).replace("150", "y"),
            r"line 2, column 2 \(start\): .*'y'",
        ),
    ],
)
def test_bad_cpg_files(tmp_path, text, message):
    path = write(tmp_path / "s.txt.gz", text)
    with pytest.raises(InputError, match=message) as caught:
        read(path, regions())
    assert str(path) in str(caught.value)


def test_beta_of_another_genome(tmp_path):
    path = tmp_path / "s.beta"
    with path.open("wb") as file:
        file.truncate(2 * 29_401_795)
    with pytest.raises(InputError, match="as many CpGs as hg38, the regions are of hg19"):
        read(path, regions(cpgs=True))
    with pytest.raises(InputError, match=r"only 0 of the model's 4 regions.*for example 29401795 CpGs"):
        read(path, regions(cpgs=True, genome="hg38"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a", b"", "is empty"),
        ("a.gz", b"", "is empty"),
        ("a.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("a.gz", b"chr1\t5\t5\n", "of no known format"),
        ("a.gz", gzip.compress(b"1\t5\t5\t33.3\t1\t2\n" * 999, mtime=0)[:-9], "truncated gzip"),
        ("a", b"\0\1\2\t5", "no text"),
        ("a.csv", b"sample,tissue\n", "first line is 'sample,tissue'"),
        ("a.bed", b"chr1\t5\t6\n", "of no known format"),
    ],
)
def test_unknown_formats(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read(path, regions())
    assert str(path) in str(caught.value)
    if "known format" in str(caught.value):
        for known in ("counts table", "beta table", "Bismark", "bedMethyl", ".beta", ".pat.gz", "mixtures HDF5"):
            assert known in str(caught.value)
        assert all(known.description in str(caught.value) for known in FORMATS)
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "none", regions())


def write_mixtures(path, rng, n=5, attributes=None):
    depth = rng.integers(0, 9, (n, 4)).astype(np.uint16)
    methylation = np.where(depth > 0, rng.random((n, 4)), np.nan).astype(np.float32)
    proportions = np.full((n, 2), 0.5, dtype=np.float32)
    own = pd.DataFrame({"chrom": CHROM, "start": START, "end": END})
    with MixturesWriter.open(path, n, own, ["A", "B"], attributes or {}) as writer:
        writer.append(methylation, depth, proportions, proportions, [{}] * n)
    return methylation, depth


def test_mixtures(tmp_path, rng):
    path = tmp_path / "m.h5"
    methylation, depth = write_mixtures(path, rng, attributes={"reference_digest": "abc"})
    with open_samples(path, regions()) as samples:
        blocks = list(samples.blocks(2))
        assert samples.names == [f"Mixture_{number}" for number in range(1, 6)]
        assert "another reference" in samples.notes[0]
    assert [len(block.names) for block in blocks] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate([block.methylation for block in blocks]), methylation)
    np.testing.assert_array_equal(np.concatenate([block.depth for block in blocks]), depth)
    same = RegionSet(CHROM, START, END, "hg19", None, None, "cpg", reference_digest="abc")
    assert read(path, same)[0].notes == []


def test_bad_mixtures(tmp_path, rng):
    path = tmp_path / "m.h5"
    write_mixtures(path, rng)
    with h5py.File(path, "r+") as file:
        file["depth"][3, 1], file["mixed_methylation"][3, 1] = 5, 1.5
    seal(path)
    with pytest.raises(InputError, match=r"mixture 3, region 1: methylation 1\.5, depth 5"):
        read(path, regions())
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(InputError, match="has no digest: truncated"):
        read(path, regions())


def test_mixtures_are_matched_by_the_coordinates_of_their_regions(tmp_path, rng):
    path, order = tmp_path / "m.h5", [2, 0, 3]
    methylation, depth = write_mixtures(path, rng)
    start, end = (np.append(values[order], values[0]) for values in (START, END))
    other = RegionSet([*(CHROM[row] for row in order), "chr9"], start, end, "hg19", None, None, "cpg")
    samples, block = read(path, other)
    assert samples.n_found == 3
    np.testing.assert_array_equal(block.methylation, np.column_stack([methylation[:, order], np.full(5, np.nan)]))
    np.testing.assert_array_equal(block.depth, np.column_stack([depth[:, order], np.zeros(5)]))


def test_an_error_of_the_user_is_not_taken_for_a_damaged_file(tmp_path, rng):
    write_mixtures(tmp_path / "m.h5", rng)
    with pytest.raises(OSError, match="disk full"), open_samples(tmp_path / "m.h5", regions()) as samples:
        next(samples.blocks(1))
        raise OSError("disk full")


def test_all_files_are_checked_before_one_is_read(tmp_path, rng):
    """The first file is wrong behind its header only; each of the others is refused before that is seen."""
    model = regions(cpgs=True)
    first = write(tmp_path / "first.cov", bismark_line("chr1", 100, 1, 2) + "chr1\tx\n")
    (tmp_path / "short.beta").write_bytes(b"\1\2" * 20)
    write_mixtures(tmp_path / "m.h5", rng)
    (tmp_path / "m.h5").write_bytes((tmp_path / "m.h5").read_bytes()[:900])
    fragments = regions("fragment", cpgs=True)
    pat = write(tmp_path / "s.pat.gz", "chr1\t10\tCCTT\t2\n")
    for other, target, options, message in [
        (tmp_path / "none.cov", model, {}, "no such file"),
        (write(tmp_path / "odd.txt", "a,b\n"), model, {}, "no known format"),
        (write(tmp_path / "t.tsv", "CHROM\tSTART\tEND\ta_METH\n"), model, {}, "column a_DEPTH has no partner"),
        (tmp_path / "short.beta", model, {}, "has 20 CpGs, but a region extends beyond CpG 94"),
        (tmp_path / "m.h5", model, {}, "has no digest: truncated"),
        (pat, regions(), {}, "the model's regions have none"),
        (first, fragments, {}, "counts of single CpGs"),
        (pat, model, {"genome": "hg38"}, "samples are of genome hg38, the model is of hg19"),
    ]:
        with pytest.raises(InputError, match=message):
            check_files([first, other], target, **options)
        with pytest.raises(InputError, match=message):
            read(first if other == pat and options else other, target, **options)
    check_files([first, pat], model)
    with pytest.raises(InputError, match="line 2"):
        read(first, model)


@pytest.mark.data
def test_plasma_samples(data_file):
    """Published plasma samples, counted over the regions of the published atlas."""
    atlas = pd.read_csv(data_file("metdecode/atlas_with_replicates_294.tsv"), sep="\t")
    path = data_file("metdecode/cfdna_294.tsv")
    # The file has rows in the order of the atlas; lined up with it backwards they must come backwards.
    atlas = atlas.drop_duplicates(["CHROM", "START", "END"])[::-1]
    chrom, start, end = (atlas[name].to_numpy() for name in ("CHROM", "START", "END"))
    samples, block = read(path, RegionSet(chrom.tolist(), start, end, "hg38", None, None, "cpg"))
    assert samples.n_found == len(atlas)
    table = pd.read_csv(path, sep="\t").drop_duplicates(["CHROM", "START", "END"], keep=False)
    table = table.set_index(["CHROM", "START", "END"])
    for row, key in enumerate(zip(chrom, start, end, strict=True)):
        if key in table.index:
            depth = table.loc[key, [f"{name}_DEPTH" for name in samples.names]].to_numpy()
            np.testing.assert_array_equal(block.depth[:, row], depth)


@pytest.mark.data
def test_lung_fragments_with_a_published_atlas_as_regions_file(data_file):
    atlas = data_file("loyfer_uxm/Atlas.U25.l4.hg19.tsv.gz")
    table = pd.read_csv(atlas, sep="\t")
    model = RegionSet(
        table["chr"].tolist(), table["start"].to_numpy(), table["end"].to_numpy(), "hg19", None, None, "fragment"
    )
    samples, block = read(data_file("loyfer_uxm/Lung_STL002.pat.gz"), model, regions_file=atlas)
    assert samples.names == ["Lung_STL002"]
    assert samples.n_found == (block.depth > 0).sum() > 600
