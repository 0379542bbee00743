"""Errors by how much of a tissue there is."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix import metrics
from methmix.evaluation.scores import interval, resamples

Array = npt.NDArray[np.float64]


def by_abundance(true: Array, predicted: Array, n_bootstrap: int, seed: int) -> pd.DataFrame:
    """Summarise the errors of each class of true proportion (`metrics.abundance`).

    Parameters
    ----------
    true, predicted
        Proportions, [n_mixtures, n_tissues].
    n_bootstrap, seed
        Resamples of the mixtures behind the interval; those of `Scores.replicates`.

    Returns
    -------
    DataFrame
        A row per class: ``abundance``, ``n`` (entries), ``mae`` with its 95 % interval ``mae_low`` to ``mae_high``,
        ``bias`` (mean of predicted minus true), ``prediction_ratio`` (median of predicted / true), ``share_above_0``
        and ``share_called`` (predicted at `metrics.PRESENT` or more). NaN where a class has no entries.
    """
    error = predicted - true
    counts = np.concatenate(list(resamples(len(true), n_bootstrap, seed)))
    rows = []
    for name, mask in metrics.abundance(true).items():
        n, absolute = mask.sum(axis=1), np.where(mask, np.abs(error), 0).sum(axis=1)
        drawn = counts @ n
        replicates = np.divide(counts @ absolute, drawn, out=np.full(len(drawn), np.nan), where=drawn > 0)
        low, high = interval(replicates)
        row = {"abundance": name, "n": int(n.sum()), "mae": np.nan, "mae_low": low, "mae_high": high}
        if n.any():
            row |= {
                "mae": absolute.sum() / n.sum(),
                "bias": error[mask].mean(),
                "prediction_ratio": np.median(predicted[mask] / true[mask]),
                "share_above_0": (predicted[mask] > 0).mean(),
                "share_called": (predicted[mask] >= metrics.PRESENT).mean(),
            }
        rows.append(row)
    return pd.DataFrame(rows)
