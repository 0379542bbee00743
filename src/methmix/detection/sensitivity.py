"""Sensitivity at a given false-positive rate, and the limit of detection that follows.

With 5 % false positives and a sensitivity of 95 % these are the limit of blank and the limit of detection of the
guideline CLSI EP17 (Armbruster and Pry 2008, Clin. Biochem. Rev. 29 Suppl 1:S49), on the score instead of the amount.
"""

import numpy as np
import pandas as pd
from scipy.stats import norm

from methmix.detection.dilution import DilutionScores
from methmix.metrics import limit_of_detection
from methmix.models.prediction import Array

FALSE_POSITIVE_RATES = (0.05, 0.01)


def threshold(blanks: Array, rate: float) -> Array:
    """Find the lowest score that at most a proportion ``rate`` of the blanks exceeds; last axis: the blanks.

    A tissue is called if its score is above this. Where many blanks have the same score, as the exact zeros of
    non-negative least squares, fewer than ``rate`` of them are called.
    """
    allowed = int(rate * blanks.shape[-1] + 1e-9)
    ordered: Array = np.sort(blanks, axis=-1)
    return ordered[..., -1 - allowed]


def wilson(proportion: Array, n: int) -> tuple[Array, Array]:
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
    """Tabulate the sensitivities, one row per arm, tissue, depth, false-positive rate and spike.

    Spike 0 are the test blanks: their "sensitivity" is the attained false-positive rate. ``low`` and ``high`` are a
    95 % interval for more mixtures of the same donors; it does not include inter-individual variability.
    """
    tables = []
    for rate in FALSE_POSITIVE_RATES:
        limits = threshold(scores.blanks["test"], rate)[..., None]
        groups = {0.0: scores.blanks["test"]}
        groups |= {float(spike): scores.spiked[:, :, :, s] for s, spike in enumerate(scores.spikes)}
        for spike, values in groups.items():
            called = (values > limits).mean(axis=-1)
            low, high = wilson(called, values.shape[-1])
            columns = {"sensitivity": called.ravel(), "low": low.ravel(), "high": high.ravel()}
            tables.append(_index(scores).assign(spike=spike, fpr=rate, **columns))
    return pd.concat(tables).sort_values(["fpr", "spike"], ascending=[False, True], kind="stable", ignore_index=True)


def limits_table(scores: DilutionScores) -> pd.DataFrame:
    """Tabulate the limits of detection, one row per arm, tissue, depth and false-positive rate.

    ``limit`` is infinite where it is not reached, ``shown`` gives it in words; ``threshold`` is what the score must
    exceed; ``fpr_attained`` the proportion of test blanks above it; ``fpr_validation_threshold`` that of test blanks
    above the threshold that validation blanks would have set: the rate to expect if the blanks are of other people.
    """
    tables = []
    blanks = scores.blanks
    for rate in FALSE_POSITIVE_RATES:
        here, elsewhere = (threshold(blanks[split], rate)[..., None] for split in ("test", "validation"))
        sensitivity = (scores.spiked > here[..., None]).mean(axis=-1).reshape(-1, len(scores.spikes))
        table = _index(scores).assign(fpr=rate)
        table["limit"] = [limit_of_detection(scores.spikes, row) for row in sensitivity]
        table["shown"] = [shown_limit(value, scores.spikes) for value in table["limit"]]
        table["threshold"] = here.ravel()
        table["fpr_attained"] = (blanks["test"] > here).mean(axis=-1).ravel()
        table["fpr_validation_threshold"] = (blanks["test"] > elsewhere).mean(axis=-1).ravel()
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _index(scores: DilutionScores) -> pd.DataFrame:
    """Make the columns arm, tissue and depth, in the order of the arrays."""
    index = pd.MultiIndex.from_product([scores.arms, scores.tissues, scores.depths], names=["arm", "tissue", "depth"])
    return index.to_frame(index=False)
