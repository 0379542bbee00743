"""Files of wgbstools: reads and fragments of regions given in CpG indices."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest

from methmix.errors import InputError
from methmix.formats.counts import Request
from methmix.formats.file_formats import open_file
from methmix.formats.regions import RegionSet
from methmix.formats.store import CountsStore

# Regions overlap, lie inside another, touch, are on two chromosomes and in no order.
START = np.array([40, 10, 12, 20, 90, 300, 205])
END = np.array([60, 20, 15, 30, 99, 320, 212])
CHROM = ["chr1"] * 5 + ["chr2"] * 2


def wgbstools_counts(path: Path, start, end, measure, chrom):
    regions = RegionSet(chrom, start, end, "hg19", start, end, measure)
    with CountsStore(len(regions), np.int64) as store:
        methylated, depth = open_file(path, Request(regions, store)).load().all()
        return methylated[0].copy(), depth[0].copy()


def naive_pat(lines, measure):
    """Fragment by fragment, letter by letter."""
    methylated, depth = np.zeros(len(START), dtype=int), np.zeros(len(START), dtype=int)
    for line in lines:
        _, first, pattern, count = line.split("\t")
        for region, (start, end) in enumerate(zip(START, END, strict=True)):
            inside = [
                letter for cpg, letter in enumerate(pattern, start=int(first)) if start <= cpg < end and letter != "."
            ]
            if measure == "cpg":
                methylated[region] += inside.count("C") * int(count)
                depth[region] += len(inside) * int(count)
            elif len(inside) >= 4:
                depth[region] += int(count)
                methylated[region] += int(count) * (inside.count("C") / len(inside) > 0.25)
    return methylated, depth


def pat_lines(rng, longest=15, n=2000):
    made = []
    for first in np.sort(rng.integers(1, 330, n)):
        pattern = "".join(rng.choice(list("CT."), rng.integers(1, longest + 1), p=[0.35, 0.5, 0.15]))
        made.append(f"{'chr1' if first < 150 else 'chr2'}\t{first}\t{pattern}\t{rng.integers(1, 5)}")
    return made


def write_pat(path: Path, lines) -> Path:
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    return path


def write_indexed_pat(path: Path, lines) -> Path:
    plain = path.with_suffix(".txt")
    plain.write_text("\n".join(lines) + "\n")
    pysam.tabix_compress(str(plain), str(path), force=True)
    pysam.tabix_index(str(path), seq_col=0, start_col=1, end_col=1, csi=True, force=True)
    plain.unlink()
    return path


@pytest.mark.parametrize("measure", ["cpg", "fragment"])
@pytest.mark.parametrize("write", [write_pat, write_indexed_pat])
def test_fragments_are_counted_as_one_would_by_hand(tmp_path, rng, measure, write):
    lines = pat_lines(rng)
    path = write(tmp_path / "s.pat.gz", lines)
    methylated, depth = wgbstools_counts(path, START, END, measure, CHROM)
    expected = naive_pat(lines, measure)
    np.testing.assert_array_equal(methylated, expected[0])
    np.testing.assert_array_equal(depth, expected[1])
    assert depth.dtype == np.int64
    assert (depth[[0, 1, 3, 4, 5, 6]] > 0).all()


def test_blocks_add_up(tmp_path, rng, monkeypatch):
    lines = pat_lines(rng)
    monkeypatch.setattr("methmix.formats.text.ROWS_PER_BLOCK", 7)
    monkeypatch.setattr("methmix.formats.tabix._LINES_PER_BLOCK", 11)
    for write in (write_pat, write_indexed_pat):
        found = wgbstools_counts(write(tmp_path / f"{write.__name__}.pat.gz", lines), START, END, "cpg", CHROM)
        np.testing.assert_array_equal(found, naive_pat(lines, "cpg"))


def test_few_known_cpgs_say_nothing_about_a_fragment(tmp_path):
    lines = ["chr1\t8\tCCTTTTT.C\t2", "chr1\t10\tTTT.CTT\t3", "chr1\t10\tTTT\t9", "chr1\t18\tTTTT\t9"]
    methylated, depth = wgbstools_counts(write_pat(tmp_path / "s.pat.gz", lines), START, END, "fragment", CHROM)
    # Region 10-20 sees TTTTT.C (one of six) and TTT.CTT (one of six); two CpGs are too few, and so are 12-15's.
    np.testing.assert_array_equal(methylated, 0)
    np.testing.assert_array_equal(depth, [0, 5, 0, 0, 0, 0, 0])


def test_a_quarter_methylated_is_unmethylated(tmp_path):
    lines = ["chr1\t10\tCTTT\t1", "chr1\t10\tCTCT\t1"]
    methylated, depth = wgbstools_counts(write_pat(tmp_path / "s.pat.gz", lines), START, END, "fragment", CHROM)
    assert (methylated[1], depth[1]) == (1, 2)


def test_fragments_longer_than_the_index_can_show_are_found(tmp_path):
    lines = ["chr1\t5\t" + "CT" * 45, "chr1\t10\t" + "C" * 180]
    lines = [f"{line}\t1" for line in lines] + ["chr2\t151\t" + "T" * 180 + "\t1"]
    indexed = wgbstools_counts(write_indexed_pat(tmp_path / "s.pat.gz", lines), START, END, "cpg", CHROM)
    np.testing.assert_array_equal(indexed, naive_pat(lines, "cpg"))
    assert indexed[1][5] > 0


def test_only_the_fragments_of_few_regions_are_fetched(tmp_path, rng, monkeypatch):
    path = write_indexed_pat(tmp_path / "s.pat.gz", [*pat_lines(rng), "chr3\t999\tC\tnot a number"])
    wgbstools_counts(path, START, END, "cpg", CHROM)
    monkeypatch.setattr("methmix.formats.wgbstools._MAX_FETCHED_REGIONS", 6)
    with pytest.raises(InputError, match="not a number"):
        wgbstools_counts(path, START, END, "cpg", CHROM)


def test_chromosomes_without_chr(tmp_path, rng):
    lines = pat_lines(rng)
    expected = naive_pat(lines, "cpg")
    for write in (write_pat, write_indexed_pat):
        path = write(tmp_path / f"{write.__name__}.pat.gz", [line.removeprefix("chr") for line in lines])
        np.testing.assert_array_equal(wgbstools_counts(path, START, END, "cpg", CHROM), expected)


@pytest.mark.parametrize(
    ("line", "fragments"),
    [
        ("chr1\tx\tCC\t1", ["line 2, column 2 (first CpG)", "'x'"]),
        ("chr1\t11\tCC\t-1", ["line 2, column 4 (count)", "'-1'"]),
        ("chr1\t11\tCC", ["line 2 has 3 columns, the first row has 4"]),
        ("chr1\t11\tCAC\t1", ["'CAC'", "letters C, T and ."]),
        ("chr2\t11\tCCC\t1", ["CpG 10 on chr2", "chromosome 1", "genome build"]),
    ],
)
def test_bad_pat(tmp_path, line, fragments):
    path = write_pat(tmp_path / "s.pat.gz", ["chr1\t10\tCC\t1", line])
    with pytest.raises(InputError) as caught:
        wgbstools_counts(path, START, END, "cpg", CHROM)
    for fragment in [str(path), *fragments]:
        assert fragment in str(caught.value)


@pytest.mark.parametrize("region", [(160, 170), (320, 330), (60, 70)])
@pytest.mark.parametrize("write", [write_pat, write_indexed_pat])
def test_cpgs_on_other_chromosomes_than_the_regions_are_refused_with_an_index_too(tmp_path, rng, write, region):
    """CpGs from 150 on are on chr2: of chr1 before them, or of chr2 behind others, regions are of another genome."""
    start, end = np.array([[10, region[0]], [20, region[1]]])
    chrom = ["chr1", "chr2" if region[0] < 150 else "chr1"]
    path = write(tmp_path / "s.pat.gz", pat_lines(rng))
    with pytest.raises(InputError, match=r"has CpG \d+ on (chr)?[12], the regions have it on chromosome [12]"):
        wgbstools_counts(path, start, end, "cpg", chrom)


def test_damaged_pat(tmp_path, rng):
    path = write_pat(tmp_path / "s.pat.gz", pat_lines(rng))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="truncated gzip"):
        wgbstools_counts(path, START, END, "cpg", CHROM)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        wgbstools_counts(path, START, END, "cpg", CHROM)
    with pytest.raises(InputError, match="no such file"):
        wgbstools_counts(tmp_path / "none.pat.gz", START, END, "cpg", CHROM)


def test_damaged_pat_with_an_index(tmp_path, rng):
    path = write_indexed_pat(tmp_path / "s.pat.gz", pat_lines(rng, n=20000))
    content = path.read_bytes()
    path.write_bytes(content[:-3000])
    with pytest.raises(InputError, match=r"s\.pat\.gz: is truncated"):
        wgbstools_counts(path, START, END, "cpg", CHROM)
    path.write_bytes(content[:200] + bytes(1000) + content[1200:])
    with pytest.raises(InputError, match=r"s\.pat\.gz: (cannot be read with its index|is a damaged or truncated gzip)"):
        wgbstools_counts(path, START, END, "cpg", CHROM)


@pytest.mark.data
@pytest.mark.parametrize("measure", ["cpg", "fragment"])
def test_lung_has_fragments_in_most_markers(data_file, tmp_path, measure):
    atlas = pd.read_csv(data_file("loyfer_uxm/Atlas.U25.l4.hg19.tsv.gz"), sep="\t")
    path = data_file("loyfer_uxm/Lung_STL002.pat.gz")
    data_file("loyfer_uxm/Lung_STL002.pat.gz.csi")
    start, end = atlas["startCpG"].to_numpy(), atlas["endCpG"].to_numpy()
    methylated, depth = wgbstools_counts(path, start, end, measure, atlas["chr"].tolist())
    assert (depth > 0).sum() > 600
    unmethylated = 1 - methylated[depth > 0] / depth[depth > 0]
    target = atlas["target"][depth > 0]
    assert unmethylated[target == "Lung-Ep-Alveo"].mean() > 2 * unmethylated[target == "Liver-Hep"].mean()
    without_index = tmp_path / path.name
    without_index.write_bytes(path.read_bytes())
    np.testing.assert_array_equal(
        wgbstools_counts(without_index, start, end, measure, atlas["chr"].tolist()), [methylated, depth]
    )


def test_beta(tmp_path, rng):
    depth = rng.integers(0, 256, 400)
    pairs = np.stack([rng.integers(0, depth + 1), depth], axis=1).astype(np.uint8)
    path = tmp_path / "s.beta"
    pairs.tofile(path)
    methylated, total = wgbstools_counts(path, START, END, "cpg", CHROM)
    for region, (start, end) in enumerate(zip(START, END, strict=True)):
        assert methylated[region] == pairs[start - 1 : end - 1, 0].sum(dtype=int)
        assert total[region] == pairs[start - 1 : end - 1, 1].sum(dtype=int)
    assert total.dtype == np.int64


def test_lbeta_has_two_bytes_for_each_number(tmp_path, rng):
    pairs = np.stack([np.arange(400), np.full(400, 1000)], axis=1).astype("<u2")
    path = tmp_path / "s.lbeta"
    pairs.tofile(path)
    methylated, total = wgbstools_counts(path, START, END, "cpg", CHROM)
    expected = [pairs[start - 1 : end - 1].sum(axis=0, dtype=int) for start, end in zip(START, END, strict=True)]
    np.testing.assert_array_equal(np.transpose([methylated, total]), expected)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(InputError, match="4 for each CpG"):
        wgbstools_counts(path, START, END, "cpg", CHROM)


def test_bad_beta(tmp_path):
    path = tmp_path / "s.beta"
    with pytest.raises(InputError, match="no such file"):
        wgbstools_counts(path, START, END, "cpg", CHROM)
    for content, message in [
        (b"", "is empty"),
        (b"\1\2\3", "2 for each CpG"),
        (b"\1\2" * 100, "region extends beyond CpG 319"),
        (b"\1\2" * 10 + b"\3\2" + b"\1\2" * 400, "CpG 11: 3 methylated of 2 reads"),
    ]:
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            wgbstools_counts(path, START, END, "cpg", CHROM)
