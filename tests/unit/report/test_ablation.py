"""The arms and their variants with several seeds."""

import numpy as np
import pytest
from experiments import random_proportions, write_evaluation

from methmix.config.experiment import Variant
from methmix.errors import InputError
from methmix.report.ablation import ablation_summary, read_ablation


def test_ablation_compares_within_a_run(tmp_path):
    variants = {"without": Variant(label="without it", arm="sparse", set={"model.dropout": 0.5})}
    differences = []
    for seed in (1, 2, 3):
        true, predicted = random_proportions(seed=seed)
        worse = 0.8 * predicted + 0.2 / predicted.shape[1]
        run = tmp_path / f"mine-seed{seed}" / "phase2"
        first = write_evaluation(run / "sparse" / "evaluation", predicted, true, seed)
        second = write_evaluation(run / "ablation" / "without" / "evaluation", worse, true, seed)
        differences.append(second["mae"] - first["mae"])
    table = read_ablation([tmp_path / f"mine-seed{seed}" / "phase2" for seed in (1, 2, 3)], ["sparse"], variants)
    assert list(table["seed"]) == [1, 1, 2, 2, 3, 3]
    summary = ablation_summary(table)
    assert list(summary.index) == ["sparse", "without it"]
    assert summary.loc["without it", "mae_minus_sparse"] == pytest.approx(np.mean(differences))
    assert summary.loc["without it", "mae_minus_sparse_low"] == pytest.approx(min(differences))
    assert summary.loc["without it", "mae_minus_sparse_high"] == pytest.approx(max(differences))
    assert summary.loc["sparse", "mae_sd"] == pytest.approx(table[table["what"] == "sparse"]["mae"].std(ddof=1))
    with pytest.raises(InputError, match="snakemake ablate_phase2"):
        read_ablation([tmp_path / "other"], ["sparse"], variants)
