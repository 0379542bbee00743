"""Names of builds and chromosomes, and lengths."""

import pytest

from methmix.formats.genomes import bare_chrom, build_name, build_of_accession, builds, find_build

NAMES = {
    "hg19": "hg19 GRCh37 GRCh37.p13 hs37d5 b37 human_g1k_v37 GCF_000001405.25 Homo_sapiens_assembly19",
    "hg38": "hg38 GRCh38 GRCh38.p14 hg38.analysisSet hs38DH GRCh38_no_alt_analysis_set GRCh38.d1.vd1 GCA_000001405.15 "
    "Homo_sapiens_assembly38 Homo_sapiens.GRCh38.dna.primary_assembly",
    "hs1": "hs1 CHM13 chm13v2.0 T2T-CHM13v2.0 T2T-CHM13v2",
    "mm10": "mm10 GRCm38 GRCm38.p6",
    "mm39": "mm39 GRCm39",
    "rn7": "rn7",
    "unknown": "unknown Unknown",
}


@pytest.mark.parametrize(("build", "name"), [(build, name) for build, names in NAMES.items() for name in names.split()])
def test_aliases_of_a_build(build, name):
    assert build_name(name) == build


@pytest.mark.parametrize(
    "name", ["1", "chr1", "Chr1", "NC_000001.11", "NC_000001.10", "CM000663.2", "GRCh38#0#chr1", "ref|NC_000001.11|"]
)
def test_a_chromosome_has_one_name(name):
    assert bare_chrom(name) == "1"


def test_mitochondria_and_contigs():
    assert {bare_chrom(name) for name in ("chrM", "M", "MT", "chrMT", "NC_012920.1")} == {"MT"}
    assert bare_chrom("chr1_KI270706v1_random") == "1_KI270706v1_random"


def test_accessions_name_their_build():
    found = [
        build_of_accession(name) for name in ("NC_000001.10", "NC_000001.11", "NC_000067.6", "NC_000067.7", "chr1")
    ]
    assert found == ["hg19", "hg38", "mm10", "mm39", None]
    # That of mitochondria is the same in two builds.
    assert build_of_accession("NC_012920.1") is None


def test_lengths():
    of_1 = {name: build.lengths["1"] for name, build in builds().items()}
    assert of_1 == {"hg19": 249250621, "hg38": 248956422, "hs1": 248387328, "mm10": 195471971, "mm39": 195154279}
    n_chromosomes = {name: len(build.lengths) for name, build in builds().items()}
    assert n_chromosomes == {"hg19": 25, "hg38": 26, "hs1": 25, "mm10": 22, "mm39": 22}
    assert find_build("GRCh38.p14").n_cpgs == 29_401_795
    assert find_build("none (simulated)") is None
