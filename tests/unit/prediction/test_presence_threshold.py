"""Predictions at another presence threshold than the model's own."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from experiments import tiny_arm, tiny_experiment, tiny_mixtures

from methmix.training.loop import Trainer

pytestmark = pytest.mark.slow


def test_more_tissues_are_called_at_a_lower_threshold(command, counts, tmp_path):
    _, _, output = command("--samples", counts)
    own = pd.read_csv(output)
    called = {0.7: (own["proportion"] > 0).sum()}
    for threshold in (0.0, 0.3, 0.9):
        code, _, output = command("--samples", counts, "--presence-threshold", threshold)
        assert code == 0
        table, record = pd.read_csv(output), json.loads(output.with_suffix(".json").read_text())
        called[threshold] = (table["proportion"] > 0).sum()
        assert table.groupby("sample")["proportion"].sum().to_numpy() == pytest.approx(1, abs=1e-6)
        assert (table["interval_low"] <= table["proportion"]).all()
        assert (table["proportion"] <= table["interval_high"]).all()
        # What is said of presence is the same; limits of detection are of the model's own threshold.
        assert table["presence_probability"].to_numpy() == pytest.approx(own["presence_probability"].to_numpy())
        assert table["limit_of_detection"].isna().all() and record["presence_threshold"] == threshold
        assert any("limits of detection are not known at any other" in note for note in record["notes"])
        above = table["presence_probability"] >= threshold
        most = table["presence_probability"] == table.groupby("sample")["presence_probability"].transform("max")
        assert ((table["proportion"] > 0) == above | (most & ~above.groupby(table["sample"]).transform("any"))).all()
    assert called[0.0] == len(own) and called[0.0] > called[0.3] > called[0.7] > called[0.9]


def test_the_own_threshold_changes_nothing(command, counts, tmp_path):
    _, _, output = command("--samples", counts)
    _, _, again = command("--samples", counts, "--presence-threshold", "0.7", output=tmp_path / "again.csv")
    assert np.array_equal(pd.read_csv(output), pd.read_csv(again)) or output.read_text() == again.read_text()
    assert json.loads(again.with_suffix(".json").read_text())["notes"] == []


@pytest.mark.parametrize("value", ["-0.1", "1.5", "nan"])
def test_a_threshold_is_a_probability(command, counts, value):
    code, said, output = command("--samples", counts, f"--presence-threshold={value}")
    assert code == 2 and "--presence-threshold: expected a probability, 0 to 1" in said
    assert not list(output.parent.glob("*"))


def test_a_model_without_a_gate_has_no_threshold(command, counts, reference, tmp_path):
    mixtures = tiny_mixtures(reference, "validation", tmp_path)
    trainer = Trainer(tiny_arm("original"), tiny_experiment(), reference, mixtures, tmp_path / "o", torch.device("cpu"))
    trainer.run()
    code, said, _ = command("--samples", counts, "--presence-threshold", "0.3", model=trainer.best_checkpoint)
    assert code == 2 and "--presence-threshold: this model has no gate" in said
    code, _, output = command("--samples", counts, model=trainer.best_checkpoint)
    assert code == 0 and json.loads(output.with_suffix(".json").read_text())["presence_threshold"] is None
