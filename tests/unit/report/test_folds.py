"""The experiment with other donors in the test: which ones, and what is made of the results."""

import json

import numpy as np
import pytest
from experiments import random_proportions, tiny_experiment, write_evaluation

from methmix import seeds
from methmix.errors import InputError
from methmix.evaluation.look_alikes import grouped
from methmix.reference.split import split_donors
from methmix.report.folds import folds_figure, folds_table, pool_folds
from methmix.scores import Scores


def test_each_fold_tests_other_donors_until_all_have_been():
    donors = [f"{tissue}-{number}" for tissue, n in (("a", 4), ("b", 2), ("c", 3)) for number in range(n)]
    tissues = [name.split("-")[0] for name in donors]
    settings = tiny_experiment().reference.split
    tested = []
    for fold in range(4):
        of_fold = settings.model_copy(update={"fold": fold})
        split = split_donors(donors, tissues, of_fold, seeds.generator(1, "split"))
        assert {t for t, s in zip(tissues, split, strict=True) if s == "train"} == {"a", "b", "c"}
        tested.append({d for d, s in zip(donors, split, strict=True) if s == "test"})
    assert all(len(of_fold) == 3 for of_fold in tested)
    assert set.union(*tested) == set(donors)
    assert not tested[0] & tested[1]


def test_groups_join_proportions():
    true, predicted = random_proportions(n_tissues=4)
    probability = np.tile([0.1, 0.9, 0.4, 0.2], (len(true), 1))
    joined = grouped(["a", "b", "c", "d"], {"bd": ["b", "d"]}, true, predicted, probability)
    assert joined[0] == pytest.approx(np.stack([true[:, 1] + true[:, 3], true[:, 0], true[:, 2]], axis=1))
    assert joined[1].sum(axis=1) == pytest.approx(1)
    assert joined[2][0].tolist() == [0.9, 0.1, 0.4]
    with pytest.raises(InputError, match="look_alikes: z: no such tissue"):
        grouped(["a", "b", "c", "d"], {"az": ["a", "z"]}, true, predicted, probability)


def test_calibration_error_agrees_with_torchmetrics():
    torch = pytest.importorskip("torch")
    from torchmetrics.classification import BinaryCalibrationError

    true, _ = random_proportions()
    probability = np.random.default_rng(0).random(true.shape)
    labelled = (true == 0) | (true >= 0.01)
    other = BinaryCalibrationError(n_bins=15, norm="l1")(
        torch.from_numpy(probability[labelled]), torch.from_numpy((true >= 0.01)[labelled].astype(int))
    )
    assert Scores(true, true, probability).value("presence_ece") == pytest.approx(other.item(), abs=1e-6)


def test_pooled_folds_score_all_mixtures_together(tmp_path):
    """The folds have the same truth; a resample takes a mixture with all its folds."""
    true = random_proportions()[0]
    predictions, estimates = [], []
    for fold in range(3):
        noisy = (true + (0.01 + 0.01 * fold) * np.random.default_rng(fold).standard_normal(true.shape)).clip(0)
        predictions.append(noisy / noisy.sum(axis=1, keepdims=True))
        estimates.append(
            write_evaluation(tmp_path / f"fold{fold}" / "phase2" / "sparse" / "evaluation", predictions[-1], true)
        )
    runs = [tmp_path / f"fold{f}" / "phase2" for f in range(3)]
    content = pool_folds(runs, ["sparse"], {"both": ["t0", "t1"]}, 100, 1)
    entry = content["arms"]["sparse"]
    alone = Scores(
        np.tile(true, (3, 1)), np.concatenate(predictions), np.concatenate(predictions).clip(0, 1)
    ).estimate()
    for name, value in alone.items():
        assert entry[name] == pytest.approx(value), name
        assert entry["folds"][name] == [estimate[name] for estimate in estimates]
    assert entry["spread"]["mae"] == pytest.approx(np.std([e["mae"] for e in estimates], ddof=1))
    assert entry["spurious_per_mixture_ci95"][0] < entry["spurious_per_mixture"] < entry["spurious_per_mixture_ci95"][1]
    joined = sum(np.abs((true - predicted)[:, :2].sum(axis=1)).sum() for predicted in predictions)
    others = sum(np.abs((true - predicted)[:, 2:]).sum() for predicted in predictions)
    assert entry["grouped"]["mae"] == pytest.approx((joined + others) / (3 * len(true) * 6))
    assert list(folds_table(content)["mixtures"]) == ["fold0", "fold1", "fold2", "all folds", "all folds, grouped"]
    assert content["tested_again"] == ["t1"]
    axes = folds_figure(content).axes[0]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([entry["mae"]])
    (dots,), (joined_lines,) = axes.lines, axes.collections
    assert dots.get_xdata() == pytest.approx(entry["folds"]["mae"]) and list(dots.get_ydata()) == [0, 0, 0]
    assert joined_lines.get_segments()[0][:, 0] == pytest.approx([entry["grouped"]["mae"]] * 2)
    json.dumps(content, allow_nan=False)


def test_the_same_fold_twice_is_no_more_certain(tmp_path):
    true, predicted = random_proportions()
    for fold in range(2):
        write_evaluation(tmp_path / f"fold{fold}" / "phase2" / "sparse" / "evaluation", predicted, true)
    runs = [tmp_path / f"fold{f}" / "phase2" for f in (0, 1)]
    twice = pool_folds(runs, ["sparse"], {}, 100, 1)["arms"]["sparse"]
    once = pool_folds(runs[:1], ["sparse"], {}, 100, 1)["arms"]["sparse"]
    for name in ("mae", "spurious_per_mixture", "presence_f1"):
        assert twice[name] == pytest.approx(once[name])
        assert twice[f"{name}_ci95"] == pytest.approx(once[f"{name}_ci95"])
