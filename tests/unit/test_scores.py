import numpy as np
import pytest
import torch
import torchmetrics
from experiments import random_proportions
from scipy import stats
from sklearn import metrics as sk

from methmix.scores import CALIBRATION_BINS, METRICS, Scores, calibration_bins


@pytest.fixture
def data():
    true, predicted = random_proportions()
    rng = np.random.default_rng(1)
    probability = np.clip(predicted * 4 + 0.1 * rng.random(predicted.shape), 0, 1)
    return true, predicted, probability


@pytest.fixture
def estimate(data):
    return Scores(*data).estimate()


def labelled(data):
    true, predicted, probability = data
    counted = (true == 0) | (true >= 0.01)
    return (true >= 0.01)[counted], (predicted >= 0.01)[counted], probability[counted]


def test_test_data_has_all_three_classes_and_exact_zeros(data):
    true, predicted, _ = data
    assert (true == 0).any() and ((true > 0) & (true < 0.01)).any() and (true >= 0.01).any()
    assert (predicted == 0).any()


def test_regression_metrics_agree_with_sklearn_and_scipy(data, estimate):
    true, predicted, _ = (x.ravel() for x in data)
    assert estimate["mae"] == pytest.approx(sk.mean_absolute_error(true, predicted))
    assert estimate["rmse"] == pytest.approx(sk.root_mean_squared_error(true, predicted))
    assert estimate["r2"] == pytest.approx(sk.r2_score(true, predicted))
    assert estimate["pearson_r"] == pytest.approx(stats.pearsonr(true, predicted).statistic)


def test_presence_metrics_agree_with_sklearn(data, estimate):
    label, call, probability = labelled(data)
    assert estimate["presence_accuracy"] == pytest.approx(sk.accuracy_score(label, call))
    assert estimate["presence_precision"] == pytest.approx(sk.precision_score(label, call))
    assert estimate["presence_recall"] == pytest.approx(sk.recall_score(label, call))
    assert estimate["presence_f1"] == pytest.approx(sk.f1_score(label, call))
    assert estimate["presence_mcc"] == pytest.approx(sk.matthews_corrcoef(label, call))
    assert estimate["presence_auprc"] == pytest.approx(sk.average_precision_score(label, probability))


def test_average_precision_with_ties_agrees_with_sklearn(data):
    true, predicted, probability = data
    coarse = np.round(probability, 1)
    label, _, score = labelled((true, predicted, coarse))
    found = Scores(true, predicted, coarse).estimate()["presence_auprc"]
    assert found == pytest.approx(sk.average_precision_score(label, score))


def test_area_under_roc_agrees_with_sklearn(data, estimate):
    true, predicted, _ = data
    label, _, score = labelled(data)
    assert estimate["presence_auroc"] == pytest.approx(sk.roc_auc_score(label, score))
    # Without a probability, or where it is equal, proportions rank the entries.
    label, _, score = labelled((true, predicted, predicted))
    expected = sk.roc_auc_score(label, score)
    assert Scores(true, predicted).value("presence_auroc") == pytest.approx(expected)
    assert Scores(true, predicted, np.full_like(true, 0.3)).value("presence_auroc") == pytest.approx(expected)
    coarse = np.round(predicted, 1)
    label, _, score = labelled((true, coarse, coarse))
    assert Scores(true, coarse, coarse).value("presence_auroc") == pytest.approx(sk.roc_auc_score(label, score))


def test_area_under_roc_needs_present_and_absent_entries():
    true = np.array([[0.3, 0.7]])
    assert np.isnan(Scores(true, true).value("presence_auroc"))


def test_calibration_error_agrees_with_torchmetrics(data, estimate):
    label, _, probability = labelled(data)
    reference = torchmetrics.CalibrationError(task="binary", n_bins=CALIBRATION_BINS, norm="l1")
    # torchmetrics bins the probability of the positive class when it is handed that class's confidence.
    expected = reference(torch.from_numpy(probability), torch.from_numpy(label.astype(int))).item()
    assert estimate["presence_ece"] == pytest.approx(expected, abs=1e-6)


def test_calibration_error_of_uncertain_entries_agrees_with_torchmetrics(data, estimate):
    label, _, probability = labelled(data)
    uncertain = (probability >= 0.05) & (probability <= 0.95)
    assert 0 < uncertain.sum() < len(label)
    reference = torchmetrics.CalibrationError(task="binary", n_bins=CALIBRATION_BINS, norm="l1")
    expected = reference(torch.from_numpy(probability[uncertain]), torch.from_numpy(label[uncertain].astype(int)))
    assert estimate["presence_ece_uncertain"] == pytest.approx(expected.item(), abs=1e-6)
    certain = Scores(np.array([[0.0, 1.0]]), np.array([[0.0, 1.0]]), np.array([[0.01, 0.99]]))
    assert np.isnan(certain.value("presence_ece_uncertain"))


def test_calls_by_true_proportion():
    true = np.array([[0.01, 0.02, 0.049, 0.05, 0.09, 0.1, 0.681, 0.0]])
    predicted = np.array([[0.02, 0.0, 0.01, 0.0, 0.009, 0.1, 0.841, 0.02]])
    found = Scores(true, predicted)
    assert found.value("called_1_to_5") == pytest.approx(2 / 3)
    assert found.value("called_5_to_10") == 0.0
    # In single precision 0.05 is a little less or more.
    single = true.astype(np.float32).astype(float)
    assert Scores(np.maximum(single, true), predicted).value("called_1_to_5") == pytest.approx(2 / 3)


def test_counts_by_hand():
    true = np.array([[0.0, 0.005, 0.495, 0.5], [0.0, 0.0, 0.0, 1.0]])
    predicted = np.array([[0.02, 0.03, 0.45, 0.5], [0.005, 0.0, 0.995, 0.0]])
    found = Scores(true, predicted, predicted).estimate()
    assert found["spurious_per_mixture"] == 1.0  # 0.02 and 0.995, in two mixtures
    assert found["missed_per_mixture"] == 0.5
    assert found["false_mass"] == pytest.approx((0.02 + 1.0) / 2)
    assert found["exact_zero_absent"] == 0.25
    assert found["predicted_tissues"] == pytest.approx((4 + 1) / 2)
    assert found["prediction_ratio"] == pytest.approx(np.median([0.45 / 0.495, 1.0, 0.0]))
    assert found["mae_present"] == pytest.approx((0.045 + 0 + 1) / 3)


def test_a_trace_counts_in_no_presence_metric():
    true = np.array([[0.005, 0.0, 0.995]])
    low, high = np.array([[0.0, 0.0, 1.0]]), np.array([[0.5, 0.0, 0.5]])
    for name in ("presence_accuracy", "spurious_per_mixture", "missed_per_mixture"):
        assert Scores(true, low, low).estimate()[name] == Scores(true, high, high).estimate()[name]


def test_all_absent_scores_high_accuracy_and_no_recall():
    true = np.zeros((10, 22))
    true[:, :4] = 0.25
    nothing = np.zeros_like(true)
    found = Scores(true, nothing, nothing).estimate()
    assert found["presence_accuracy"] == pytest.approx(18 / 22)
    assert found["presence_recall"] == 0.0
    assert found["presence_mcc"] == 0.0
    assert np.isnan(found["presence_precision"])
    assert np.isnan(found["pearson_r"])


def test_bootstrap_replicate_equals_the_metric_of_the_resampled_mixtures(data):
    true, predicted, probability = data
    scores = Scores(true, predicted, probability)
    drawn = np.random.default_rng(3).integers(len(true), size=len(true))
    counts = np.bincount(drawn, minlength=len(true)).astype(float)
    weighted = scores.counted(counts[None]).compute()
    again = Scores(true[drawn], predicted[drawn], probability[drawn]).estimate()
    for name, value in again.items():
        assert weighted[name][0] == pytest.approx(value), name


def test_one_metric_needs_no_more_than_its_data(data, estimate):
    true, predicted, probability = data
    for name in ("mae", "spurious_per_mixture", "missed_per_mixture", "presence_accuracy", "predicted_tissues"):
        assert Scores(true, predicted).value(name) == estimate[name]
    of_probability = {"presence_auprc", "presence_ece", "presence_ece_uncertain"}
    assert set(Scores(true, predicted).estimate()) == set(estimate) - of_probability
    with_interval = Scores(true, predicted, probability, predicted, predicted).estimate()
    assert set(with_interval) - set(estimate) == {name for name in METRICS if name.startswith("interval_")}


def test_reliability_bins_are_those_of_the_calibration_error(data, estimate):
    """The calibration error is the gap between probability and observed proportion, averaged over the bins' entries."""
    label, _, probability = labelled(data)
    bins = calibration_bins(probability)
    assert calibration_bins(np.array([0.0, 0.0666, 0.0667, 1.0])).tolist() == [0, 0, 1, CALIBRATION_BINS - 1]
    gaps = [abs((probability - label)[bins == b].sum()) for b in range(CALIBRATION_BINS)]
    assert estimate["presence_ece"] == pytest.approx(sum(gaps) / len(label))


def test_background_by_hand():
    true = np.array([[0.5, 0.2, 0.3, 0.0], [0.6, 0.2, 0.1, 0.1], [0.4, 0.3, 0.3, 0.0]])
    predicted = np.array([[0.6, 0.13, 0.27, 0.0], [0.3, 0.5, 0.1, 0.1], [0.35, 0.25, 0.4, 0.0]])
    # Of the first two together: 0.03 too much, exactly right, and 0.1 too little.
    found = Scores(true, predicted, predicted, background=[0, 1]).estimate()
    assert found["background_mae"] == pytest.approx(0.13 / 3)
    assert found["background_within_3"] == pytest.approx(2 / 3)
    assert not any("background" in name for name in Scores(true, predicted, predicted).estimate())
