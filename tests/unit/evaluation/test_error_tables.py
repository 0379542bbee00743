import numpy as np
import pytest
from experiments import random_proportions, tiny_mixtures, tiny_reference

from methmix import metrics
from methmix.evaluation.error_tables import abundance_classes, by_abundance, per_tissue
from methmix.models.prediction import Prediction


def test_classes_at_their_ends():
    true = np.array([[0.0, 0.002, 0.0099, 0.01, 0.049, 0.05, 0.2, 0.201]])
    names = ["trace", "trace", "low", "low", "minor", "minor", "major"]
    marked = abundance_classes(true)
    assert not any(mask[0, 0] for mask in marked.values())
    for column, name in enumerate(names, start=1):
        assert [of for of, mask in marked.items() if mask[0, column]] == [name]


def test_a_share_of_a_pair_is_minor_in_single_precision_too():
    true = np.array([[0.2, 0.8], [0.95, 0.05]], dtype=np.float32).astype(float)
    assert abundance_classes(true)["minor"].tolist() == [[True, False], [False, True]]


def test_errors_by_hand():
    true = np.array([[0.7, 0.26, 0.04, 0.0], [0.9, 0.0, 0.08, 0.02]])
    predicted = np.array([[0.8, 0.2, 0.0, 0.0], [0.85, 0.1, 0.045, 0.005]])
    table = by_abundance(true, predicted, 100, 1).set_index("abundance")
    assert list(table.index) == ["major", "minor", "low", "trace"]
    assert table["n"].tolist() == [3, 1, 2, 0]
    assert table["mae"].tolist()[:3] == pytest.approx([0.21 / 3, 0.035, 0.055 / 2])
    assert table["bias"].tolist()[:3] == pytest.approx([-0.01 / 3, -0.035, -0.055 / 2])
    assert table["prediction_ratio"].tolist()[:3] == pytest.approx([0.85 / 0.9, 0.5625, 0.125])
    assert table["share_above_0"].tolist()[:3] == [1, 1, 0.5]
    assert table["share_called"].tolist()[:3] == [1, 1, 0]
    assert table.loc["trace"].drop("n").isna().all()


def test_interval_is_a_bootstrap_over_mixtures():
    true, predicted = random_proportions(n_mixtures=200)
    table = by_abundance(true, predicted, 1000, 1).set_index("abundance")
    rng = np.random.default_rng(7)
    for name, mask in abundance_classes(true).items():
        means = []
        for _ in range(1000):
            drawn = rng.integers(200, size=200)
            means.append(np.abs(predicted - true)[drawn][mask[drawn]].mean())
        width = np.ptp(np.quantile(means, [0.025, 0.975]))
        found = table.loc[name]
        assert found["mae_low"] < found["mae"] < found["mae_high"]
        assert found[["mae_low", "mae_high"]].tolist() == pytest.approx(
            np.quantile(means, [0.025, 0.975]), abs=0.15 * width
        )


def test_classes_and_absent_entries_are_all_there_is():
    true, _ = random_proportions()
    number = sum(mask.astype(int) for mask in abundance_classes(true).values())
    assert np.array_equal(number, (true > 0).astype(int))
    assert np.array_equal(abundance_classes(true)["trace"], (true > 0) & ~metrics.present(true))


def test_a_flag_for_shared_and_drawn_donors_is_in_the_table(tmp_path):
    reference = tiny_reference()
    mixtures = tiny_mixtures(reference, "test", tmp_path)
    tissue = reference.tissue_names[0]
    split = ["train" if t == tissue and s == "validation" else s for t, s in
             zip(reference.tissues, reference.split, strict=True)]  # fmt: skip
    fewer = type(reference)(
        reference.methylated, reference.depth, reference.donors, reference.tissues, split,
        reference.regions, reference.attributes,
    )  # fmt: skip
    true = mixtures.proportions.astype(float)
    table = per_tissue(fewer, true, Prediction(true, true)).set_index("tissue")
    assert table.loc[tissue, "shared_donors"] == "validation"
    assert (table["shared_donors"] != "none").sum() == 1
    assert (table["drawn_donors"] == "yes").all()
