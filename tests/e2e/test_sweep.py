"""A sweep from the command line to the recommended configuration, which trains as it is."""

import json
import os
import subprocess
import sys

import pandas as pd
import pytest
import yaml

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SWEEP = {
    "seeds": 1,
    "search": {
        "kind": "bayesian",
        "ranges": {
            "loss.presence_weight": {"low": 0.25, "high": 8.0, "log": True},
            "training.learning_rate": {"low": 0.001, "high": 0.01, "log": True},
        },
        "generations": 2,
        "points_per_generation": 1,
    },
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, checkout_in):
    folder = checkout_in(tmp_path_factory.mktemp("sweep"))
    short = {"training.epochs": 1, "training.mixtures_per_epoch": 500}
    (folder / "config/quick.yaml").write_text(yaml.safe_dump({"base": "tiny.yaml", "overrides": short}))
    (folder / "config/sweeps/mine.yaml").write_text(yaml.safe_dump(SWEEP))
    return folder


def test_sweep(checkout, snakemake):
    options = ("--configfile", "config/quick.yaml", "--config", "sweep=config/sweeps/mine.yaml")
    done = snakemake(checkout, "sweep_phase2", *options)
    assert done.returncode == 0, done.stderr
    folder = checkout / "results/tiny/phase2/sweep/mine"
    assert "<html" in (folder / "sweep.html").read_text()
    points, runs = pd.read_csv(folder / "points.csv"), pd.read_csv(folder / "runs.csv")
    # The shipped one, and one in each generation.
    assert (len(points), len(runs)) == (3, 3)
    assert points["shipped"].sum() == points["recommended"].sum() == 1
    generations = [json.loads((folder / f"generation_{n}.json").read_text())["points"] for n in (1, 2)]
    assert {name for points in generations for name in points} == set(points["point"]) - {"sparse"}
    again = snakemake(checkout, "-n", "sweep_phase2", *options)
    assert "Nothing to be done" in again.stdout + again.stderr
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    recommended = "results/tiny/phase2/sweep/mine/recommended.yaml"
    command = [sys.executable, "-m", "methmix.training", "--config", recommended]
    trained = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    assert trained.returncode == 0, trained.stderr
    # As it was trained in the sweep, in a folder of its own.
    chosen = (
        checkout / "results/tiny/phase2" / json.loads((folder / "choice.json").read_text())["recommended"]["folder"]
    )
    logs = [pd.read_csv(run / "logs/training_log.csv")["val/mae"] for run in (folder / "recommended", chosen)]
    assert logs[0].equals(logs[1])
