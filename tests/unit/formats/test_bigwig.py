"""Pairs of bigWig files: read to the counts that they were made of, as a sample and as a donor, or refused."""

import numpy as np
import pyBigWig
import pytest
from unit.formats.read_both_ways import as_donor, as_sample

from methmix.errors import InputError
from methmix.formats.describe_file import describe_file
from methmix.formats.genomes import builds
from methmix.formats.regions import RegionSet
from methmix.formats.samples import open_samples

N_REGIONS, LENGTH = 40, 150
CHROM = np.repeat(["chr1", "chr2"], N_REGIONS // 2)
START = 1_000_000 + 50_000 * (np.arange(N_REGIONS) % (N_REGIONS // 2))
PLACES = np.array([-20, 0, 11, 40, 77, LENGTH - 2, LENGTH])
RNG = np.random.default_rng(4)
DEPTH = RNG.integers(1, 30, (N_REGIONS, len(PLACES)))
METHYLATED = RNG.binomial(DEPTH, np.where(np.arange(N_REGIONS) % 4, 0.9, 0.1)[:, None])
# Of each region, those that lie inside.
EXPECTED = np.stack([METHYLATED[:, 1:6].sum(axis=1), DEPTH[:, 1:6].sum(axis=1)])
LENGTHS = {name: {f"chr{c}": builds()[name].lengths[c] for c in ("1", "2", "3")} for name in ("hg38", "hg19")}


def regions(genome="hg38"):
    return RegionSet(CHROM.tolist(), START, START + LENGTH, genome, None, None, "cpg")


def write(path, values, span=1, build="hg38", shift=0, lengths=None):
    """Write a value of each CpG, [n_regions, n_places]; NaN for none."""
    file = pyBigWig.open(str(path), "w")
    file.addHeader(list((lengths or LENGTHS[build]).items()))
    for row in range(N_REGIONS):
        kept = ~np.isnan(values[row])
        starts = (START[row] + PLACES + shift)[kept].tolist()
        if starts:
            file.addEntries([str(CHROM[row])] * len(starts), starts, ends=[s + span for s in starts],
                            values=values[row][kept].astype(float).tolist())  # fmt: skip
    file.close()
    return path


def pair(folder, fraction=None, depth=None, names=("s.methylation.bw", "s.coverage.bw"), **options):
    write(folder / names[1], DEPTH.astype(float) if depth is None else depth, **options)
    return write(folder / names[0], METHYLATED / DEPTH if fraction is None else fraction, **options)


USES = pytest.mark.parametrize("use", [as_sample, as_donor])
# Values of methylation, and how they are written.
FORMS = {
    "fractions": (METHYLATED / DEPTH, {}),
    "percent": (100 * METHYLATED / DEPTH, {}),
    "percent, rounded": (np.rint(100 * METHYLATED / DEPTH), {}),
    "whole CpGs": (METHYLATED / DEPTH, {"span": 2}),
    "Roadmap": (METHYLATED / DEPTH, {"names": ("E1_FractionalMethylation.bigwig", "E1_ReadCoverage.bigwig")}),
    "Blueprint": (METHYLATED / DEPTH, {"names": ("S.CPG_methylation.bs_call.bw", "S.CPG_methylation.bs_cov.bw")}),
}  # fmt: skip


@USES
@pytest.mark.parametrize("form", FORMS)
def test_a_pair_has_the_counts_that_it_was_made_of(tmp_path, form, use):
    values, options = FORMS[form]
    found, notes = use(pair(tmp_path, values, **options), regions())
    np.testing.assert_array_equal(found, EXPECTED)
    assert not notes


def test_a_cpg_with_coverage_alone_is_not_observed(tmp_path):
    fraction = METHYLATED / DEPTH
    fraction[3, 1] = np.nan
    found, _ = as_sample(pair(tmp_path, fraction), regions())
    expected = EXPECTED.copy()
    expected[:, 3] -= [METHYLATED[3, 1], DEPTH[3, 1]]
    np.testing.assert_array_equal(found, expected)


def test_the_sample_is_called_as_its_files(tmp_path):
    for names, expected in {
        ("s.methylation.bw", "s.coverage.bw"): "s",
        ("E1_FractionalMethylation.bigwig", "E1_ReadCoverage.bigwig"): "E1",
    }.items():
        with open_samples(pair(tmp_path, names=names), regions()) as samples:
            assert samples.names == [expected]


def other_cpgs(folder):
    path = pair(folder)
    write(folder / "s.coverage.bw", DEPTH.astype(float), shift=1)
    return path


def cut(folder):
    path = pair(folder)
    path.write_bytes(path.read_bytes()[:1500])
    return path


def windows(folder):
    far = np.where(np.arange(len(PLACES)) < 5, METHYLATED / DEPTH, np.nan)
    return pair(folder, far, np.where(np.isnan(far), np.nan, DEPTH), span=10)


def swapped(folder):
    return pair(folder, DEPTH.astype(float), METHYLATED / DEPTH)


REFUSED = {
    "another build": (lambda folder: pair(folder, build="hg19"), "chr1 has 249,250,621 bases; the model has 248,956"),
    "swapped": (swapped, r"s.coverage.bw: chr1:\d+-\d+: coverage that is no whole number.*[\s\S]*swapped\?"),
    "other CpGs": (other_cpgs, "has methylation, but no value of its own in"),
    "windows": (windows, "another length than single CpGs"),
    "no methylation": (lambda folder: pair(folder, 3 * METHYLATED.astype(float) - 1), "methylation outside of 0-"),
    "cut": (cut, "s.methylation.bw: is a damaged or truncated bigWig"),
    "short": (
        lambda folder: pair(folder, lengths={"chr1": 248_956_422, "chr2": 1_600_000, "chr3": 5}),
        r"chr[23] has (1,600,000|5) bases; the model has 2",
    ),
}


@USES
@pytest.mark.parametrize("what", REFUSED)
def test_what_contradicts_itself_is_refused(tmp_path, what, use):
    make, message = REFUSED[what]
    with pytest.raises(InputError, match=message) as caught:
        use(make(tmp_path), regions())
    assert str(tmp_path) in str(caught.value)


def test_without_a_known_build_a_region_must_lie_in_its_chromosome(tmp_path):
    path = pair(tmp_path, lengths={"chr1": 1_950_150, "chr2": 1_960_000})
    np.testing.assert_array_equal(as_sample(path, regions("mine"))[0], EXPECTED)
    with pytest.raises(InputError, match="chr2 has 1,960,000 bases; the model has a region that ends at 2,000,150"):
        further = RegionSet(
            ["chr1", "chr2"], np.array([10, 2_000_000]), np.array([20, 2_000_150]), "mine", *[None] * 2, "cpg"
        )
        as_sample(path, further)  # fmt: skip


def test_estimates_that_fit_no_whole_number_of_reads_are_noted(tmp_path):
    smooth = (METHYLATED / DEPTH * 0.8) + 0.07
    _, notes = as_sample(pair(tmp_path, smooth), regions())
    assert (
        len(notes) == 1 and "is no whole number of reads: estimates of a program, or files of two samples?" in notes[0]
    )


def test_one_of_the_two_alone_is_named(tmp_path):
    path = pair(tmp_path)
    with pytest.raises(InputError, match=r"is the coverage of a pair of bigWig files.*[\s\S]*methylation alone"):
        as_sample(tmp_path / "s.coverage.bw", regions())
    (tmp_path / "s.coverage.bw").unlink()
    with pytest.raises(InputError, match=r"without that of its coverage.*[\s\S]*<sample>.coverage.bw"):
        as_sample(path, regions())


def test_the_build_is_described_by_the_lengths(tmp_path):
    said = list(describe_file(pair(tmp_path, build="hg19")))
    assert "pair of bigWig files" in said[0] and said[1].endswith("it is of hg19")
    unknown = pair(tmp_path, lengths={"chr1": 5_000_000, "chr2": 5_000_000})
    assert "no build that is known" in list(describe_file(unknown))[1]
