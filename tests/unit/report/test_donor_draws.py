"""The page over donors, of draws and of real donors."""

import json

import pandas as pd
import pytest
import yaml
from experiments import ROOT, random_proportions, write_evaluation

from methmix.config.load import load_experiment
from methmix.errors import InputError
from methmix.evaluation.donor_intervals import with_donor_intervals
from methmix.report.arm_results import read_arm
from methmix.report.donor_draws import collect_draws, donors_figure, write_donors
from methmix.scores import Scores

ARMS = ["original", "sparse", "uniform"]


def run_of(folder, seed):
    true, predicted = random_proportions(seed=seed)
    constant = 0 * predicted + 1 / predicted.shape[1]
    for arm, values in zip(ARMS, ((predicted + constant) / 2, predicted, constant), strict=True):
        write_evaluation(folder / "phase2" / arm / "evaluation", values, true, seed)
    return folder / "phase2"


def test_page_of_draws(tmp_path):
    runs = [run_of(tmp_path / name, seed) for seed, name in ((1, "tiny"), (2, "tiny-seed2"), (3, "tiny-seed3"))]
    write_donors(ROOT / "config/tiny.yaml", runs, ARMS, tmp_path)
    content = json.loads((tmp_path / "donors.json").read_text())
    assert content["draws"] == collect_draws(runs, ARMS)
    assert content["sparse_minus"].keys() == {"original", "uniform"}
    low, high = content["sparse_minus"]["original"]["mae"]["donors_ci95"]
    assert low < content["sparse_minus"]["original"]["mae"]["donors_mean"] < high
    table = pd.read_csv(tmp_path / "donors.csv")
    assert list(table["seed"]) == [1] * 3 + [2] * 3 + [3] * 3
    page = (tmp_path / "report.html").read_text()
    assert "tiny, phase2: intervals over donors" in page and "3 draws of donors" in page
    axes = donors_figure(content).axes[0]
    # Without the trivial arm.
    assert [bar.get_width() for bar in axes.patches] == [content["arms"][arm]["mae_donors_mean"] for arm in ARMS[:2]]
    assert len(axes.lines[0].get_xdata()) == 6 and len(axes.collections) == 2


def test_page_of_real_donors(tmp_path):
    run = run_of(tmp_path / "metdecode", 1)
    for arm in ARMS:
        result, path = read_arm(run, arm), run / arm / "evaluation" / "metrics.json"
        found = with_donor_intervals(Scores(result.true, result.predicted, result.probability), result.donors)
        path.write_text(json.dumps({**result.metrics, **found}))
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(load_experiment(ROOT / "config/metdecode.yaml").model_dump(mode="json")))
    write_donors(config, [run], ARMS, tmp_path)
    content = json.loads((tmp_path / "donors.json").read_text())
    assert len(content["draws"]) == 1 and content["arms"]["sparse"]["donor_draws"] == 7
    page = (tmp_path / "report.html").read_text()
    assert "each of the 7 donors of the test mixtures is left out" in page and "jackknife" in page


def test_a_draw_that_was_not_evaluated(tmp_path):
    with pytest.raises(InputError, match="run: snakemake donors_phase2"):
        collect_draws([tmp_path / "phase2"], ARMS)
