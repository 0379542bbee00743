"""How tables and figures of the reports name the metrics."""

from typing import NamedTuple

from methmix.metrics import INTERVAL_LEVEL, PRESENT
from methmix.pages.wording import percent


class Label(NamedTuple):
    """Column heading, title of a panel or row, unit (``%`` or none) and explanation (by default the title)."""

    short: str
    long: str
    unit: str = ""
    meaning: str = ""


_CALL, _LEVEL = percent(PRESENT), percent(INTERVAL_LEVEL)
LABELS = {
    "mae": Label("MAE", "mean absolute error", "%", "mean absolute error over all tissues"),
    "spurious_per_mixture": Label(
        "false positives", "false-positive tissues per mixture", "",
        f"absent tissues predicted at {_CALL} or more, per mixture",
    ),
    "missed_per_mixture": Label(
        "missed", "missed tissues per mixture", "", f"present tissues predicted below {_CALL}, per mixture"
    ),
    "false_mass": Label("false mass", "sum of the predicted proportions of absent tissues", "%"),
    "exact_zero_absent": Label("exact zeros", "proportion of absent entries predicted as exactly 0", "%"),
    "prediction_ratio": Label(
        "pred. / true", "median predicted / true", "", "median of predicted / true over present tissues"
    ),
    "predicted_tissues": Label("predicted tissues", "predicted tissues per mixture"),
    "presence_accuracy": Label("presence accuracy", f"accuracy of the calls at {_CALL}"),
    "presence_mcc": Label("MCC", f"Matthews correlation coefficient of the calls at {_CALL}"),
    "presence_ece": Label(
        "ECE", "calibration error (ECE)", "", "expected calibration error of the presence probability"
    ),
    "presence_auroc": Label(
        "AUROC", "area under the ROC curve", "", "area under the ROC curve of present against absent tissues"
    ),
    "presence_ece_uncertain": Label(
        "ECE 0.05-0.95", "calibration error of uncertain entries", "",
        "expected calibration error of the entries with a presence probability of 0.05 to 0.95",
    ),
    "called_1_to_5": Label("called, 1 to 5 %", "proportion of tissues of 1 to 5 % that are called", "%"),
    "called_5_to_10": Label("called, 5 to 10 %", "proportion of tissues of 5 to 10 % that are called", "%"),
    "interval_coverage_present": Label("coverage, present", f"{_LEVEL} intervals that contain the truth, present", "%"),
    "interval_coverage_absent": Label("coverage, absent", f"{_LEVEL} intervals that contain 0, absent", "%"),
    "background_mae": Label("MAE of the background", "mean absolute error of the background", "%"),
    "distance_of_prediction_ratio_from_1": Label("pred. / true from 1", "distance of predicted / true from 1"),
}  # fmt: skip


def chosen(*names: str) -> dict[str, Label]:
    """Select the labels of some metrics, in the given order."""
    return {name: LABELS[name] for name in names}


# The metrics that every report shows.
HEADLINE = chosen("mae", "spurious_per_mixture", "missed_per_mixture", "prediction_ratio", "presence_ece")
