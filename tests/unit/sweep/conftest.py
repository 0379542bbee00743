"""Sweeps of the default experiment's sparse arm, and trainings of their points in the barest form."""

import json

import pandas as pd
import pytest
import yaml

from methmix.config.load import load_experiment
from methmix.sweep.points import SweptArm


@pytest.fixture
def swept_by(repository, monkeypatch, tmp_path):
    """Make the swept arm of a sweep's content."""

    def make(content, experiment="default"):
        monkeypatch.chdir(repository)
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(content))
        settings = load_experiment(repository / f"config/{experiment}.yaml")
        return SweptArm(settings.model_copy(update={"sweep": str(path)}), "phase2")

    return make


@pytest.fixture
def grid(swept_by):
    """A grid of two weights, of which one combination is as shipped."""
    values = {"loss.presence_weight": [1, 2.0], "loss.sparsity_weight": [0.01, 0.05]}
    return swept_by({"search": {"kind": "grid", "values": values}})


@pytest.fixture
def write_training():
    """Write the log and the record of a training: MAE, false positives and missed tissues at its second epoch."""

    def write(folder, mae, false_positives, missed, seed=1):
        logs = folder / "logs"
        logs.mkdir(parents=True)
        columns = {"val/mae": mae, "val/spurious_per_mixture": false_positives, "val/missed_per_mixture": missed}
        best = {"epoch": 2, "seconds": 3.0, **columns, "val/predicted_tissues": 4.0, "val/presence_accuracy": 0.99}
        worse = {**best, "epoch": 1, "val/mae": 2 * mae, "val/spurious_per_mixture": 9.0}
        pd.DataFrame([worse, best, {**worse, "epoch": 3}]).to_csv(logs / "training_log.csv", index=False)
        (logs / "training_record.json").write_text(json.dumps({"seed": seed}))

    return write
