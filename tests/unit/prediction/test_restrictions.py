"""Predictions without some regions, or among some tissues."""

import numpy as np
import pytest
from scipy.optimize import nnls

from methmix.errors import InputError
from methmix.formats.regions import RegionSet
from methmix.formats.samples import SampleBlock
from methmix.prediction.restrictions import (
    among_tissues,
    check_tissues,
    excluded_regions,
    nnls_among,
    without_regions,
)

REGIONS = RegionSet(["chr1", "chr1", "chr2"], np.array([10, 30, 10]), np.array([20, 40, 20]), "hg38", None, None, "cpg")


@pytest.mark.parametrize(
    ("bed", "expected"),
    [
        ("chr1\t19\t25\n", [True, False, False]),
        ("1\t20\t30\nchr2\t0\t99\n", [False, False, True]),
        ("chr1\t0\t99\n", [True, True, False]),
    ],
)
def test_regions_that_overlap_are_left_out(tmp_path, bed, expected):
    (tmp_path / "x.bed").write_text(bed)
    excluded = excluded_regions(tmp_path / "x.bed", REGIONS)
    assert excluded.tolist() == expected
    block = SampleBlock(["a"], np.full((1, 3), 0.5, np.float32), np.full((1, 3), 7, np.float32))
    left = without_regions(block, excluded)
    np.testing.assert_array_equal(left.depth[0], np.where(expected, 0, 7))
    np.testing.assert_array_equal(np.isnan(left.methylation[0]), expected)
    assert left.methylation.dtype == left.depth.dtype == np.float32


def test_a_quote_in_the_name_of_a_chromosome_is_refused(tmp_path):
    (tmp_path / "x.bed").write_text('chr1\t0\t20\nch"r2\t0\t99\n')
    with pytest.raises(InputError, match="line 2: expected chrom start end"):
        excluded_regions(tmp_path / "x.bed", REGIONS)


@pytest.mark.parametrize(("bed", "which"), [("chr3\t0\t99\n", "none"), ("chr1\t0\t99\nchr2\t0\t99\n", "all")])
def test_a_file_that_overlaps_no_region_or_all_is_refused(tmp_path, bed, which):
    (tmp_path / "x.bed").write_text(bed)
    with pytest.raises(InputError, match=f"overlaps {which} of the model's 3 regions"):
        excluded_regions(tmp_path / "x.bed", REGIONS)
    assert not excluded_regions(None, REGIONS).any()


@pytest.mark.parametrize(
    ("asked", "message"), [(["B", "x"], "no 'x'"), (["B"], "at least two"), (["B", "B"], "each once")]
)
def test_tissues_that_cannot_be_asked_for(asked, message):
    with pytest.raises(InputError, match=message):
        check_tissues(asked, ["B", "T"])
    check_tissues(None, ["B", "T"])
    with pytest.raises(InputError, match="all of them are in --background"):
        check_tissues(["B", "T"], ["B", "T", "liver"], ["B", "T"])


def test_proportions_among_some_tissues(cohort):
    whole, part = cohort({"Control": 3}), cohort({"Control": 3})
    part.results[2].prediction.proportions[:] = [0.5, 0, 0, 0.5]
    # What groups are compared by at one depth too.
    part.thinned = list(part.results)
    among_tissues(part, ["tumour", "T"])
    assert part.tissues == ["T", "tumour"]
    for before, after in zip(whole.results[:2], part.results[:2], strict=True):
        expected = before.prediction.proportions[[1, 2]]
        np.testing.assert_allclose(after.prediction.proportions, expected / expected.sum())
        np.testing.assert_array_equal(after.nnls, before.nnls[[1, 2]])
    assert part.results[2].prediction is None
    assert part.results[2].flags(100) == ["has none of the tissues of --tissues: no estimates"]
    assert "among T, tumour alone" in part.notes[-1]
    assert [result.nnls.shape for result in part.thinned[:2]] == [(2,), (2,)] and part.thinned[2].prediction is None
    among_tissues(whole, None)
    assert whole.tissues == ["B", "T", "tumour", "liver"]


def test_least_squares_are_solved_for_the_asked_tissues_alone(rng):
    profiles, depth = rng.random((4, 60)), np.full((1, 60), 30, np.float32)
    sample = np.array([0.5, 0.2, 0.3, 0]) @ profiles
    block = SampleBlock(["a"], sample[None].astype(np.float32), depth)
    assert nnls_among(profiles, block)[0] == pytest.approx([0.5, 0.2, 0.3, 0], abs=1e-5)
    found = nnls_among(profiles, block, [0, 2])[0]
    own, _ = nnls(profiles[[0, 2]].T, sample)
    assert found == pytest.approx([own[0] / own.sum(), 0, own[1] / own.sum(), 0], abs=1e-5)
    assert found[0] != pytest.approx(0.5 / 0.8, abs=1e-3)
