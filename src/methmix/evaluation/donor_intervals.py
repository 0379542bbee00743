"""Intervals over donors: mixtures of the same donors say nothing about other donors, however many there are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from methmix.files.mixtures import Mixtures
from methmix.scores import Array, Scores

_LEVEL = 0.95
_UNKNOWN: list[float | None] = [None, None]
# Name of the donor of each tissue in each mixture, [n_mixtures, n_tissues]; empty where the tissue is not in it.
DonorNames = npt.NDArray[np.str_]


def donor_names(mixtures: Mixtures) -> DonorNames:
    """Name the donor of each tissue in each mixture."""
    return np.array([[info["donors"].get(tissue, "") for tissue in mixtures.tissue_names] for info in mixtures.info])


def student_interval(values: Sequence[float | None] | Array) -> list[float | None]:
    """Compute the 95 % interval of the expected value, given one value of each independent draw of donors.

    It is mean ± t s / sqrt(n) with n - 1 degrees of freedom (Student 1908, Biometrika 6:1-25). Draws share neither
    donors nor weights, as Bouthillier et al. (2021, MLSys) ask of repeated experiments, so that the values are
    independent, which those of overlapping training sets are not (Bengio and Grandvalet 2004, JMLR 5:1089-1105).
    Percentiles of about eight values would not reach 95 %. Unknown where less than two values are defined.
    """
    known = np.array([value for value in values if value is not None and np.isfinite(value)], dtype=float)
    if len(known) < 2:
        return _UNKNOWN
    return _around(known.mean(), float(known.std(ddof=1)) / np.sqrt(len(known)), len(known))


def jackknife_interval(estimate: float, left_out: Array) -> list[float | None]:
    """Compute the 95 % interval of an estimate, given its value without each of the n donors, [n].

    It is estimate ± t se with n - 1 degrees of freedom and se² = (n - 1) / n · sum of (left_out - their mean)².

    A mean over mixtures, each of some donors, is an incomplete U-statistic of the donors, whose jackknife leaves out a
    donor with all mixtures that contain it (Arvesen 1969, Ann Math Stat 40:2076-2100). It is conservative: a jackknife
    variance is biased upwards (Efron and Stein 1981, Ann Stat 9:586-596), noise of single mixtures counts about once
    per donor of a mixture, and differences between tissues count as differences between donors. In simulations with
    donor effects (8 to 22 tissues, three to five donors per mixture) 94 to 98 % of these intervals hold the truth. The
    delete-m jackknife (Busing et al. 1999, Stat Comput 9:3-8) is for disjoint groups: of its intervals 64 to 76 % do,
    and 28 to 47 % of those of the bootstrap over mixtures.

    Unknown where a donor is part of every mixture, as that of the background can be: its effect cannot be estimated.
    """
    n = len(left_out)
    if n < 2 or not np.isfinite([estimate, *left_out]).all():
        return _UNKNOWN
    return _around(estimate, float(np.sqrt((n - 1) / n * np.square(left_out - left_out.mean()).sum())), n)


def _around(centre: float, standard_error: float, n: int) -> list[float | None]:
    margin = stats.t.ppf((1 + _LEVEL) / 2, n - 1) * standard_error
    return [float(centre - margin), float(centre + margin)]


def without_each_donor(donors: DonorNames, fold: npt.NDArray[np.intp] | None = None) -> Array:
    """Give how much each mixture counts when one donor is left out, [n_donors, n_mixtures].

    Mixtures of several folds (``fold``: which of them, [n_mixtures]) have different donors. The others of a fold
    count as much as all of them together did, so that each fold keeps its weight.
    """
    names = np.unique(donors[donors != ""])
    counts = np.stack([~(donors == name).any(axis=1) for name in names]).astype(float)
    for number in np.unique(fold) if fold is not None else []:
        of_fold = fold == number
        left = counts[:, of_fold].sum(axis=1, keepdims=True)
        # Without any mixture of a fold the average is over other donors than the estimate.
        counts[:, of_fold] *= np.where(left > 0, of_fold.sum() / np.maximum(left, 1), np.nan)
    return counts


def leaving_donors_out(scores: Scores, counts: Array) -> dict[str, Array]:
    """Compute every metric without each donor, [n_donors] each; NaN without any mixture."""
    known = counts.sum(axis=1) > 0  # not so for NaN
    found = scores.counted(np.where(known[:, None], counts, 1)).compute()
    return {name: np.where(known, values, np.nan) for name, values in found.items()}


def with_donor_intervals(
    scores: Scores, donors: DonorNames, fold: npt.NDArray[np.intp] | None = None
) -> dict[str, Any]:
    """Compute ``<name>_donors_ci95`` of each metric by the jackknife, and ``donor_draws``, the number of donors."""
    counts = without_each_donor(donors, fold)
    left_out = leaving_donors_out(scores, counts)
    intervals: dict[str, Any] = {
        f"{name}_donors_ci95": jackknife_interval(value, left_out[name]) for name, value in scores.estimate().items()
    }
    return {**intervals, "donor_draws": len(counts)}
