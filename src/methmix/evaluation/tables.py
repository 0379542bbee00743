"""Tables of one arm: every prediction, and errors by tissue, by mixture and by the setting that trades them."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix import metrics
from methmix.evaluation.answers import Answer
from methmix.evaluation.scores import expected_calibration_error
from methmix.files.mixtures import Mixtures, mixture_ids
from methmix.files.reference import Reference
from methmix.reference.quality import INVENTED_DONORS

Array = npt.NDArray[np.float64]


def predictions(test: Mixtures, answer: Answer, probability: Array) -> pd.DataFrame:
    """List every prediction; the interval is NaN where the arm gives none."""
    n_mixtures, n_tissues = test.proportions.shape
    unknown = np.full(test.proportions.shape, np.nan)
    columns = {
        "true_proportion": test.proportions.astype(np.float64),
        "predicted_proportion": answer.proportions,
        "presence_probability": probability,
        "interval_low": unknown if answer.low is None else answer.low,
        "interval_high": unknown if answer.high is None else answer.high,
    }
    return pd.DataFrame(
        {
            "mixture_id": np.repeat(mixture_ids(n_mixtures), n_tissues),
            "tissue": test.tissue_names * n_mixtures,
            **{name: values.ravel() for name, values in columns.items()},
        }
    )


def per_tissue(reference: Reference, true: Array, answer: Answer, probability: Array) -> pd.DataFrame:
    """Summarise errors per tissue, with its donors and whether a split had to share them.

    Returns
    -------
    DataFrame
        A row per tissue. ``shared_donors`` names the splits whose mixtures are made of training donors.
    """
    shared = {split: reference.shared_tissues(split) for split in ("validation", "test")}  # type: ignore[arg-type]
    drawn = "yes" if reference.attributes.get("source") in INVENTED_DONORS else "no"
    rows = []
    for column, tissue in enumerate(reference.tissue_names):
        t, p = true[:, [column]], answer.proportions[:, [column]]
        present, absent = metrics.present(t), metrics.absent(t)
        of_tissue = [s for s, name in zip(reference.split, reference.tissues, strict=True) if name == tissue]
        covered = np.full(t.shape, np.nan)
        if answer.low is not None and answer.high is not None:
            covered = metrics.covered(t, answer.low[:, [column]], answer.high[:, [column]]).astype(float)
        rows.append(
            {
                "tissue": tissue,
                "n_present": int(present.sum()),
                "n_absent": int(absent.sum()),
                "mae": metrics.mae(t, p),
                "mae_present": _mean(np.abs(p - t)[present]),
                "bias_present": _mean((p - t)[present]),
                "prediction_ratio": float(np.median(p[present] / t[present])) if present.any() else np.nan,
                "spurious": int(metrics.spurious(t, p).sum()),
                "missed": int(metrics.missed(t, p).sum()),
                "false_mass": float(p[absent].sum() / len(t)),
                "presence_ece": expected_calibration_error(t, probability[:, [column]]),
                "interval_coverage_present": _mean(covered[present]),
                **{f"donors_{s}": of_tissue.count(s) for s in ("train", "validation", "test")},
                "shared_donors": " ".join(s for s, names in shared.items() if tissue in names) or "none",
                "drawn_donors": drawn,
            }
        )
    return pd.DataFrame(rows)


def per_mixture(test: Mixtures, true: Array, predicted: Array) -> pd.DataFrame:
    """Summarise errors per mixture."""
    return pd.DataFrame(
        {
            "mixture_id": mixture_ids(len(test)),
            "mean_depth": [info["mean_depth"] for info in test.info],
            "n_tissues": (true > 0).sum(axis=1),
            "mae": np.abs(predicted - true).mean(axis=1),
            "spurious": metrics.spurious(true, predicted).sum(axis=1),
            "missed": metrics.missed(true, predicted).sum(axis=1),
            "false_mass": np.where(metrics.absent(true), predicted, 0).sum(axis=1),
        }
    )


def tradeoff(true: Array, answer: Answer) -> pd.DataFrame:
    """Show what other values of the arm's dial would have given on these mixtures; nothing is chosen by it.

    Returns
    -------
    DataFrame
        A row per value; a single one, without a value, for an arm without a dial.
    """
    dial = answer.dial
    if dial is None:
        values = [(np.nan, answer.proportions, True)]
    else:
        others = sorted({*dial.others, dial.chosen})
        values = [(value, dial.at(value), value == dial.chosen) for value in others]
    return pd.DataFrame(
        [
            {
                "setting": dial.name if dial else "none",
                "value": value,
                "mae": metrics.mae(true, predicted),
                "spurious_per_mixture": metrics.spurious_per_mixture(true, predicted),
                "missed_per_mixture": metrics.missed_per_mixture(true, predicted),
                "chosen": chosen,
            }
            for value, predicted, chosen in values
        ]
    )


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")
