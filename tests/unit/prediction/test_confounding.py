"""Depth and batch that distinguish groups are said to."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, hypergeom
from sklearn.metrics import roc_auc_score

from methmix.prediction.confounding import confounding


def confounded(run, depth=lambda group, rng: 100.0, batch=lambda group, rng: ""):
    """Give the samples of a cohort depths and batches by their groups."""
    rng = np.random.default_rng(2)
    run.results = [
        replace(
            result,
            mean_depth=depth(result.sample.group, rng),
            sample=replace(result.sample, batch=batch(result.sample.group, rng)),
        )
        for result in run.results
    ]
    return run


def test_depth_that_distinguishes_a_group_is_named(cohort):
    shallow = {"Colon": 60}
    run = confounded(
        cohort({"Control": 40, "Breast": 30, "Colon": 30, "": 4}), lambda g, rng: rng.normal(shallow.get(g, 90), 20)
    )
    found = confounding(run, "Control", seed=1)
    assert [row["group"] for row in found["groups"]] == ["Breast", "Colon"]
    depths = {g: [r.mean_depth for r in run.results if r.sample.group == g] for g in ("Control", "Colon")}
    area = found["groups"][1]["depth"]["auc"]
    label = [1] * 30 + [0] * 40
    assert area["estimate"] == pytest.approx(roc_auc_score(label, depths["Colon"] + depths["Control"]))
    assert area["ci95"][1] < 0.5 and found["groups"][1]["batch"] is None
    [warning] = found["warnings"]
    assert warning.startswith("depth alone distinguishes Colon from Control (AUC 0.") and "at one depth" in warning


def test_one_depth_distinguishes_nothing(cohort):
    assert confounding(confounded(cohort({"Control": 10, "Breast": 10})), "Control", seed=1)["warnings"] == []


def test_a_table_of_two_batches_has_the_p_value_of_fisher(cohort):
    """Summed from the hypergeometric distribution, and Cramér's V from chi squared."""
    rates = {"Control": 0.2, "Breast": 0.7, "Colon": 0.25}
    made = cohort({"Control": 30, "Breast": 20, "Colon": 20})
    run = confounded(made, batch=lambda g, rng: "new" if rng.random() < rates[g] else "old")
    found = confounding(run, "Control", seed=1)
    p_values = []
    for row in found["groups"]:
        table = [
            [sum(r.sample.group == g and r.sample.batch == b for r in run.results) for b in ("new", "old")]
            for g in (row["group"], "Control")
        ]
        total, new, cases = np.sum(table), np.sum(table, axis=0)[0], np.sum(table[0])
        of_all = hypergeom.pmf(np.arange(min(new, cases) + 1), total, new, cases)
        own = hypergeom.pmf(table[0][0], total, new, cases)
        p_values.append(of_all[of_all <= own * (1 + 1e-7)].sum())
        assert row["batch"]["p"] == pytest.approx(p_values[-1])
        chi_squared = chi2_contingency(table, correction=False).statistic
        assert row["batch"]["cramers_v"] == pytest.approx(np.sqrt(chi_squared / total))
    assert found["groups"][0]["batch"]["p_holm"] == pytest.approx(2 * p_values[0])
    assert found["groups"][1]["batch"]["p_holm"] == pytest.approx(max(p_values[1], 2 * p_values[0]))
    [warning] = found["warnings"]
    assert warning.startswith("batch distinguishes Breast from Control (Cramér's V 0.")


def test_groups_in_batches_of_their_own_cannot_be_distinguished_from_them(cohort):
    run = confounded(cohort({"Control": 3, "Breast": 3}), batch=lambda g, rng: g)
    found = confounding(run, "Control", seed=1)
    assert found["groups"][0]["batch"]["separate"] and found["groups"][0]["batch"]["cramers_v"] == pytest.approx(1)
    assert found["warnings"][0].startswith("no batch has samples of both Breast and Control")


def test_many_batches_are_tested_reproducibly(cohort):
    run = confounded(cohort({"Control": 40, "Breast": 40}), batch=lambda g, rng: f"b{rng.integers(8)}")
    found = confounding(run, "Control", seed=1)
    assert found == confounding(run, "Control", seed=1) and found["warnings"] == []
    batches = [[r.sample.batch for r in run.results if r.sample.group == g] for g in ("Breast", "Control")]
    table = [[own.count(f"b{number}") for number in range(8)] for own in batches]
    assert found["groups"][0]["batch"]["p"] == pytest.approx(chi2_contingency(table).pvalue, abs=0.1)


def test_batches_of_the_sheet_are_in_all_outputs(command, counts, sheet_of):
    batches = ["old"] * 4 + ["new"] * 4
    rows = [(f"s{n}", counts, f"S{n}", "Control" if n < 4 else "Breast", batch) for n, batch in enumerate(batches)]
    sheet = sheet_of(*rows, header=("sample", "file", "name_in_file", "group", "batch"))
    asked = ("--sheet", sheet, "--control-group", "Control", "--background", "Blood", "--no-explain")
    code, _, output = command(*asked)
    assert code == 0
    assert pd.read_csv(output).groupby("sample")["batch"].first().tolist() == batches
    record = json.loads(output.with_suffix(".json").read_text())
    assert [sample["batch"] for sample in record["samples"]] == batches
    [row] = record["groups"]["confounding"]["groups"]
    # One of the 70 ways to divide the eight, or its mirror image.
    assert row["batch"]["p"] == pytest.approx(2 / 70) and row["batch"]["separate"]
    page = output.with_suffix(".html").read_text()
    assert "No batch has samples of both Breast and Control" in page and '<td class="left">old</td>' in page


def test_without_controls_there_is_nothing_to_test(cohort):
    assert confounding(cohort({"Breast": 3}), "Control", seed=1) == {"groups": [], "warnings": []}
