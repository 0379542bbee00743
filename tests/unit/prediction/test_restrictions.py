"""Predictions without some regions, or among some tissues."""

import numpy as np
import pytest

from methmix.errors import InputError
from methmix.formats.regions import RegionSet
from methmix.formats.samples import SampleBlock
from methmix.prediction.restrictions import among_tissues, check_tissues, excluded_regions, without_regions

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


def test_proportions_among_some_tissues(cohort):
    whole, part = cohort({"Control": 3}), cohort({"Control": 3})
    part.results[2].prediction.proportions[:] = [0.5, 0, 0, 0.5]
    among_tissues(part, ["tumour", "T"])
    assert part.tissues == ["T", "tumour"]
    for before, after in zip(whole.results[:2], part.results[:2], strict=True):
        expected = before.prediction.proportions[[1, 2]]
        np.testing.assert_allclose(after.prediction.proportions, expected / expected.sum())
        np.testing.assert_allclose(after.nnls, before.nnls[[1, 2]] / before.nnls[[1, 2]].sum())
    assert part.results[2].prediction is None
    assert part.results[2].flags(100) == ["has none of the tissues of --tissues: no estimates"]
    assert "among T, tumour alone" in part.notes[-1]
    among_tissues(whole, None)
    assert whole.tissues == ["B", "T", "tumour", "liver"]
