"""Sensitivity and false positives at three kinds of threshold, and the limits of detection that follow.

With 5 % false positives and a sensitivity of 95 % these are the limit of blank and the limit of detection of the
guideline CLSI EP17 (Armbruster and Pry 2008, Clin. Biochem. Rev. 29 Suppl 1:S49), on the score instead of the amount.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from methmix.arms import MAIN
from methmix.detection.dilution import DilutionScores
from methmix.metrics import limit_of_detection
from methmix.models.prediction import Array


class Threshold(NamedTuple):
    """A kind of threshold, and its nominal false-positive rate, NaN if it has none.

    ``shipped`` is the gate or cut of the arm as it is used; ``other donors`` is set on blanks of other background
    donors; ``same donor``, for repeatability only, on further reads of the very donor that is spiked; ``equal`` on
    blanks of other donors, one for all tissues, so that the arm has the false-positive rate of the main arm as shipped.
    """

    kind: str
    rate: float


_NONE = float("nan")
SHIPPED, EQUAL = Threshold("shipped", _NONE), Threshold("equal", _NONE)
THRESHOLDS = (
    SHIPPED,
    Threshold("other donors", 0.05),
    Threshold("other donors", 0.01),
    Threshold("same donor", 0.05),
    EQUAL,
)


class Calls(NamedTuple):
    """What is called at a threshold: 1, 0, or NaN where the truth is another one; shapes as in `DilutionScores`."""

    spiked: Array
    blanks: Array


def thresholds_of(scores: DilutionScores) -> tuple[Threshold, ...]:
    """List the thresholds; without the main arm there is nothing to be equal to."""
    return THRESHOLDS if MAIN in scores.arms else THRESHOLDS[:-1]


def calls(scores: DilutionScores, threshold: Threshold) -> Calls:
    """See what is called at a threshold."""
    blanks, others = scores.blanks["background"], scores.blanks["other background"]
    match threshold.kind:
        case "shipped":
            return Calls(scores.spiked_called, scores.blanks_called["background"])
        case "same donor":
            limits = blank_threshold(blanks, threshold.rate)
            of_spiked = np.arange(scores.spiked.shape[-1]) % blanks.shape[-2]
            # The blanks themselves set the threshold: they say nothing of it.
            return Calls(_above(scores.spiked, limits[..., None, of_spiked]), np.full_like(blanks, np.nan))
        case "equal":
            limits = _equal_thresholds(scores)[:, None, :]
        case _:
            limits = blank_threshold(others.reshape(*others.shape[:3], -1), threshold.rate)
    return Calls(_above(scores.spiked, limits[..., None, None]), _above(blanks, limits[..., None, None]))


def blank_threshold(blanks: Array, rate: float) -> Array:
    """Find the lowest score that a further blank exceeds with a probability of at most ``rate``; last axis: the blanks.

    A tissue is called if its score is above this. Of n blanks, ``rate (n + 1) - 1`` are above, rounded down, but none
    in any case if there are too few: the next one is as likely to have any rank among them. NaN are no blanks.
    """
    number = (~np.isnan(blanks)).sum(axis=-1)
    allowed = np.maximum((rate * (number + 1) + 1e-9).astype(int) - 1, 0)
    # NaN are last.
    ordered = np.sort(blanks, axis=-1)
    place = np.maximum(number - 1 - allowed, 0)
    found: Array = np.take_along_axis(ordered, place[..., None], axis=-1)[..., 0]
    return found


def _equal_thresholds(scores: DilutionScores) -> Array:
    """Find the threshold of each arm and depth at which all its tissues have the main arm's rate, on other donors."""
    others = scores.blanks["other background"]
    shipped = scores.blanks_called["other background"][scores.arms.index(MAIN)]
    found = np.empty((len(scores.arms), len(scores.depths)))
    for d in range(len(scores.depths)):
        rate = float(np.nanmean(shipped[:, d]))
        for arm, blanks in enumerate(others[:, :, d]):
            ordered = np.sort(blanks[~np.isnan(blanks)])
            found[arm, d] = ordered[max(len(ordered) - 1 - round(rate * len(ordered)), 0)]
    return found


def _above(values: Array, limits: Array) -> Array:
    return np.where(np.isnan(values) | np.isnan(limits), np.nan, values > limits)


def wilson(proportion: Array, n: Array | int) -> tuple[Array, Array]:
    """Compute Wilson's 95 % score interval of a proportion of ``n``."""
    z = norm.ppf(0.975)
    centre = (proportion + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(proportion * (1 - proportion) / n + z**2 / (4 * n**2))
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def shown_limit(value: float, spikes: Array) -> str:
    """Write a limit for a reader, for example ``0.42 %``, ``> 5 %``, ``<= 0.1 %``."""
    if value > spikes[-1]:
        return f"> {100 * spikes[-1]:g} %"
    if value <= spikes[0]:
        return f"<= {100 * spikes[0]:g} %"
    return f"{100 * value:.2g} %"


def detection_table(scores: DilutionScores) -> pd.DataFrame:
    """Tabulate the sensitivities, one row per threshold, arm, tissue, depth and spike.

    Spike 0 are the blanks: their "sensitivity" is the false-positive rate. ``n`` is the number of mixtures, ``low`` and
    ``high`` a 95 % interval (Wilson) as if they were only as many as their background donors.
    """
    tables = []
    for threshold in thresholds_of(scores):
        called = calls(scores, threshold)
        groups = {0.0: called.blanks.reshape(*called.blanks.shape[:3], -1)}
        groups |= {float(spike): called.spiked[:, :, :, s] for s, spike in enumerate(scores.spikes)}
        for spike, values in groups.items():
            n = (~np.isnan(values)).sum(axis=-1).ravel()
            rate = mean_of_known(values).ravel()
            low, high = wilson(rate, np.clip(n, 1, called.blanks.shape[-2]))
            columns = {"sensitivity": rate, "low": low, "high": high, "n": n}
            table = _index(scores).assign(spike=spike, threshold=threshold.kind, fpr=threshold.rate, **columns)
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def limits_table(scores: DilutionScores) -> pd.DataFrame:
    """Tabulate the limits of detection, one row per threshold, arm, tissue and depth.

    ``limit`` is infinite where it is not reached, ``shown`` gives it in words. The false-positive rates, ``fpr`` being
    the nominal one, are those of the blanks: of all, and of the background donor with the most.
    """
    tables = []
    for threshold in thresholds_of(scores):
        called = calls(scores, threshold)
        sensitivity = mean_of_known(called.spiked).reshape(-1, len(scores.spikes))
        of_donors = mean_of_known(called.blanks)
        table = _index(scores).assign(threshold=threshold.kind, fpr=threshold.rate)
        table["limit"] = [_limit(scores.spikes, row) for row in sensitivity]
        table["shown"] = [shown_limit(value, scores.spikes) for value in table["limit"]]
        table["fpr_attained"] = mean_of_known(of_donors).ravel()
        table["fpr_highest_donor"] = np.nan_to_num(of_donors, nan=-1).max(axis=-1).ravel()
        table.loc[table["fpr_attained"].isna(), "fpr_highest_donor"] = np.nan
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def donor_rates(scores: DilutionScores, threshold: Threshold) -> Array:
    """Compute the false-positive rate of each background donor, over absent tissues; [n_arms, n_depths, n_donors]."""
    blanks = calls(scores, threshold).blanks.transpose(0, 2, 3, 1, 4)
    return mean_of_known(blanks.reshape(*blanks.shape[:3], -1))


def mean_of_known(values: Array) -> Array:
    """Average over the last axis, ignoring NaN; NaN (without a warning) where all are NaN."""
    known = ~np.isnan(values)
    number = known.sum(axis=-1)
    total = np.where(known, values, 0).sum(axis=-1)
    mean: Array = np.divide(total, number, out=np.full(number.shape, np.nan), where=number > 0)
    return mean


def _limit(spikes: Array, sensitivity: Array) -> float:
    """Find the limit over the spikes that any background could have."""
    known = ~np.isnan(sensitivity)
    return limit_of_detection(spikes[known], sensitivity[known]) if known.any() else float("inf")


def _index(scores: DilutionScores) -> pd.DataFrame:
    """Make the columns arm, tissue and depth, in the order of the arrays."""
    index = pd.MultiIndex.from_product([scores.arms, scores.tissues, scores.depths], names=["arm", "tissue", "depth"])
    return index.to_frame(index=False)
