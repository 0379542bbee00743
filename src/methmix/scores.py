"""The metrics of the contract: one function each, registered by its name with `metric`.

A metric is a function of how often each mixture is counted: all once gives the estimate, the counts of a bootstrap
resample a replicate. Training, tables and intervals use the same functions. Absent, present, trace and called are
defined in `methmix.metrics`. Confusion counts are of the calls, so that an arm is judged by the proportions that it
gives, whatever its presence probability.
"""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from methmix import metrics

Array = npt.NDArray[np.floating]

# Equal-width bins of the expected calibration error (Guo et al. 2017, ICML), and of the reliability diagram.
CALIBRATION_BINS = 15


@dataclass(frozen=True, eq=False)
class Scores:
    """Predictions beside the truth, each mixture counted some times: what a metric is computed from.

    Parameters
    ----------
    true, predicted
        Proportions, [n_mixtures, n_tissues].
    probability
        Probability that each tissue is present, [n_mixtures, n_tissues], 0-1.
    low, high
        Interval of each proportion, of the same shape.
    background
        Columns of the tissues that make up the background.
    counts
        How often each mixture is counted, [n_replicates, n_mixtures]; by default once, in one replicate.
    """

    true: Array
    predicted: Array
    probability: Array | None = None
    low: Array | None = None
    high: Array | None = None
    _: KW_ONLY
    background: Sequence[int] = ()
    counts: Array | None = None

    def compute(self) -> dict[str, Array]:
        """Compute every metric for which the data are given, [n_replicates] each; NaN where it is undefined."""
        return {name: m.function(self) for name, m in METRICS.items() if all(self._has(field) for field in m.needs)}

    def estimate(self) -> dict[str, float]:
        """Compute the first replicate of every metric for which the data are given."""
        return {name: float(values[0]) for name, values in self.compute().items()}

    def value(self, name: str) -> float:
        """Compute the first replicate of one metric."""
        return float(METRICS[name].function(self)[0])

    def given(self, field: str) -> Array:
        """Give an optional field.

        Raises
        ------
        ValueError
            There is none.
        """
        if not self._has(field):
            raise ValueError(f"these predictions have no {field}")
        values: Array = getattr(self, field)
        return values

    def _has(self, field: str) -> bool:
        values = getattr(self, field)
        return values is not None and len(values) > 0

    @cached_property
    def error(self) -> Array:
        """Predicted minus true proportion of each entry."""
        return self.predicted - self.true

    @cached_property
    def absent(self) -> metrics.Mask:
        """Absent entries."""
        return metrics.absent(self.true)

    @cached_property
    def present(self) -> metrics.Mask:
        """Present entries."""
        return metrics.present(self.true)

    @cached_property
    def labelled(self) -> metrics.Mask:
        """Entries that count in presence metrics: absent or present, not trace."""
        return self.absent | self.present

    @cached_property
    def called(self) -> metrics.Mask:
        """Entries with a predicted proportion of at least `metrics.PRESENT`."""
        return metrics.called(self.predicted)

    @cached_property
    def weights(self) -> Array:
        """How often each mixture is counted, [n_replicates, n_mixtures]."""
        return np.ones((1, len(self.true))) if self.counts is None else self.counts

    def sum(self, values: npt.NDArray[Any]) -> Array:
        """Add up values of entries, [n_mixtures, n_anything]; [n_replicates]."""
        total: Array = self.weights @ values.sum(axis=1).astype(float)
        return total

    def mean(self, values: npt.NDArray[Any], of: metrics.Mask | None = None) -> Array:
        """Average values over the marked entries (over all by default); [n_replicates]."""
        marked = np.ones(self.true.shape, dtype=bool) if of is None else of
        return _ratio(self.sum(np.where(marked, values, 0)), self.sum(marked))

    def per_mixture(self, values: npt.NDArray[Any]) -> Array:
        """Average the sum of a mixture's values over the mixtures; [n_replicates]."""
        mean: Array = self.sum(values) / self.weights.sum(axis=1)
        return mean

    def spread(self, first: Array, second: Array) -> Array:
        """Compute the sum of the products of deviations from the mean over all entries; [n_replicates]."""
        spread: Array = self.sum(first * second) - self.sum(first) * self.sum(second) / self.sum(np.ones(first.shape))
        return spread


class Metric(NamedTuple):
    """The function of a metric, and the optional fields of `Scores` that it needs."""

    function: Callable[[Scores], Array]
    needs: tuple[str, ...]


# In the order of metrics.json.
METRICS: dict[str, Metric] = {}


def metric(*needs: str) -> Callable[[Callable[[Scores], Array]], Callable[[Scores], Array]]:
    """Register a metric by the name of its function; it is computed where the fields that it needs are given."""

    def register(function: Callable[[Scores], Array]) -> Callable[[Scores], Array]:
        METRICS[function.__name__] = Metric(function, needs)
        return function

    return register


@metric()
def mae(s: Scores) -> Array:
    """Mean absolute error over all entries."""
    return s.mean(np.abs(s.error))


@metric()
def rmse(s: Scores) -> Array:
    """Root mean square error over all entries."""
    return np.sqrt(s.mean(s.error**2))


@metric()
def r2(s: Scores) -> Array:
    """Coefficient of determination over all entries."""
    return 1 - _ratio(s.sum(s.error**2), s.spread(s.true, s.true))


@metric()
def pearson_r(s: Scores) -> Array:
    """Pearson correlation over all entries."""
    predicted = s.spread(s.predicted, s.predicted)
    # A constant prediction leaves only rounding errors here, not a spread.
    predicted = np.where(predicted > 1e-12 * s.sum(np.ones(s.true.shape)), predicted, np.nan)
    correlation: Array = s.spread(s.true, s.predicted) / np.sqrt(s.spread(s.true, s.true) * predicted)
    return correlation


@metric()
def mae_present(s: Scores) -> Array:
    """Mean absolute error over present entries."""
    return s.mean(np.abs(s.error), s.present)


@metric()
def spurious_per_mixture(s: Scores) -> Array:
    """Mean number of absent tissues that are called: false-positive tissues per mixture."""
    return s.per_mixture(s.absent & s.called)


@metric()
def false_mass(s: Scores) -> Array:
    """Mean of the summed predictions of a mixture's absent tissues."""
    return s.per_mixture(np.where(s.absent, s.predicted, 0))


@metric()
def exact_zero_absent(s: Scores) -> Array:
    """Proportion of absent entries that are predicted exactly 0."""
    return s.mean(s.predicted == 0, s.absent)


@metric()
def missed_per_mixture(s: Scores) -> Array:
    """Mean number of present tissues that are not called."""
    return s.per_mixture(s.present & ~s.called)


@metric()
def presence_accuracy(s: Scores) -> Array:
    """Accuracy of the calls, over present and absent entries."""
    return s.mean(s.called == s.present, s.labelled)


@metric()
def presence_precision(s: Scores) -> Array:
    """Precision of the calls, TP / (TP + FP)."""
    return s.mean(s.present, s.called & s.labelled)


@metric()
def presence_recall(s: Scores) -> Array:
    """Sensitivity of the calls, TP / (TP + FN)."""
    return s.mean(s.called, s.present)


@metric()
def presence_f1(s: Scores) -> Array:
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN)."""
    double = 2 * s.sum(s.present & s.called)
    return _ratio(double, double + s.sum((s.called != s.present) & s.labelled))


@metric()
def presence_mcc(s: Scores) -> Array:
    """Matthews correlation of the calls; as in sklearn, 0 where a margin of the confusion matrix is empty."""
    tp, fp = s.sum(s.present & s.called), s.sum(s.absent & s.called)
    fn, tn = s.sum(s.present & ~s.called), s.sum(s.absent & ~s.called)
    margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return np.where(margins > 0, (tp * tn - fp * fn) / np.sqrt(np.maximum(margins, 1)), 0.0)


@metric("probability")
def presence_auprc(s: Scores) -> Array:
    """Average precision of the presence probability, ``sum_k (recall_k - recall_(k-1)) precision_k``."""
    score, label = s.given("probability")[s.labelled], s.present[s.labelled]
    order = np.argsort(-score, kind="stable")
    ranked, ordered = score[order], label[order].astype(float)
    mixture = np.nonzero(s.labelled)[0][order]
    # No threshold lies between equal scores: precision is taken at the last of them.
    ends = np.nonzero(np.append(ranked[1:] != ranked[:-1], True))[0] if len(ranked) else np.array([], int)
    return np.array([_average_precision(counts[mixture], ordered, ends) for counts in s.weights])


@metric("probability")
def presence_ece(s: Scores) -> Array:
    """Calibration error of the presence probability, expected over `CALIBRATION_BINS` bins."""
    probability = s.given("probability")
    bins = calibration_bins(probability)
    excess = np.where(s.labelled, probability - s.present, 0)
    gaps = sum(np.abs(s.sum(np.where(bins == number, excess, 0))) for number in range(CALIBRATION_BINS))
    return _ratio(np.asarray(gaps), s.sum(s.labelled))


@metric()
def prediction_ratio(s: Scores) -> Array:
    """Median of predicted / true over present entries."""
    ratio, mixture = s.predicted[s.present] / s.true[s.present], np.nonzero(s.present)[0]
    order = np.argsort(ratio, kind="stable")
    return np.array([_median(ratio[order], counts[mixture[order]]) for counts in s.weights])


@metric()
def predicted_tissues(s: Scores) -> Array:
    """Mean number of called tissues."""
    return s.per_mixture(s.called)


@metric("low", "high")
def interval_coverage_present(s: Scores) -> Array:
    """Proportion of present entries whose truth lies in its interval."""
    return s.mean(metrics.covered(s.true, s.given("low"), s.given("high")), s.present)


@metric("low", "high")
def interval_coverage_absent(s: Scores) -> Array:
    """Proportion of absent entries whose interval contains 0."""
    return s.mean(metrics.covered(s.true, s.given("low"), s.given("high")), s.absent)


@metric("low", "high")
def interval_width_present(s: Scores) -> Array:
    """Mean width of the intervals of present entries."""
    return s.mean(s.given("high") - s.given("low"), s.present)


@metric("background")
def background_mae(s: Scores) -> Array:
    """Mean absolute error of the background's proportion, the sum of its tissues."""
    return s.per_mixture(np.abs(_background_error(s)))


@metric("background")
def background_within_3_points(s: Scores) -> Array:
    """Proportion of mixtures whose background is within `metrics.BACKGROUND_MARGIN` of the truth."""
    return s.per_mixture(np.abs(_background_error(s)) <= metrics.BACKGROUND_MARGIN + metrics.ROUNDING)


def calibration_bins(probability: Array) -> npt.NDArray[np.intp]:
    """Give the number of the bin, 0 to `CALIBRATION_BINS` - 1, that each probability falls into."""
    return np.minimum((probability * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)


def _background_error(s: Scores) -> Array:
    error: Array = s.error[:, list(s.background)].sum(axis=1, keepdims=True)
    return error


def _average_precision(weight: Array, label: Array, ends: npt.NDArray[np.intp]) -> float:
    """Compute the average precision of entries in falling order of their score; ``ends`` of the equal ones."""
    positives, calls = np.cumsum(weight * label)[ends], np.cumsum(weight)[ends]
    if not len(positives) or positives[-1] == 0:
        return float("nan")
    precision = np.divide(positives, calls, out=np.zeros_like(calls), where=calls > 0)
    return float((np.diff(positives, prepend=0.0) * precision).sum() / positives[-1])


def _median(ordered: Array, weight: Array) -> float:
    """Compute the median of ascending values, each counted ``weight`` times."""
    running = np.cumsum(weight)
    if not len(running) or running[-1] == 0:
        return float("nan")
    middle = np.floor((running[-1] - 1) / 2) + 1, np.floor(running[-1] / 2) + 1
    return float(ordered[np.searchsorted(running, middle)].mean())


def _ratio(numerator: Array, denominator: Array) -> Array:
    undefined = np.full(np.shape(denominator), np.nan)
    quotient: Array = np.divide(numerator, denominator, out=undefined, where=denominator > 0)
    return quotient
