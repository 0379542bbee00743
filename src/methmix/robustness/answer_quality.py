"""How right the answers of a method are in a situation, and how sure of themselves."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from methmix import metrics
from methmix.detection.scorers import presence_score
from methmix.files.mixtures import Mixtures
from methmix.models.prediction import Array, Prediction
from methmix.prediction.goodness_of_fit import fits_of
from methmix.prediction.sample_results import split

# The presence probability from which a tissue counts as reported.
SAID = 0.5
# A true proportion that is never to be answered by exactly 0.
LARGE = 0.3


@dataclass(frozen=True)
class Answers:
    """What a method answers for mixtures, as a user would be given it; all but the marks are of the answered ones.

    ``answered`` and ``flagged`` mark mixtures, [n]; ``prediction`` has a row for each answered one, ``true`` their true
    proportions, [n_answered, n_tissues].
    """

    answered: metrics.Mask
    flagged: metrics.Mask
    true: Array
    prediction: Prediction

    @classmethod
    def of(cls, found: Prediction, mixtures: Mixtures) -> "Answers":
        """Take the answers from a prediction."""
        enough, fits = split(found, mixtures.depth[:]), fits_of(found, mixtures.methylation[:])
        rows = [None if fit.resembles_nothing else row for row, fit in zip(enough, fits, strict=True)]
        answered = np.array([row is not None for row in rows])
        flagged = np.array([row is not None and fit.beyond for row, fit in zip(enough, fits, strict=True)])
        return cls(answered, flagged, mixtures.proportions[answered].astype(np.float64), joined(rows, found))

    def only(self, chosen: metrics.Mask) -> "Answers":
        """Restrict the answers to some mixtures, [n]."""
        rows = chosen[self.answered]
        return Answers(self.answered & chosen, self.flagged & chosen, self.true[rows], _rows(self.prediction, rows))


def joined(rows: list[Prediction | None], whole: Prediction) -> Prediction:
    """Put the samples of a prediction that have an answer together again, with what `split` changed in them."""
    given = [row for row in rows if row is not None]
    if not given:
        return _rows(whole, np.zeros(len(whole.proportions), dtype=bool))
    names = [quantity.name for quantity in fields(Prediction) if getattr(given[0], quantity.name) is not None]
    return Prediction(**{name: np.array([getattr(row, name) for row in given]) for name in names})


def _rows(prediction: Prediction, rows: metrics.Mask) -> Prediction:
    arrays: dict[str, Any] = {quantity.name: getattr(prediction, quantity.name) for quantity in fields(prediction)}
    return Prediction(**{name: values[rows] for name, values in arrays.items() if values is not None})


def together(parts: list[Answers]) -> Answers:
    """Join the answers of blocks of mixtures."""
    answered, flagged = (np.concatenate([getattr(part, name) for part in parts]) for name in ("answered", "flagged"))
    true = np.concatenate([part.true for part in parts])
    names = [q.name for q in fields(Prediction) if getattr(parts[0].prediction, q.name) is not None]
    arrays = {name: np.concatenate([getattr(part.prediction, name) for part in parts]) for name in names}
    return Answers(answered, flagged, true, Prediction(**arrays))


def quality(answers: Answers, prior: Array) -> dict[str, float]:
    """Measure the answers; NaN for what the method does not give, or where there is no such entry.

    ``prior`` is the probability of each tissue's presence in training, [n_tissues].

    Returns
    -------
    dict
        ``mae``
            Mean absolute error of the proportions.
        ``auc``
            Area under the ROC curve of presence, of present against absent entries, by probability, or by proportion if
            the method has none.
        ``absent_said``, ``absent_excluded``
            Proportion of the absent entries with a presence probability of `SAID` or more, and of those whose interval
            excludes 0.
        ``coverage``
            Proportion of the present entries whose interval contains the truth.
        ``large_zero``
            Proportion of the entries of `LARGE` or more that are exactly 0.
        ``flagged``, ``unanswered``
            Proportion of the mixtures whose fit is poor, and of those without numbers.
        ``limit``
            Median limit of detection; infinite if it is mostly unknown.
        ``claimed``
            Proportion of the mixtures in which some tissue is claimed, by an interval that excludes 0 or a presence
            more than half-way from its prior to certainty.
    """
    true, found = answers.true, answers.prediction
    absent, present = metrics.absent(true), metrics.present(true)
    nothing = not true.any()
    zeros = found.proportions == 0
    return {
        "mae": float("nan") if nothing else _mean(np.abs(found.proportions - true), np.ones(true.shape, dtype=bool)),
        "auc": _auc(presence_score(found), absent, present),
        "absent_said": _proportion(found.presence_probability, lambda values: values >= SAID, absent),
        "absent_excluded": _proportion(found.low, lambda values: values > metrics.ROUNDING, absent),
        "coverage": float("nan")
        if found.low is None or found.high is None
        else _mean(metrics.covered(true, found.low, found.high), present),
        "large_zero": _mean(zeros, true >= LARGE),
        "flagged": float(answers.flagged.mean()) if found.misfit is not None else float("nan"),
        "unanswered": float(1 - answers.answered.mean()),
        "limit": _median_limit(found.limit),
        "claimed": _claimed(answers, prior),
    }


def _mean(values: Any, of: metrics.Mask) -> float:
    return float(values[of].mean()) if of.any() else float("nan")


def _proportion(values: Array | None, condition: Any, of: metrics.Mask) -> float:
    return float("nan") if values is None else _mean(condition(values), of)


def _auc(score: Array, absent: metrics.Mask, present: metrics.Mask) -> float:
    if not absent.any() or not present.any():
        return float("nan")
    labelled = absent | present
    return float(roc_auc_score(present[labelled], score[labelled]))


def _median_limit(limit: Array | None) -> float:
    if limit is None or not limit.size:
        return float("nan")
    return float(np.median(np.where(np.isfinite(limit), limit, np.inf)))


def _claimed(answers: Answers, prior: Array) -> float:
    """Count the mixtures in which a tissue is claimed, among all, answered or not."""
    found = answers.prediction
    if found.presence_probability is None:
        return float("nan")
    surer = found.presence_probability > (1 + prior) / 2
    if found.low is not None:
        surer = surer | (found.low > metrics.ROUNDING)
    return float(surer.any(axis=1).sum() / len(answers.answered))
