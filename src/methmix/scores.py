"""The metrics, each written once, in `METRICS`.

A metric is a function of how often each mixture is counted: all once gives the estimate, the counts of a bootstrap
resample a replicate. Absent, present, trace and called are defined in `methmix.metrics`. Confusion counts are of the
calls, so that an arm is judged by the proportions that it reports, whatever its presence probability.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from methmix import cli, metrics

Array = npt.NDArray[np.floating]

# Equal-width bins of the expected calibration error (Guo et al. 2017, ICML), and of the reliability diagram.
CALIBRATION_BINS = 15
_NOT_GIVEN = np.empty((0, 0))


class Scores:
    """Predictions beside the truth, each mixture counted some times: what a metric is computed from.

    True and predicted proportions, the probability that each tissue is present, and the ends of the intervals of the
    proportions are of shape [n_mixtures, n_tissues]; ``background`` are columns of tissues.
    """

    def __init__(
        self,
        true: Array,
        predicted: Array,
        probability: Array | None = None,
        low: Array | None = None,
        high: Array | None = None,
        *,
        background: Sequence[int] = (),
    ) -> None:
        self.true, self.predicted, self.background = true, predicted, list(background)
        self.probability, self.low, self.high = (
            _NOT_GIVEN if values is None else values for values in (probability, low, high)
        )
        self.error = predicted - true
        self.background_error = np.abs(self.error[:, self.background].sum(axis=1, keepdims=True))
        self.absent, self.present, self.called = metrics.absent(true), metrics.present(true), metrics.called(predicted)
        # A trace is neither.
        self.labelled = self.absent | self.present
        self.everything = np.ones(true.shape, dtype=bool)
        self.counts: Array = np.ones((1, len(true)))

    def counted(self, counts: Array) -> Self:
        """Count each mixture so many times, [n_replicates, n_mixtures]; here it is once in one replicate."""
        other = copy(self)
        other.counts = counts
        return other

    def compute(self) -> dict[str, Array]:
        """Compute every metric that the data allow, [n_replicates] each; NaN where it is undefined."""
        known = [name for name, metric in METRICS.items() if len(getattr(self, metric.needs))]
        what = f"metrics, {len(self.counts)} resamples"
        return {name: METRICS[name].of(self) for name in cli.progress(known, what, len(known))}

    def estimate(self) -> dict[str, float]:
        """Compute every metric, of the first replicate."""
        return {name: float(values[0]) for name, values in self.compute().items()}

    def value(self, name: str) -> float:
        """Compute one metric, of the first replicate."""
        return float(METRICS[name].of(self)[0])

    def sum(self, values: npt.NDArray[Any]) -> Array:
        """Add up values of entries, [n_mixtures, n_anything]; [n_replicates]."""
        return np.asarray(self.counts @ values.sum(axis=1).astype(float))

    def mean(self, values: npt.NDArray[Any], of: metrics.Mask | None = None) -> Array:
        """Average values over the marked entries, by default over all; [n_replicates]."""
        marked = self.everything if of is None else of
        return _ratio(self.sum(np.where(marked, values, 0)), self.sum(marked))

    def per_mixture(self, values: npt.NDArray[Any]) -> Array:
        """Average the sum of each mixture's values over the mixtures; [n_replicates]."""
        return np.asarray(self.sum(values) / self.counts.sum(axis=1))

    def spread(self, first: Array, second: Array) -> Array:
        """Sum the products of the deviations from the mean over all entries; [n_replicates]."""
        return self.sum(first * second) - self.sum(first) * self.sum(second) / self.sum(self.everything)


def calibration_bins(probability: Array) -> npt.NDArray[np.intp]:
    """Give the number of the bin that each probability falls into."""
    return np.minimum((probability * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)


def _ratio(numerator: Array, denominator: Array) -> Array:
    undefined = np.full(np.shape(denominator), np.nan)
    return np.asarray(np.divide(numerator, denominator, out=undefined, where=denominator > 0))


def _pearson_r(s: Scores) -> Array:
    predicted = s.spread(s.predicted, s.predicted)
    # A constant prediction leaves only rounding errors here, not a spread.
    predicted = np.where(predicted > 1e-12 * s.sum(s.everything), predicted, np.nan)
    return s.spread(s.true, s.predicted) / np.sqrt(s.spread(s.true, s.true) * predicted)


def _f1(s: Scores) -> Array:
    twice = 2 * s.sum(s.present & s.called)
    return _ratio(twice, twice + s.sum((s.called != s.present) & s.labelled))


def _matthews_correlation(s: Scores) -> Array:
    tp, fp = s.sum(s.present & s.called), s.sum(s.absent & s.called)
    fn, tn = s.sum(s.present & ~s.called), s.sum(s.absent & ~s.called)
    margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    # As sklearn: 0 where a margin is empty.
    return np.where(margins > 0, (tp * tn - fp * fn) / np.sqrt(np.maximum(margins, 1)), 0.0)


def _by_threshold(s: Scores, *keys: Array) -> Iterator[tuple[Array, Array]]:
    """Count the present entries and all entries from each threshold on, from the highest; one pair per replicate.

    Entries are ordered by the first of the ``keys``, [n_mixtures, n_tissues], those equal in it by the next one. No
    threshold lies between entries that are equal in all.
    """
    ranked = [-key[s.labelled] for key in keys]
    order = np.lexsort(ranked[::-1])
    differs = np.any([np.diff(key[order], append=np.inf) != 0 for key in ranked], axis=0)
    ends, label = np.nonzero(differs)[0], s.present[s.labelled][order]
    mixture = np.nonzero(s.labelled)[0][order]
    for counts in s.counts:
        weight = counts[mixture]
        yield np.cumsum(weight * label)[ends], np.cumsum(weight)[ends]


def _average_precision(s: Scores) -> Array:
    """Compute ``sum_k (recall_k - recall_(k-1)) precision_k`` over the thresholds."""
    found = np.full(len(s.counts), np.nan)
    for row, (positives, calls) in enumerate(_by_threshold(s, s.probability)):
        if len(calls) and positives[-1] > 0:
            precision = np.divide(positives, calls, out=np.zeros_like(calls), where=calls > 0)
            found[row] = (np.diff(positives, prepend=0.0) * precision).sum() / positives[-1]
    return found


def _area_under_roc(s: Scores) -> Array:
    """Compute the probability that a present entry ranks above an absent one; equal ones count as a half.

    Entries rank by presence probability; where it is equal, or not given, by proportion.
    """
    keys = (s.probability, s.predicted) if len(s.probability) else (s.predicted,)
    found = np.full(len(s.counts), np.nan)
    for row, (positives, calls) in enumerate(_by_threshold(s, *keys)):
        negatives = calls - positives
        if len(calls) and positives[-1] > 0 and negatives[-1] > 0:
            area = np.trapezoid(np.append(0, positives), np.append(0, negatives))
            found[row] = area / (positives[-1] * negatives[-1])
    return found


def _calibration_error(s: Scores, of: tuple[float, float] = (0, 1)) -> Array:
    """Compute the calibration error of the entries whose probability is in a range."""
    bins = calibration_bins(s.probability)
    counted = s.labelled & (s.probability >= of[0]) & (s.probability <= of[1])
    excess = np.where(counted, s.probability - s.present, 0)
    gaps = [np.abs(s.sum(np.where(bins == number, excess, 0))) for number in range(CALIBRATION_BINS)]
    return _ratio(np.sum(gaps, axis=0), s.sum(counted))


def _called(low: float, high: float) -> Callable[[Scores], Array]:
    """Make the metric: the proportion of entries with a true proportion in [low, high) that are called."""
    ends = low - metrics.ROUNDING, high - metrics.ROUNDING
    return lambda s: s.mean(s.called, s.present & (s.true >= ends[0]) & (s.true < ends[1]))


def _median_ratio(s: Scores) -> Array:
    ratio, mixture = s.predicted[s.present] / s.true[s.present], np.nonzero(s.present)[0]
    order = np.argsort(ratio, kind="stable")
    found = np.full(len(s.counts), np.nan)
    for row, counts in enumerate(s.counts):
        running = np.cumsum(counts[mixture[order]])
        if len(running) and running[-1] > 0:
            middle = np.floor((running[-1] - 1) / 2) + 1, np.floor(running[-1] / 2) + 1
            found[row] = ratio[order][np.searchsorted(running, middle)].mean()
    return found


class Metric(NamedTuple):
    """The function of a metric, [n_replicates], and the optional field of `Scores` that it needs."""

    of: Callable[[Scores], Array]
    needs: str = "true"


# In the order of metrics.json.
METRICS = {
    "mae": Metric(lambda s: s.mean(np.abs(s.error))),
    "rmse": Metric(lambda s: np.sqrt(s.mean(s.error**2))),
    "r2": Metric(lambda s: 1 - _ratio(s.sum(s.error**2), s.spread(s.true, s.true))),
    "pearson_r": Metric(_pearson_r),
    "mae_present": Metric(lambda s: s.mean(np.abs(s.error), s.present)),
    "spurious_per_mixture": Metric(lambda s: s.per_mixture(s.absent & s.called)),
    "false_mass": Metric(lambda s: s.per_mixture(np.where(s.absent, s.predicted, 0))),
    "exact_zero_absent": Metric(lambda s: s.mean(s.predicted == 0, s.absent)),
    "missed_per_mixture": Metric(lambda s: s.per_mixture(s.present & ~s.called)),
    "presence_accuracy": Metric(lambda s: s.mean(s.called == s.present, s.labelled)),
    "presence_precision": Metric(lambda s: s.mean(s.present, s.called & s.labelled)),
    "presence_recall": Metric(lambda s: s.mean(s.called, s.present)),
    "presence_f1": Metric(_f1),
    "presence_mcc": Metric(_matthews_correlation),
    "presence_auprc": Metric(_average_precision, "probability"),
    "presence_auroc": Metric(_area_under_roc),
    "presence_ece": Metric(_calibration_error, "probability"),
    # Most entries are certain, and would hide how well the others are calibrated.
    "presence_ece_uncertain": Metric(lambda s: _calibration_error(s, (0.05, 0.95)), "probability"),
    "called_1_to_5": Metric(_called(0.01, 0.05)),
    "called_5_to_10": Metric(_called(0.05, 0.1)),
    "prediction_ratio": Metric(_median_ratio),
    "predicted_tissues": Metric(lambda s: s.per_mixture(s.called)),
    "interval_coverage_present": Metric(lambda s: s.mean(metrics.covered(s.true, s.low, s.high), s.present), "low"),
    "interval_coverage_absent": Metric(lambda s: s.mean(metrics.covered(s.true, s.low, s.high), s.absent), "low"),
    "interval_width_present": Metric(lambda s: s.mean(s.high - s.low, s.present), "low"),
    "background_mae": Metric(lambda s: s.per_mixture(s.background_error), "background"),
    "background_within_3": Metric(
        lambda s: s.per_mixture(s.background_error <= metrics.BACKGROUND_MARGIN + metrics.ROUNDING), "background"
    ),
}
