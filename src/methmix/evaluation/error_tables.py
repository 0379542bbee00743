"""Tables of one arm: every prediction, and errors by tissue, mixture, abundance and setting of its dial."""

import numpy as np
import pandas as pd

from methmix import metrics
from methmix.evaluation.bootstrap import interval, resamples
from methmix.evaluation.donor_intervals import donor_names
from methmix.evaluation.estimates import Dial
from methmix.files.mixtures import Mixtures, mixture_ids
from methmix.files.reference import SPLITS, Reference
from methmix.models.prediction import Array, Prediction
from methmix.reference.quality import INVENTED_DONORS
from methmix.scores import Scores

# What a setting that calls more or fewer tissues changes.
_TRADED = (
    "mae", "spurious_per_mixture", "missed_per_mixture", "false_mass", "presence_precision", "presence_recall",
    "called_1_to_5", "called_5_to_10",
)  # fmt: skip


def predictions(test: Mixtures, prediction: Prediction) -> pd.DataFrame:
    """List every prediction, and the donor of each tissue that was mixed; NaN for what the arm does not estimate."""
    n_mixtures, n_tissues = test.proportions.shape
    columns = {
        "true_proportion": test.proportions.astype(np.float64),
        "predicted_proportion": prediction.proportions,
        "presence_probability": prediction.presence_probability,
        "interval_low": prediction.low,
        "interval_high": prediction.high,
    }
    table = pd.DataFrame({name: np.nan if values is None else values.ravel() for name, values in columns.items()})
    table.insert(0, "mixture_id", np.repeat(mixture_ids(n_mixtures), n_tissues))
    table.insert(1, "tissue", test.tissue_names * n_mixtures)
    return table.assign(donor=donor_names(test).ravel())


def per_tissue(reference: Reference, true: Array, prediction: Prediction) -> pd.DataFrame:
    """Summarise errors per tissue; ``shared_donors``: splits whose mixtures of it are made of training donors."""
    shared = {split: reference.shared_tissues(split) for split in SPLITS}
    given = (true, prediction.proportions, prediction.presence_probability, prediction.low, prediction.high)
    rows = []
    for column, tissue in enumerate(reference.tissue_names):
        scores = Scores(*(None if values is None else values[:, [column]] for values in given))  # type: ignore[arg-type]
        splits = [s for s, name in zip(reference.split, reference.tissues, strict=True) if name == tissue]
        found = scores.estimate()
        rows.append(
            {
                "tissue": tissue,
                "n_present": int(scores.present.sum()),
                "n_absent": int(scores.absent.sum()),
                "mae": found["mae"],
                "mae_present": found["mae_present"],
                "bias_present": float(scores.mean(scores.error, scores.present)[0]),
                "prediction_ratio": found["prediction_ratio"],
                "spurious": int((scores.absent & scores.called).sum()),
                "missed": int((scores.present & ~scores.called).sum()),
                "false_mass": found["false_mass"],
                "presence_ece": found.get("presence_ece", np.nan),
                "interval_coverage_present": found.get("interval_coverage_present", np.nan),
                **{f"donors_{split}": splits.count(split) for split in SPLITS},
                "shared_donors": " ".join(split for split, names in shared.items() if tissue in names) or "none",
                "drawn_donors": "yes" if reference.attributes.get("source") in INVENTED_DONORS else "no",
            }
        )
    return pd.DataFrame(rows)


def per_mixture(test: Mixtures, true: Array, predicted: Array) -> pd.DataFrame:
    """Summarise errors per mixture."""
    return pd.DataFrame(
        {
            "mixture_id": mixture_ids(len(test)),
            "mean_depth": [info["mean_depth"] for info in test.info],
            "n_tissues": (test.label_proportions > 0).sum(axis=1),
            "mae": np.abs(predicted - true).mean(axis=1),
            "spurious": metrics.spurious(true, predicted).sum(axis=1),
            "missed": metrics.missed(true, predicted).sum(axis=1),
            "false_mass": np.where(metrics.absent(true), predicted, 0).sum(axis=1),
        }
    )


def tradeoff(true: Array, dial: Dial) -> pd.DataFrame:
    """Score the validation mixtures at every value of the arm's dial: what a user may choose it by.

    ``true`` are their proportions, [n_mixtures, n_tissues]. ``chosen`` marks the value that the arm is evaluated with.
    """
    rows = []
    for value in sorted({*dial.others, dial.chosen}):
        scores = Scores(true, dial.at(value))
        of_value = {metric: scores.value(metric) for metric in _TRADED}
        rows.append(
            {"split": "validation", "setting": dial.name, "value": value, **of_value, "chosen": value == dial.chosen}
        )
    return pd.DataFrame(rows)


def by_abundance(true: Array, predicted: Array, n_bootstrap: int, seed: int) -> pd.DataFrame:
    """Summarise the errors of each class of true proportion, with a 95 % interval of the mean absolute error.

    ``share_above_0`` and ``share_called`` are the proportions of entries predicted above 0, and called. NaN where a
    class has no entries.
    """
    once = Scores(true, predicted)
    drawn = once.counted(resamples(len(true), n_bootstrap, seed))
    absolute = np.abs(once.error)
    rows = []
    for name, mask in abundance_classes(true).items():
        low, high = interval(drawn.mean(absolute, mask))
        rows.append(
            {
                "abundance": name,
                "n": int(mask.sum()),
                "mae": once.mean(absolute, mask)[0],
                "mae_low": low,
                "mae_high": high,
                "bias": once.mean(once.error, mask)[0],
                "prediction_ratio": np.median(predicted[mask] / true[mask]) if mask.any() else np.nan,
                "share_above_0": once.mean(predicted > 0, mask)[0],
                "share_called": once.mean(once.called, mask)[0],
            }
        )
    return pd.DataFrame(rows)


def abundance_classes(true: Array) -> dict[str, metrics.Mask]:
    """Mark the entries of each class: major > 20 %, minor 5 to 20 %, low 1 to 5 %, trace below `metrics.PRESENT`."""
    major, five = true > 0.2 + metrics.ROUNDING, true >= 0.05 - metrics.ROUNDING
    low = metrics.present(true)
    return {"major": major, "minor": five & ~major, "low": low & ~five, "trace": (true > 0) & ~low}
