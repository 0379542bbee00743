"""Manifests of arrays, and tables of probes that are read by them."""

import gzip

import numpy as np
import pytest

from methmix.errors import InputError
from methmix.formats.counts import Request
from methmix.formats.file_formats import read_as
from methmix.formats.manifest import read_manifest
from methmix.formats.regions import RegionSet
from methmix.formats.samples import open_samples

HEAD = "Illumina, Inc.,,,,\n[Heading],,,,\n,,,,\nLoci Count ,4,,,\n[Assay],,,,\n"
COLUMNS = "IlmnID,Name,Genome_Build,CHR,MAPINFO\n"
# Of the fourth probe two places are known, the fifth has none, the sixth is of a SNP.
PROBES = (
    "cg00000001_TC21,cg00000001,GRCh38,chr1,101\ncg00000001_TC22,cg00000001,GRCh38,chr1,101\n"
    "cg00000002_BC11,cg00000002,GRCh38,chr1,151.0\ncg00000003_BC21,cg00000003,GRCh38,chrX,1001\n"
    "cg00000004_TC21,cg00000004,GRCh38,chr2,5\ncg00000004_TC22,cg00000004,GRCh38,chr2,77\n"
    "cg00000005_TC21,cg00000005,,,0\nrs1000,rs1000,GRCh38,chr1,102\n"
)
CONTROLS = "[Controls],,,,\n21630339,STAINING,-99,DNP (High),AVG\n"
ILLUMINA = HEAD + COLUMNS + PROBES + CONTROLS
SESAME = (
    "CpG_chrm\tCpG_beg\tCpG_end\tProbe_ID\nchr1\t100\t102\tcg00000001\nchr1\t150\t152\tcg00000002\n"
    "chrX\t1000\t1002\tcg00000003\nNA\tNA\tNA\tcg00000005\n"
)
REGIONS = (["chr1", "chr1", "chrX", "chr3"], np.array([90, 140, 900, 1]), np.array([160, 160, 1001, 9]))
TABLE = "IlmnID,a,b\ncg00000001_TC21,0.2,NA\ncg00000002_BC11,0.6,0.5\ncg00000003_BC21,1,0\ncg00000009_BC21,1,1\n"


@pytest.fixture
def manifest(tmp_path):
    def write(text, name="manifest.csv"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write


def regions(genome="hg38", measure="cpg"):
    return RegionSet(*REGIONS, genome, None, None, measure)


@pytest.mark.parametrize(
    ("text", "name", "genome"),
    [(ILLUMINA, "epicv2.csv", "GRCh38"), (ILLUMINA.replace("\n", "\r\n"), "epicv2.csv.gz", "GRCh38"),
     (SESAME, "EPIC.hg38.manifest.tsv.gz", None), (SESAME.replace("Probe_ID", "probeID"), "old.tsv", None)],
)  # fmt: skip
def test_the_cytosine_of_the_plus_strand_counted_from_0(manifest, text, name, genome):
    found = read_manifest(manifest(text, name))
    assert found.genome == genome
    assert found.places["start"].to_dict() == {"cg00000001": 100, "cg00000002": 150, "cg00000003": 1000}
    assert found.places["chrom"].tolist() == ["chr1", "chr1", "chrX"]


def test_a_build_may_be_a_number(manifest):
    assert read_manifest(manifest(ILLUMINA.replace("GRCh38", "37"))).genome == "GRCh37"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sample,file\na,b\n", "is no manifest of an array; its first line is 'sample,file'"),
        (HEAD + COLUMNS + CONTROLS, "has no probe cg... with a place"),
        (ILLUMINA.replace("chr1,101", "chr1,1e"), "line 7, column MAPINFO: expected a whole number >= 0, found '1e'"),
        (ILLUMINA.replace("151.0", "151.5"), "line 9, column MAPINFO: expected a whole number"),
        (ILLUMINA.replace("GRCh38,chrX", "37,chrX"), "several genome builds: 37, GRCh38"),
        (ILLUMINA.replace("chrX,1001", "chrX,160000000"), "cg00000003 at chrX:159999999 is behind the end"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(manifest, text, message):
    with pytest.raises(InputError, match=message.replace("(", "\\(")):
        read_manifest(manifest(text))


def test_probes_count_for_the_regions_that_their_cpgs_lie_in(manifest, tmp_path):
    (tmp_path / "array.csv").write_text(TABLE)
    with open_samples(
        tmp_path / "array.csv", regions(), manifest=manifest(ILLUMINA, "epicv2.csv"), pseudo_depth=20
    ) as samples:
        (block,) = samples.blocks(9)
    assert samples.n_found == 3
    # The first region has two CpGs, the second one of these, the last none.
    expected = [[0.4, 0.6, 1, np.nan], [0.5, 0.5, 0, np.nan]]
    np.testing.assert_allclose(block.methylation, expected, rtol=1e-6)
    np.testing.assert_allclose(block.depth, [[20, 20, 20, 0], [20, 20, 20, 0]])
    assert "regions with more than one row: 1; their rows are averaged" in samples.notes


def test_an_atlas_of_probes_has_the_regions_of_their_cpgs(manifest, tmp_path):
    (tmp_path / "array.csv").write_text(TABLE)
    counts = read_as("probes", tmp_path / "array.csv", Request(pseudo_depth=1, manifest=manifest(ILLUMINA)))
    assert counts.regions.to_numpy().tolist() == [["chr1", 100, 102], ["chr1", 150, 152], ["chrX", 1000, 1002]]
    np.testing.assert_allclose(counts.all()[0], [[0.2, 0.6, 1], [0, 0.5, 0]])


@pytest.mark.parametrize(
    ("text", "model", "genome", "message"),
    [
        (ILLUMINA, regions("hg19"), None, "has positions in GRCh38, expected hg19"),
        (SESAME, regions(), None, "does not say of which genome build"),
        (ILLUMINA, regions(measure="fragment"), None, "the model has proportions of fragments"),
        (ILLUMINA, RegionSet(["cg00000001"], np.zeros(1, int), np.ones(1, int), "none", None, None, "cpg"), None,
         "the model is of an array's probes by name"),
    ],
)  # fmt: skip
def test_what_does_not_belong_together_is_refused(manifest, tmp_path, text, model, genome, message):
    (tmp_path / "array.csv").write_text(TABLE)
    with (
        pytest.raises(InputError, match=message),
        open_samples(tmp_path / "array.csv", model, manifest=manifest(text), genome=genome),
    ):
        pass


def test_a_build_that_is_not_in_the_manifest_is_stated(manifest, tmp_path):
    (tmp_path / "array.csv").write_text(TABLE)
    with open_samples(tmp_path / "array.csv", regions(), manifest=manifest(SESAME), genome="hg38") as samples:
        assert samples.n_found == 3
    with (
        pytest.raises(InputError, match="the samples are of genome hg19"),
        open_samples(tmp_path / "array.csv", regions(), manifest=manifest(SESAME), genome="hg19"),
    ):
        pass


def test_without_a_manifest_the_message_asks_for_one(tmp_path):
    (tmp_path / "array.csv").write_text(TABLE)
    with pytest.raises(InputError, match="--manifest"), open_samples(tmp_path / "array.csv", regions()):
        pass
