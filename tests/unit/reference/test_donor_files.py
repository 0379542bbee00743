"""Source ``wgbstools``: files of a sample sheet, counted in regions with CpG indices."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from methmix.config.experiment import Experiment
from methmix.errors import InputError
from methmix.files.reference import Reference
from methmix.reference.build import build_reference

# CpGs are numbered from 1: the first region has the CpGs 1 to 4.
BED = "#chrom start end start_cpg end_cpg\nchr1 100 200 1 5\nchr1 300 400 7 12\n"
SHEET = """\
donor tissue file
L1 Liver L1.beta
L2 Liver deep/L2.beta
B1 Blood B1.pat.gz
B2 Blood B2.pat.gz
"""
PAT = "chr1 1 CCTC 2\nchr1 3 TT..TTTTT 1\n"


def _write(path: Path, text: str) -> Path:
    path.write_text(text.replace(" ", "\t"))
    return path


@pytest.fixture
def betas(tmp_path) -> dict[str, np.ndarray]:
    """Two ``.beta`` files of 12 CpGs (methylated, all reads), and two ``.pat.gz`` files."""
    rng = np.random.default_rng(1)
    (tmp_path / "deep").mkdir()
    made = {}
    for name in ("L1.beta", "deep/L2.beta"):
        depth = rng.integers(0, 30, 12)
        made[name] = np.stack([rng.binomial(depth, 0.5), depth], axis=1).astype(np.uint8)
        made[name].tofile(tmp_path / name)
    (tmp_path / "L1.bam").write_bytes(gzip.compress(b"BAM\1"))
    for name in ("B1.pat.gz", "B2.pat.gz"):
        (tmp_path / name).write_bytes(gzip.compress(PAT.replace(" ", "\t").encode()))
    return made


@pytest.fixture
def build(settings, tmp_path, betas):
    def make(sheet: str = SHEET, bed: str = BED, **changes) -> Reference:
        source = {
            "source": "wgbstools",
            "folder": str(tmp_path),
            "sample_sheet": str(_write(tmp_path / "sheet.tsv", sheet)),
            "regions_bed": str(_write(tmp_path / "regions.bed", bed)),
            "measure": "cpg",
            "genome": "hg38",
            "split": {"validation": 0.2, "test": 0.2, "allow_single_donor": False},
            **changes,
        }
        return build_reference(Experiment.model_validate({**settings, "reference": source}))

    return make


def test_calls_of_both_kinds_of_file(build, betas):
    reference = build()
    assert reference.donors == ["B1", "B2", "L1", "L2"]
    for donor, name in enumerate(betas, start=2):
        for region, cpgs in enumerate([slice(0, 4), slice(6, 11)]):
            expected = betas[name][cpgs].sum(axis=0, dtype=int)
            found = [reference.methylated[donor, region], reference.depth[donor, region]]
            np.testing.assert_array_equal(found, expected)
    # Twice CCTC and once TT, then once TTTTT from CpG 7 on.
    np.testing.assert_array_equal(reference.methylated[:2], [[6, 0]] * 2)
    np.testing.assert_array_equal(reference.depth[:2], [[10, 5]] * 2)
    assert reference.regions["start_cpg"].tolist() == [1, 7]
    assert reference.measure == "cpg"
    files = {"sheet.tsv", "regions.bed", "L1.beta", "deep/L2.beta", "B1.pat.gz", "B2.pat.gz"}
    assert set(json.loads(reference.attributes["sha256"])) == files
    assert "have several formats (beta 2, pat 2)" in reference.attributes["notes"]


def test_fragments(build):
    sheet = SHEET.replace("L1.beta", "B1.pat.gz").replace("deep/L2.beta", "B2.pat.gz").splitlines()[:3]
    text = "\n".join([*sheet, "B1 Blood B2.pat.gz"])
    split = {"validation": 0.2, "test": 0.2, "allow_single_donor": True}
    with pytest.raises(InputError, match="is the file of another donor too"):
        build("\n".join([*sheet, "B1 Blood B1.pat.gz"]), measure="fragment", split=split)
    reference = build(text.replace("L2 Liver B2.pat.gz\n", ""), measure="fragment", split=split)
    # In the first region the second fragment shows two CpGs only; in the second region the first one shows none.
    np.testing.assert_array_equal(reference.methylated, [[2, 0]] * 2)
    np.testing.assert_array_equal(reference.depth, [[2, 1]] * 2)
    assert reference.measure == "fragment"


def test_folder_below_the_data(build, monkeypatch, tmp_path):
    expected = build().content_digest
    monkeypatch.setenv("METHMIX_DATA", str(tmp_path.parent))
    assert build(folder=f"METHMIX_DATA/{tmp_path.name}").content_digest == expected


def test_given_split(build):
    rows = zip(SHEET.splitlines(), ["split", "train", "test", "test", "train"], strict=True)
    reference = build("\n".join(f"{row} {split}" for row, split in rows))
    assert reference.split == ["test", "train", "train", "test"]


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ("tissue file", "tissue path", ["column file is missing; found donor, tissue, path"]),
        ("L1 Liver L1.beta", "L1 Liver ", ["donor L1 has no file"]),
        ("L1 Liver L1.beta", "L1 Liver " + 300 * "L", ["donor L1: ", "cannot be a file"]),
        (
            "L1 Liver L1.beta",
            "L1 Liver absent.beta",
            ["donor L1: ", "absent.beta: there is no such file", "below reference.folder"],
        ),
        (
            "L1 Liver L1.beta",
            "L1 Liver L1.bam",
            ["donor L1: ", "L1.bam: is a BAM file of aligned reads", "modkit pileup"],
        ),
        ("L1 Liver L1.beta", "L1 Liver deep/L2.beta", ["donor L2: deep/L2.beta is the file of another donor too"]),
        ("L1 Liver", "L2 Liver", ["duplicate donor L2"]),
    ],
)
def test_bad_sheet(build, old, new, fragments):
    assert old in SHEET
    with pytest.raises(InputError) as caught:
        build(SHEET.replace(old, new))
    for fragment in ["sheet.tsv", *fragments]:
        assert fragment in str(caught.value)


def test_beta_has_no_fragments(build):
    with pytest.raises(
        InputError, match=r"L1\.beta: has counts of single CpGs, .*measure: fragment[\s\S]*give the \.pat\.gz"
    ):
        build(measure="fragment")


def test_files_of_another_genome(build, betas, tmp_path):
    betas["L1.beta"][:11].tofile(tmp_path / "L1.beta")
    with pytest.raises(InputError, match=r"donor L2: deep/L2\.beta has 12 CpGs, but L1\.beta has 11"):
        build()
    betas["deep/L2.beta"][:10].tofile(tmp_path / "deep/L2.beta")
    betas["L1.beta"][:10].tofile(tmp_path / "L1.beta")
    with pytest.raises(InputError, match=r"L1\.beta: has 10 CpGs, but a region extends beyond CpG 11"):
        build()


def test_regions_without_cpg_indices(build):
    with pytest.raises(InputError, match=r"regions\.bed: line 1: expected chrom start end start_cpg end_cpg"):
        build(bed="chr1 100 200\n")
    with pytest.raises(InputError, match=r"regions\.bed: line 1: end_cpg must be larger than start_cpg"):
        build(bed="chr1 100 200 5 5\n")
