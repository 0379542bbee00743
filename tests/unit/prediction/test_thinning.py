"""Samples at one depth."""

import json

import numpy as np
import pytest
from scipy.stats import kstest

from methmix.prediction.thinning import depth_of_most, thin


def test_reads_are_kept_or_not_as_drawn_without_replacement():
    """Given the depth that is left, methylated reads are hypergeometric; the depth is binomial."""
    depth = np.full(20_000, 30.0)
    methylation = np.full(20_000, 12 / 30)
    found, left = thin(methylation, depth, 0.4, np.random.default_rng(1))
    assert left.mean() == pytest.approx(12, abs=0.1) and left.var() == pytest.approx(30 * 0.4 * 0.6, rel=0.05)
    methylated = found * left
    at_12 = methylated[left == 12]
    # Mean and variance of 12 draws out of 30, of which 12 are methylated.
    assert at_12.mean() == pytest.approx(12 * 0.4, abs=0.1)
    assert at_12.var() == pytest.approx(12 * 0.4 * 0.6 * (30 - 12) / 29, rel=0.1)
    rng = np.random.default_rng(2)
    drawn = rng.hypergeometric(12, 18, 12, len(at_12)) + rng.uniform(-0.5, 0.5, len(at_12))
    assert kstest(at_12 + rng.uniform(-0.5, 0.5, len(at_12)), drawn).pvalue > 0.001


def test_what_has_no_reads_stays_without():
    found, left = thin(np.array([np.nan, 1, 0.5]), np.array([0, 1, 40]), 0.5, np.random.default_rng(0))
    assert np.isnan(found[0]) and left[0] == 0 and np.isnan(found[left == 0]).all()
    assert found.dtype == left.dtype == np.float32 and 0 <= found[2] <= 1


def test_nine_tenths_of_the_samples_reach_the_depth():
    depths = np.random.default_rng(0).uniform(20, 300, 50).tolist()
    chosen = depth_of_most(depths)
    assert np.mean(np.array(depths) >= chosen) >= 0.9 and chosen == int(chosen) and chosen > 20
    assert depth_of_most([1.2, 1.4]) == 1


def rows_of(counts, sheet_of):
    rows = [(f"s{row}", counts, f"S{row}", "Control" if row < 5 else "Breast") for row in range(8)]
    return sheet_of(*rows, ("other", counts, "S9", ""), header=("sample", "file", "name_in_file", "group"))


def test_groups_are_compared_at_one_depth_too(command, counts, sheet_of, tmp_path):
    sheet = rows_of(counts, sheet_of)
    asked = ("--sheet", sheet, "--control-group", "Control", "--background", "Blood", "--no-explain", "--one-depth")
    records = []
    for depth in ("20", "20", "1e6"):
        code, _, output = command(*asked, depth)
        assert code == 0
        records.append(json.loads(output.with_suffix(".json").read_text())["groups"])
    assert records[0] == records[1]
    assert records[0]["one_depth"] == {"depth": 20, "n_below": 0}
    as_they_are, thinned = records[0]["groups"], records[0]["groups_at_one_depth"]
    assert [row["samples"] for row in thinned] == [row["samples"] for row in as_they_are]
    assert thinned[1]["sums"] != as_they_are[1]["sums"] and thinned[1]["auc"]["model"]["ci95"][0] is not None
    # None is that deep: all are used as they are, and the results are the same.
    assert records[2]["one_depth"] == {"depth": 1e6, "n_below": 8}
    assert records[2]["groups_at_one_depth"] == records[2]["groups"]
    page = output.with_suffix(".html").read_text()
    assert "8 samples of less depth are used as they are" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--one-depth", "50"), "--one-depth: there are no groups to compare at one depth"),
        (("--one-depth", "0.5", "--control-group", "Control", "--background", "Blood"), "expected a mean depth of at"),
    ],
)
def test_what_is_no_depth_is_refused(command, counts, sheet_of, arguments, message):
    code, said, output = command("--sheet", rows_of(counts, sheet_of), *arguments)
    assert code == 2 and message in said and not list(output.parent.glob("*"))
