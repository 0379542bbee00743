"""All metrics of the contract, with bootstrap intervals.

Each metric is written once, as a function of how often each mixture is counted: all once gives the estimate, the
counts of a bootstrap resample give a replicate. Definitions of absent, present, trace and called are those of
`methmix.metrics`.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from methmix import metrics

Array = npt.NDArray[np.float64]

# Equal-width bins of the expected calibration error (Guo et al. 2017, ICML).
ECE_BINS = 15
# Bootstrap replicates whose entry-wise counts are held at once.
_CHUNK = 50


class Scores:
    """Metrics of one arm on one set of mixtures.

    Parameters
    ----------
    true, predicted
        Proportions, [n_mixtures, n_tissues].
    probability
        Probability that each tissue is present, [n_mixtures, n_tissues], 0-1.
    low, high
        90 % interval of each proportion, if there is one: its coverage and width are metrics then.
    background
        Columns of the tissues that make up a background, if there is one: how well their sum is told is a metric then.
    """

    def __init__(
        self,
        true: Array,
        predicted: Array,
        probability: Array,
        low: Array | None = None,
        high: Array | None = None,
        *,
        background: Sequence[int] = (),
    ) -> None:
        self.n_mixtures, self.n_tissues = true.shape
        error = predicted - true
        absent, present = metrics.absent(true), metrics.present(true)
        called = predicted >= metrics.PRESENT
        labelled = absent | present
        per_mixture = {
            "n": np.ones_like(true),
            "absolute": np.abs(error),
            "squared": error**2,
            "true": true,
            "true_squared": true**2,
            "predicted": predicted,
            "predicted_squared": predicted**2,
            "product": true * predicted,
            "present": present,
            "absolute_present": np.where(present, np.abs(error), 0),
            "absent": absent,
            "false_mass": np.where(absent, predicted, 0),
            "zero_absent": absent & (predicted == 0),
            "called": called,
            "true_positive": present & called,
            "false_positive": absent & called,
            "false_negative": present & ~called,
            "true_negative": absent & ~called,
        }
        self._intervals = low is not None and high is not None
        if low is not None and high is not None:
            covered = metrics.covered(true, low, high)
            per_mixture["covered_present"] = present & covered
            per_mixture["covered_absent"] = absent & covered
            per_mixture["width_present"] = np.where(present, high - low, 0)
        self._sums = {name: values.sum(axis=1).astype(float) for name, values in per_mixture.items()}
        self._background = bool(background)
        if background:
            off = metrics.background_error(true, predicted, list(background))
            self._sums |= {"background_off": np.abs(off), "background_held": metrics.background_held(off).astype(float)}
        self._bin_excess = _bin_excess(true, probability)
        self._ranked = _Ranked(probability[labelled], present[labelled], np.nonzero(labelled)[0])
        self._ratio = _Sorted(predicted[present] / true[present], np.nonzero(present)[0])

    def estimate(self) -> dict[str, float]:
        """Compute every metric; NaN where it is not defined (no present entry, no call)."""
        return {name: float(values[0]) for name, values in self._compute(np.ones((1, self.n_mixtures))).items()}

    def replicates(self, n_bootstrap: int, seed: int) -> dict[str, Array]:
        """Compute every metric on bootstrap resamples of the mixtures.

        The same seed and number of mixtures give the same resamples, so that the replicates of two arms are paired.

        Returns
        -------
        dict
            Metric -> values, [n_bootstrap].
        """
        parts = [self._compute(counts) for counts in resamples(self.n_mixtures, n_bootstrap, seed)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _compute(self, counts: Array) -> dict[str, Array]:
        """Compute every metric; ``counts`` is [n_replicates, n_mixtures], the result [n_replicates] each."""
        s = {name: counts @ values for name, values in self._sums.items()}
        mixtures = counts.sum(axis=1)
        tp, fp, fn, tn = (s[k] for k in ("true_positive", "false_positive", "false_negative", "true_negative"))
        n = s["n"]
        total_squares = s["true_squared"] - s["true"] ** 2 / n
        predicted_squares = s["predicted_squared"] - s["predicted"] ** 2 / n
        covariance = s["product"] - s["true"] * s["predicted"] / n
        # A constant prediction leaves only rounding errors here, not a spread.
        spread = np.where(predicted_squares > 1e-12 * n, predicted_squares, np.nan)
        precision, recall = _ratio(tp, tp + fp), _ratio(tp, tp + fn)
        margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        return {
            "mae": s["absolute"] / n,
            "rmse": np.sqrt(s["squared"] / n),
            "r2": 1 - _ratio(s["squared"], total_squares),
            "pearson_r": covariance / np.sqrt(total_squares * spread),
            "mae_present": _ratio(s["absolute_present"], s["present"]),
            "spurious_per_mixture": fp / mixtures,
            "false_mass": s["false_mass"] / mixtures,
            "exact_zero_absent": _ratio(s["zero_absent"], s["absent"]),
            "missed_per_mixture": fn / mixtures,
            "presence_accuracy": _ratio(tp + tn, tp + tn + fp + fn),
            "presence_precision": precision,
            "presence_recall": recall,
            "presence_f1": _ratio(2 * tp, 2 * tp + fp + fn),
            # As sklearn: 0 where a margin is empty.
            "presence_mcc": np.where(margins > 0, (tp * tn - fp * fn) / np.sqrt(np.maximum(margins, 1)), 0.0),
            "presence_auprc": self._ranked.average_precision(counts),
            "presence_ece": _ratio(np.abs(counts @ self._bin_excess).sum(axis=1), tp + tn + fp + fn),
            "prediction_ratio": self._ratio.median(counts),
            "predicted_tissues": s["called"] / mixtures,
            **(self._of_intervals(s) if self._intervals else {}),
            **(self._of_background(s, mixtures) if self._background else {}),
        }

    @staticmethod
    def _of_intervals(sums: dict[str, Array]) -> dict[str, Array]:
        return {
            "interval_coverage_present": _ratio(sums["covered_present"], sums["present"]),
            "interval_coverage_absent": _ratio(sums["covered_absent"], sums["absent"]),
            "interval_width_present": _ratio(sums["width_present"], sums["present"]),
        }

    @staticmethod
    def _of_background(sums: dict[str, Array], mixtures: Array) -> dict[str, Array]:
        return {
            "background_mae": sums["background_off"] / mixtures,
            "background_within_3_points": sums["background_held"] / mixtures,
        }


def resamples(n_mixtures: int, n_bootstrap: int, seed: int) -> Iterator[Array]:
    """Yield how often each mixture is drawn in each of some bootstrap resamples, [n_replicates, n_mixtures]."""
    rng = np.random.default_rng(seed)
    for start in range(0, n_bootstrap, _CHUNK):
        drawn = rng.integers(n_mixtures, size=(min(_CHUNK, n_bootstrap - start), n_mixtures))
        yield np.stack([np.bincount(row, minlength=n_mixtures) for row in drawn]).astype(float)


def expected_calibration_error(true: Array, probability: Array) -> float:
    """Compute the calibration error of entries [n_mixtures, n_tissues] that are absent or present; NaN without any."""
    number = (metrics.absent(true) | metrics.present(true)).sum()
    return float(np.abs(_bin_excess(true, probability).sum(axis=0)).sum() / number) if number else float("nan")


def _bin_excess(true: Array, probability: Array) -> Array:
    """Add up, in each mixture and bin, the probability above what is really present; [n_mixtures, ECE_BINS]."""
    present = metrics.present(true)
    bins = np.minimum((probability * ECE_BINS).astype(int), ECE_BINS - 1)
    excess = np.where(metrics.absent(true) | present, probability - present, 0)
    return np.stack([np.where(bins == b, excess, 0).sum(axis=1) for b in range(ECE_BINS)], axis=1)


class _Sorted:
    """Values of entries, sorted, each belonging to a mixture."""

    def __init__(self, values: Array, mixture: npt.NDArray[np.intp]) -> None:
        order = np.argsort(values, kind="stable")
        self._values = values[order]
        self._mixture = mixture[order]

    def median(self, counts: Array) -> Array:
        """Compute the median over entries, each counted as often as its mixture."""
        if not len(self._values):
            return np.full(len(counts), np.nan)
        medians = []
        for running in np.cumsum(counts[:, self._mixture], axis=1):
            number = running[-1]
            if number == 0:
                medians.append(np.nan)
                continue
            middle = np.searchsorted(running, [np.floor((number - 1) / 2) + 1, np.floor(number / 2) + 1])
            medians.append(self._values[middle].mean())
        return np.array(medians)


class _Ranked:
    """Labelled entries in falling order of their score."""

    def __init__(self, score: Array, label: npt.NDArray[np.bool_], mixture: npt.NDArray[np.intp]) -> None:
        order = np.argsort(-score, kind="stable")
        self._label = label[order].astype(float)
        self._mixture = mixture[order]
        ranked = score[order]
        # Equal scores cannot be told apart by a threshold: precision is taken at the last of them.
        self._ends = np.nonzero(np.append(ranked[1:] != ranked[:-1], True))[0] if len(ranked) else np.array([], int)

    def average_precision(self, counts: Array) -> Array:
        """Compute ``sum_k (recall_k - recall_(k-1)) precision_k`` over the thresholds."""
        return np.array([self._one(row) for row in counts])

    def _one(self, counts: Array) -> float:
        weight = counts[self._mixture]
        positives = np.cumsum(weight * self._label)[self._ends]
        calls = np.cumsum(weight)[self._ends]
        if not len(positives) or positives[-1] == 0:
            return float("nan")
        precision = np.divide(positives, calls, out=np.zeros_like(calls), where=calls > 0)
        return float((np.diff(positives, prepend=0.0) * precision).sum() / positives[-1])


def _ratio(numerator: Array, denominator: Array) -> Array:
    quotient: Array = np.divide(
        numerator, denominator, out=np.full(np.shape(denominator), np.nan), where=denominator > 0
    )
    return quotient


def interval(replicates: Array) -> list[float | None]:
    """Give the 95 % percentile interval of bootstrap replicates as [low, high], None where undefined."""
    known = replicates[np.isfinite(replicates)]
    if not len(known):
        return [None, None]
    low, high = np.quantile(known, [0.025, 0.975])
    return [float(low), float(high)]


def with_intervals(
    scores: Scores, n_bootstrap: int, seed: int
) -> Iterator[tuple[str, float | list[float | None] | None]]:
    """Yield each metric and then its ``<name>_ci95``."""
    estimate = scores.estimate()
    replicates = scores.replicates(n_bootstrap, seed)
    for name, value in estimate.items():
        yield name, value if np.isfinite(value) else None
        yield f"{name}_ci95", interval(replicates[name])
