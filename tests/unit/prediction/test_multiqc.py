"""What MultiQC reads of a prediction; tests/package runs MultiQC on it."""

import json

import pytest

from methmix.prediction.multiqc import GENERAL, PROPORTIONS, multiqc_files

FIT = {"misfit": 1.0, "misfit_limit": 2.0, "effect": 1.1, "verdict": "fits"}


def sample(name, proportions, **other):
    return {
        "sample": name,
        "answered": bool(proportions),
        "proportions": {tissue: {"proportion": value} for tissue, value in proportions.items()},
        "regions": {"model": 200, "found": 200, "observed": 150},
        "mean_depth": 30.5,
        "fit": FIT,
        **other,
    }


def test_proportions_are_bars_in_percent_and_the_rest_are_columns():
    nothing = dict.fromkeys(FIT)
    record = {"samples": [sample("a", {"Blood": 0.75, "Liver": 0.25, "Lung": 0.0}), sample("b", {}, fit=nothing)]}
    made = multiqc_files(record)
    bars, general = made[PROPORTIONS], made[GENERAL]
    assert (bars["plot_type"], general["plot_type"]) == ("bargraph", "generalstats")
    # A sample without estimates has no bar, which would read as zeros.
    assert bars["data"] == {"a": {"Blood": 75.0, "Liver": 25.0, "Lung": 0.0}}
    assert general["data"]["a"] == {
        "largest": "Blood", "called": 2, "observed": 75.0, "depth": 30.5, "effect": 1.1, "verdict": "fits",
    }  # fmt: skip
    assert general["data"]["b"] == {"observed": 75.0, "depth": 30.5}
    assert set(general["data"]["a"]) == set(general["headers"])
    assert "For research use only" in bars["description"]
    json.dumps(made, allow_nan=False)


def test_the_command_writes_both_files_beside_the_table(command, counts):
    code, _, output = command("--samples", counts)
    assert code == 0
    table = json.loads(output.with_suffix(".json").read_text())
    bars = json.loads(output.with_name("predictions_mqc.json").read_text())
    general = json.loads(output.with_name("predictions_general_stats_mqc.json").read_text())
    assert list(general["data"]) == [one["sample"] for one in table["samples"]]
    assert all(sum(one.values()) == pytest.approx(100, abs=1e-3) for one in bars["data"].values())
