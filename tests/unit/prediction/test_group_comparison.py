"""Cases against controls: sums, areas under the curve, and what may be compared."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from methmix.errors import InputError
from methmix.prediction.group_comparison import N_BOOTSTRAP, auc, check_groups, compare, holm, sensitivity
from methmix.prediction.sample_figures import group_boxes
from methmix.samples.sample_sheet import Sample

TISSUES = ["B", "T", "tumour", "liver"]


def sums(run, group, of="proportions"):
    own = [(result, found) for result, found in run.answered if result.sample.group == group]
    return np.array([(result.nnls if of == "nnls" else found.proportions)[2:].sum() for result, found in own])


@pytest.mark.parametrize(("n_cases", "n_controls"), [(1, 1), (3, 50), (40, 7)])
def test_the_area_is_that_of_sklearn_also_with_ties_and_repeats(n_cases, n_controls):
    rng = np.random.default_rng(n_cases)
    cases, controls = rng.integers(0, 6, n_cases) / 5, rng.integers(0, 5, n_controls) / 5
    times = [rng.multinomial(n, np.full(n, 1 / n), size=4) for n in (n_cases, n_controls)]
    found = auc(cases, controls, *times)
    for draw in range(4):
        drawn = np.repeat(cases, times[0][draw]), np.repeat(controls, times[1][draw])
        expected = roc_auc_score([1] * n_cases + [0] * n_controls, np.concatenate(drawn))
        assert found[draw] == pytest.approx(expected)


def test_groups_are_compared_with_the_controls(cohort):
    run = cohort({"Breast": 12, "Control": 20, "Ovary": 3, "": 2})
    found = compare(run, "Control", ["B", "T"], seed=1)
    assert found["of_interest"] == ["tumour", "liver"] and found["n_bootstrap"] == N_BOOTSTRAP
    controls, breast, ovary = found["groups"]
    assert [row["group"] for row in found["groups"]] == ["Control", "Breast", "Ovary"]
    assert (controls["n"], breast["n"], ovary["n"]) == (20, 12, 3) and "auc" not in controls
    for method, of in (("model", "proportions"), ("nnls", "nnls")):
        assert breast["sums"][method] == pytest.approx(sums(run, "Breast", of))
        assert breast["median"][method] == pytest.approx(np.median(sums(run, "Breast", of)))
        assert controls["mean"][method] == pytest.approx(sums(run, "Control", of).mean())
        values = np.concatenate([sums(run, "Breast", of), sums(run, "Control", of)])
        area = breast["auc"][method]
        assert area["estimate"] == pytest.approx(roc_auc_score([1] * 12 + [0] * 20, values))
        assert area["ci95"][0] < area["estimate"] < area["ci95"][1]
    difference = breast["model_minus_nnls"]
    assert difference["estimate"] == pytest.approx(
        breast["auc"]["model"]["estimate"] - breast["auc"]["nnls"]["estimate"]
    )
    assert compare(run, "Control", ["B", "T"], seed=1) == found != compare(run, "Control", ["B", "T"], seed=2)


def test_the_order_of_the_sheet_changes_no_interval(cohort):
    run = cohort({"Breast": 12, "Control": 20})
    found = compare(run, "Control", ["B", "T"], seed=1)["groups"][1]
    run.results.reverse()
    again = compare(run, "Control", ["B", "T"], seed=1)["groups"][1]
    for what in ("auc", "model_minus_nnls", "sensitivity"):
        assert found[what] == again[what]


def test_the_interval_is_that_of_resamples_within_the_groups(cohort):
    run = cohort({"Control": 30, "Breast": 15})
    rng = np.random.default_rng(3)
    cases, controls = sums(run, "Breast"), sums(run, "Control")
    label = [1] * 15 + [0] * 30
    drawn = [
        roc_auc_score(label, np.concatenate([rng.choice(cases, 15), rng.choice(controls, 30)])) for _ in range(800)
    ]
    found = compare(run, "Control", ["B", "T"], seed=1)["groups"][1]["auc"]["model"]["ci95"]
    assert found == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.03)


@pytest.mark.parametrize(("n_cases", "n_controls"), [(7, 20), (12, 33)])
def test_sensitivity_is_that_at_the_quantile_of_the_controls(n_cases, n_controls):
    rng = np.random.default_rng(n_cases)
    cases, controls = rng.integers(0, 30, n_cases) / 20, rng.integers(0, 20, n_controls) / 20
    times = [rng.multinomial(n, np.full(n, 1 / n), size=6) for n in (n_cases, n_controls)]
    found = sensitivity(cases, controls, *times)
    for draw in range(6):
        of_cases, of_controls = np.repeat(cases, times[0][draw]), np.repeat(controls, times[1][draw])
        threshold = np.quantile(of_controls, 0.95, method="inverted_cdf")
        assert found[draw] == pytest.approx((of_cases > threshold).mean())


def test_sensitivity_needs_twenty_controls(cohort):
    few, enough = (
        compare(cohort({"Control": n, "Breast": 9}), "Control", ["B"], seed=1)["groups"][1] for n in (19, 20)
    )
    assert few["sensitivity"] == {"model": None, "nnls": None}
    low, high = enough["sensitivity"]["model"]["ci95"]
    assert low <= enough["sensitivity"]["model"]["estimate"] <= high


def test_p_values_are_of_mann_whitney_and_adjusted_over_groups(cohort):
    run = cohort({"Control": 30, "Breast": 15, "Ovary": 8, "Colon": 5})
    rows = compare(run, "Control", ["B", "T"], seed=1)["groups"][1:]
    raw = [row["p"]["model"] for row in rows]
    for row in rows:
        cases, controls = sums(run, row["group"]), sums(run, "Control")
        assert row["p"]["model"] == pytest.approx(mannwhitneyu(cases, controls).pvalue)
    assert [row["p_holm"]["model"] for row in rows] == pytest.approx(closed_test(raw))


def closed_test(p_values):
    """The largest Bonferroni p value of all hypotheses that imply each one (Marcus, Peritz and Gabriel 1976)."""
    n = len(p_values)
    sets = [[i for i in range(n) if number >> i & 1] for number in range(1, 2**n)]
    return [max(min(1, len(s) * min(p_values[i] for i in s)) for s in sets if own in s) for own in range(n)]


@pytest.mark.parametrize("p_values", [[0.01, 0.04, 0.03, 0.005], [0.2], [], [0.5, 0.5, 0.9], [1e-9, 0.04, 0.04, 0.04]])
def test_holm_is_the_closed_test_of_bonferroni(p_values):
    assert holm(p_values) == pytest.approx(closed_test(p_values))


def test_the_difference_of_a_method_from_itself_is_none(cohort):
    run = cohort({"Control": 9, "Breast": 9})
    run.results = [replace(r, nnls=r.prediction.proportions) for r in run.results]
    assert compare(run, "Control", ["B"], seed=1)["groups"][1]["model_minus_nnls"] == {"estimate": 0, "ci95": [0, 0]}


def test_without_numbers_or_nnls_there_is_nothing_to_compare(cohort):
    run = cohort({"Control": 2, "Breast": 2, "Ovary": 1}, nnls=False)
    run.results[-1] = replace(run.results[-1], prediction=None)
    rows = compare(run, "Control", ["B"], seed=1)["groups"]
    assert rows[1]["auc"].keys() == {"model"} and rows[1]["model_minus_nnls"] is None
    assert rows[2]["p_holm"] == {"model": None} and rows[1]["p"]["model"] == rows[1]["p_holm"]["model"]
    assert rows[2]["n"] == 0 and rows[2]["auc"] == {"model": None} and rows[2]["median"] == {"model": None}
    group_boxes(compare(run, "Control", ["B"], seed=1)).draw_without_rendering()


@pytest.mark.parametrize(
    ("control", "background", "message"),
    [
        ("Control", None, "--control-group: expected --background too"),
        (None, ["Blood"], "'Blood' is no tissue of the model"),
        ("Healthy", ["B"], "found 'Healthy'\n  its column group has Breast, Control"),
        ("Control", ["B", "Blood"], "'Blood' is no tissue of the model\n  it knows B, T, liver, tumour"),
        ("Control", TISSUES, "so none is of interest"),
    ],
)
def test_what_cannot_be_compared_is_named(control, background, message):
    sheet = [Sample(name, Path("x"), group=name) for name in ("Control", "Breast", "")]
    with pytest.raises(InputError, match=re.escape(message)):
        check_groups(sheet, TISSUES, control, background)
    check_groups(sheet, TISSUES, "Control", ["B", "T"])
    check_groups(None, TISSUES, None, None)
    check_groups(None, TISSUES, None, ["B"])
    with pytest.raises(InputError, match="its column group has none"):
        check_groups(None, TISSUES, "Control", ["B"])
