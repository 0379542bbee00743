"""Bootstrap over mixtures: intervals of metrics."""

from typing import Any

import numpy as np

from methmix.scores import Array, Scores


def resamples(n_mixtures: int, n_bootstrap: int, seed: int) -> Array:
    """Draw mixtures with replacement; how often each is drawn in each resample, [n_bootstrap, n_mixtures]."""
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(n_mixtures, size=n_mixtures) for _ in range(n_bootstrap))
    return np.stack([np.bincount(rows, minlength=n_mixtures) for rows in drawn]).astype(float)


def replicates(scores: Scores, n_bootstrap: int, seed: int) -> dict[str, Array]:
    """Compute every metric on bootstrap resamples of the mixtures, [n_bootstrap] each.

    The same seed and number of mixtures give the same resamples, so that the replicates of two arms are paired.
    """
    return scores.counted(resamples(len(scores.true), n_bootstrap, seed)).compute()


def interval(values: Array) -> list[float | None]:
    """Compute the 95 % percentile interval of bootstrap replicates, [low, high]; None where undefined."""
    known = values[np.isfinite(values)]
    return [float(end) for end in np.quantile(known, [0.025, 0.975])] if len(known) else [None, None]


def with_intervals(scores: Scores, n_bootstrap: int, seed: int) -> dict[str, Any]:
    """Compute each metric, None where it is undefined, and its ``<name>_ci95``."""
    drawn = replicates(scores, n_bootstrap, seed)
    content: dict[str, Any] = {}
    for name, value in scores.estimate().items():
        content |= {name: value if np.isfinite(value) else None, f"{name}_ci95": interval(drawn[name])}
    return content
