"""Thresholds, sensitivities and limits against independent ones."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_curve

from methmix.detection.dilution import DilutionScores
from methmix.detection.sensitivity import (
    EQUAL,
    SHIPPED,
    THRESHOLDS,
    Threshold,
    blank_threshold,
    calls,
    detection_table,
    donor_rates,
    limits_table,
    shown_limit,
    thresholds_of,
    wilson,
)

SPIKES = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05])
RATES = (0.05, 0.01)


def scores_of(spiked, blanks, others=None, spikes=SPIKES, called=0.0) -> DilutionScores:
    """Make the scores of one arm and one tissue at one depth; blanks are [n_backgrounds, n_replicates]."""
    expand = lambda values: np.asarray(values)[None, None, None]  # noqa: E731
    both = {"background": expand(blanks), "other background": expand(blanks if others is None else others)}
    shipped = {name: np.where(np.isnan(values), np.nan, values > called) for name, values in both.items()}
    spiked = expand(spiked)
    of_spiked = np.where(np.isnan(spiked), np.nan, spiked > called)
    return DilutionScores(["sparse"], ["Liver"], np.array([10.0]), spikes, spiked, of_spiked, both, shipped)


def other_donors(table, rate):
    return table[(table["threshold"] == "other donors") & (table["fpr"] == rate)]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("rounded", [None, 1], ids=["continuous", "with ties"])
def test_sensitivity_is_that_of_the_roc_curve(rng, rate, rounded):
    blanks, spiked = rng.normal(size=300), rng.normal(1.5, 1, size=200)
    if rounded is not None:
        blanks, spiked = blanks.round(rounded), spiked.round(rounded)
    false, true, _ = roc_curve(np.repeat([0, 1], [300, 200]), np.concatenate([blanks, spiked]), drop_intermediate=False)
    table = detection_table(scores_of(spiked[None], blanks.reshape(20, 15), spikes=np.array([0.01])))
    chosen = other_donors(table, rate)
    allowed = (int(rate * 301) - 1) / 300
    found = chosen.loc[chosen["spike"] == 0.01, "sensitivity"].item()
    assert found == pytest.approx(true[false <= allowed + 1e-9].max())


@pytest.mark.parametrize(("rate", "n"), [(0.05, 19), (0.05, 20), (0.05, 250), (0.01, 250), (0.01, 99)])
def test_a_further_blank_is_called_no_more_often_than_the_rate(rng, rate, n):
    blanks = rng.normal(size=(40_000, n + 1))
    called = blanks[:, -1] > blank_threshold(blanks[:, :-1], rate)
    assert called.mean() <= rate + 3 * np.sqrt(rate / len(blanks))
    assert called.mean() > rate / 2


def test_too_few_blanks_ties_and_entries_that_are_no_blanks():
    assert blank_threshold(np.arange(5.0), 0.05) == 4
    assert blank_threshold(np.zeros(250), 0.05) == 0
    with_gaps = np.concatenate([np.arange(100.0), np.full(50, np.nan)])
    assert blank_threshold(with_gaps, 0.05) == blank_threshold(np.arange(100.0), 0.05) == 95
    assert np.isnan(blank_threshold(np.full(7, np.nan), 0.05))


@pytest.mark.parametrize("rate", RATES)
def test_a_blind_score_finds_as_many_as_it_calls_falsely(rng, rate):
    scores = scores_of(rng.normal(size=(len(SPIKES), 20_000)), rng.normal(size=(20, 10_000)))
    np.testing.assert_allclose(other_donors(detection_table(scores), rate)["sensitivity"], rate, rtol=0.25)
    assert np.isinf(other_donors(limits_table(scores), rate)["limit"]).all()


def test_thresholds_are_of_other_donors_of_the_same_or_shipped(rng):
    """Donors are 10 apart: their own threshold finds a spike of 3, others' do not control false positives."""
    shift = 10.0 * np.arange(20)[:, None]
    blanks = rng.normal(size=(20, 400)) + shift
    spiked = rng.normal(4, 1, size=(1, 2000)) + np.tile(shift[:, 0], 100)
    scores = scores_of(spiked, blanks, rng.normal(size=(20, 400)), np.array([0.01]), called=100.0)
    same = calls(scores, Threshold("same donor", 0.05))
    assert same.spiked.mean() == pytest.approx(stats.norm.sf(stats.norm.isf(0.05) - 4), abs=0.02)
    # The blanks that set the threshold say nothing of it.
    assert np.isnan(same.blanks).all()
    assert calls(scores, Threshold("other donors", 0.05)).blanks.mean() > 0.9
    shipped = calls(scores, SHIPPED)
    np.testing.assert_array_equal(shipped.spiked, scores.spiked > 100)
    rates = donor_rates(scores, SHIPPED)[0, 0]
    assert rates[:9].max() == 0 and rates[12:].min() == 1


def test_equal_thresholds_have_the_false_positives_of_the_main_arm(rng):
    shape = (2, 3, 2, 20, 500)
    blanks = {name: rng.normal(size=shape) for name in ("background", "other background")}
    called = {name: (values > 1.5).astype(float) for name, values in blanks.items()}
    spiked = rng.normal(size=(2, 3, 2, 6, 20))
    arms, depths = ["nnls", "sparse"], np.array([10.0, 30.0])
    scores = DilutionScores(arms, ["A", "B", "C"], depths, SPIKES, spiked, spiked > 1.5, blanks, called)
    found = calls(scores, EQUAL).blanks.mean(axis=(1, 3, 4))
    np.testing.assert_allclose(found, stats.norm.sf(1.5), rtol=0.15)
    assert thresholds_of(scores) == THRESHOLDS
    without = DilutionScores(["nnls"], ["A"], depths, SPIKES, *2 * (spiked[:1, :1],), blanks, called)
    assert EQUAL not in thresholds_of(without)


def test_what_has_another_truth_is_not_counted(rng):
    spiked, blanks = rng.normal(5, 1, size=(6, 20)), rng.normal(size=(20, 20))
    spiked[:, 3], blanks[3] = np.nan, np.nan
    spiked[0] = np.nan
    table = detection_table(scores_of(spiked, blanks))
    for _, of_threshold in table.groupby(["threshold", "fpr"], dropna=False):
        # None of the blanks is counted where they set the threshold themselves.
        assert of_threshold["n"].tolist()[1:] == [0, 19, 19, 19, 19, 19]
        assert np.isnan(of_threshold["sensitivity"].iloc[1])
    assert np.isfinite(limits_table(scores_of(spiked, blanks))["limit"]).all()


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
    table = limits_table(scores_of(spiked, rng.normal(size=(20, 1000)), spikes=spikes))
    for rate in RATES:
        found = other_donors(table, rate)["limit"].item()
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
    blanks = {name: rng.normal(size=(*shape, 20, 20)) for name in ("background", "other background")}
    called = {name: np.zeros(values.shape) for name, values in blanks.items()}
    spiked = rng.normal(size=(*shape, 6, 20))
    # One entry is set apart, to see that nothing is mixed up.
    spiked[1, 2, 0, 4] = 99
    arms, depths = ["nnls", "sparse"], np.array([10.0, 30.0])
    scores = DilutionScores(arms, ["A", "B", "C"], depths, SPIKES, spiked, spiked > 50, blanks, called)
    table = detection_table(scores)
    index = ["arm", "tissue", "depth", "spike", "threshold", "fpr"]
    assert list(table) == [*index, "sensitivity", "low", "high", "n"]
    assert len(table) == 2 * 3 * 2 * 7 * len(THRESHOLDS)
    sure = table[table["sensitivity"] == 1]
    assert sure[["arm", "tissue", "depth", "spike"]].drop_duplicates().to_numpy().tolist() == [
        ["sparse", "C", 10.0, 0.02]
    ]
    assert len(sure) == len(THRESHOLDS)
    limits = limits_table(scores)
    assert len(limits) == 2 * 3 * 2 * len(THRESHOLDS)
    assert (limits["fpr_highest_donor"].dropna() >= limits["fpr_attained"].dropna()).all()
