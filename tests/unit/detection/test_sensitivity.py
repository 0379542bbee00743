"""Thresholds, sensitivities and limits against independent ones."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_curve

from methmix.detection.dilution import DilutionScores
from methmix.detection.sensitivity import (
    FALSE_POSITIVE_RATES,
    detection_table,
    limits_table,
    shown_limit,
    threshold,
    wilson,
)

SPIKES = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05])


def scores_of(spiked, blanks, validation=None, spikes=SPIKES) -> DilutionScores:
    """Make the scores of one arm and one tissue at one depth."""
    expand = lambda values: np.asarray(values)[None, None, None]  # noqa: E731
    both = {"test": expand(blanks), "validation": expand(blanks if validation is None else validation)}
    return DilutionScores(["sparse"], ["Liver"], np.array([10.0]), spikes, expand(spiked), both)


@pytest.mark.parametrize("rate", FALSE_POSITIVE_RATES)
@pytest.mark.parametrize("rounded", [None, 1], ids=["continuous", "with ties"])
def test_sensitivity_is_that_of_the_roc_curve(rng, rate, rounded):
    blanks, spiked = rng.normal(size=300), rng.normal(1.5, 1, size=200)
    if rounded is not None:
        blanks, spiked = blanks.round(rounded), spiked.round(rounded)
    false, true, _ = roc_curve(np.repeat([0, 1], [300, 200]), np.concatenate([blanks, spiked]), drop_intermediate=False)
    table = detection_table(scores_of(spiked[None], blanks, spikes=np.array([0.01])))
    chosen = table[(table["fpr"] == rate) & (table["spike"] == 0.01)]
    assert chosen["sensitivity"].item() == pytest.approx(true[false <= rate].max())


@pytest.mark.parametrize("rate", FALSE_POSITIVE_RATES)
def test_no_more_blanks_than_the_rate_are_called(rng, rate):
    for blanks in (rng.normal(size=(4, 250)), rng.integers(3, size=(4, 250)).astype(float), np.zeros((4, 250))):
        called = (blanks > threshold(blanks, rate)[:, None]).mean(axis=1)
        assert (called <= rate).all()
    distinct = np.arange(500.0)
    assert (distinct > threshold(distinct, rate)).mean() == rate


@pytest.mark.parametrize("rate", FALSE_POSITIVE_RATES)
def test_a_blind_score_finds_as_many_as_it_calls_falsely(rng, rate):
    scores = scores_of(rng.normal(size=(len(SPIKES), 20_000)), rng.normal(size=200_000))
    table = detection_table(scores)
    np.testing.assert_allclose(table.loc[table["fpr"] == rate, "sensitivity"], rate, rtol=0.25)
    assert np.isinf(limits_table(scores)["limit"]).all()


def test_blanks_of_other_donors_set_another_threshold(rng):
    blanks = rng.normal(size=5000)
    table = limits_table(scores_of(rng.normal(size=(6, 10)), blanks, blanks - 1))
    np.testing.assert_allclose(table["fpr_attained"], FALSE_POSITIVE_RATES)
    shifted = [stats.norm.sf(stats.norm.isf(rate) - 1) for rate in FALSE_POSITIVE_RATES]
    np.testing.assert_allclose(table["fpr_validation_threshold"], shifted, rtol=0.1)


@pytest.mark.parametrize("n", [1, 20, 500])
def test_interval_is_that_of_scipy(n):
    counts = np.array([0, 1, n // 2, n])
    low, high = wilson(counts / n, n)
    for row, count in enumerate(counts):
        expected = stats.binomtest(int(count), n).proportion_ci(method="wilson")
        assert (low[row], high[row]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_limit_of_a_score_whose_limit_is_known(rng):
    """The score is normal around 200 times the spike: 95 % exceed z(0.95) from a spike of 2 z(0.95) / 200 on."""
    spikes = np.geomspace(0.001, 0.05, 30)
    spiked = rng.normal(200 * spikes[:, None], 1, size=(30, 4000))
    table = limits_table(scores_of(spiked, rng.normal(size=20_000), spikes=spikes))
    for rate, found in zip(table["fpr"], table["limit"], strict=True):
        assert found == pytest.approx((stats.norm.isf(rate) + stats.norm.isf(0.05)) / 200, rel=0.04)


def test_limit_in_words():
    assert [shown_limit(value, SPIKES) for value in (np.inf, 0.001, 0.0123, 0.05)] == [
        "> 5 %",
        "<= 0.1 %",
        "1.2 %",
        "5 %",
    ]


def test_tables_have_a_row_for_everything(rng):
    shape = (2, 3, 2)
    blanks = {split: rng.normal(size=(*shape, 100)) for split in ("test", "validation")}
    spiked = rng.normal(size=(*shape, 6, 10))
    # One entry is set apart, to see that nothing is mixed up.
    spiked[1, 2, 0, 4] = 99
    scores = DilutionScores(["nnls", "sparse"], ["A", "B", "C"], np.array([10.0, 30.0]), SPIKES, spiked, blanks)
    table = detection_table(scores)
    assert list(table) == ["arm", "tissue", "depth", "spike", "fpr", "sensitivity", "low", "high"]
    assert len(table) == 2 * 3 * 2 * 7 * 2
    sure = table[table["sensitivity"] == 1]
    assert sure[["arm", "tissue", "depth", "spike"]].drop_duplicates().to_numpy().tolist() == [
        ["sparse", "C", 10.0, 0.02]
    ]
    assert (table.loc[table["spike"] == 0, "sensitivity"] <= table.loc[table["spike"] == 0, "fpr"]).all()
    assert len(limits_table(scores)) == 2 * 3 * 2 * 2
