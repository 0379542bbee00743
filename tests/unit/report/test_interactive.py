"""What the interactive figures are made of: the numbers that are embedded, and specifications that compile."""

import json
from dataclasses import replace

import numpy as np
import pytest
import vl_convert

from methmix import metrics
from methmix.report import interactive
from methmix.report.interactive import UNITS, embedded, library, page_data, specifications


def table(values, result):
    return np.array(values).reshape(len(result.mixtures), -1) / UNITS


def test_embedded_proportions_are_those_of_the_arms_and_keep_every_call(results):
    # Just below and exactly at the threshold, and of next to nothing.
    results = [replace(result, predicted=result.predicted.copy()) for result in results]
    results[1].predicted[0, :3] = [metrics.PRESENT - 1e-9, metrics.PRESENT, 1e-9]
    data = page_data(results, ["sparse"])
    true = table(data["true"], results[0])
    assert np.array_equal(true == 0, results[0].true == 0)
    for result in results:
        predicted = table(data["arms"][result.arm]["predicted"], result)
        assert np.abs(predicted - result.predicted).max() <= 1 / UNITS
        for kind in (metrics.spurious, metrics.missed):
            assert np.array_equal(kind(true, predicted), kind(result.true, result.predicted))
    assert [arm for arm, of_arm in data["arms"].items() if of_arm["shown"]] == ["sparse"]
    assert [arm for arm, of_arm in data["arms"].items() if "low" in of_arm] == ["sparse"]
    names, entries = data["donors"]["names"], data["donors"]["entries"]
    assert [names[entry] for entry in entries] == results[0].donors.ravel().tolist()


def test_many_mixtures_are_not_all_embedded(results, monkeypatch):
    monkeypatch.setattr(interactive, "_MOST_ENTRIES", 10 * len(results[0].tissues) + 1)
    data = page_data(results, [])
    assert len(data["mixtures"]) == len(data["depth"]) == len(data["number"]) == 10
    assert len(data["true"]) == len(data["arms"]["sparse"]["high"]) == 10 * len(results[0].tissues)


def test_specifications_compile(results, comparison):
    written = specifications(results, comparison["arms"])
    assert {"miami", "scatter", "worked", "first_mae", "tissue_error", "depth_false"} < set(written)
    for specification in written.values():
        vega = vl_convert.vegalite_to_vega(specification)
        assert vega["marks"] and all("url" not in data for data in vega["data"])


def test_the_first_figure_prefers_intervals_over_donors(results, comparison):
    arms = {arm: dict(values) for arm, values in comparison["arms"].items()}
    arms["sparse"]["mae_donors_ci95"], arms["original"]["mae_donors_ci95"] = [0.001, 0.002], [None, None]
    (values,) = specifications(results, arms)["first_mae"]["datasets"].values()
    rows = {row["arm"]: row for row in values}
    assert (rows["sparse"]["low"], rows["sparse"]["high"]) == (0.001, 0.002)
    assert rows["sparse"]["interval"] == "0.10 % to 0.20 %, over donors"
    assert rows["original"]["low"] == arms["original"]["mae_ci95"][0]
    assert rows["original"]["interval"].endswith("over mixtures of the same donors")


def test_nothing_embedded_ends_a_script_element():
    value = {"a": ["</script>", 1]}
    assert "<" not in embedded(value) and json.loads(embedded(value)) == value
    assert len(embedded([1, 2])) == len("[1,2]")
    assert "</script" not in library()
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded(float("nan"))
