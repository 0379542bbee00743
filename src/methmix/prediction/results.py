"""What is known of each sample after prediction."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from methmix.models.prediction import Prediction
from methmix.prediction.sheet import Sample

Array = npt.NDArray[np.float64]

# Row of the component that the reference does not have.
UNKNOWN = "unknown"
# With standard errors above this of every tissue nothing can be said; for models that tell none: with fewer regions.
_WORST_ERROR, _FEWEST_REGIONS = 0.5, 0.01
_FEW_REGIONS = 0.5


@dataclass(frozen=True)
class Result:
    """One sample; arrays are [n_tissues], None for what the model does not tell.

    Parameters
    ----------
    sample
        Which one.
    regions_found
        Regions of the model that its file has.
    regions_observed
        Of these, those in which the sample has reads.
    mean_depth
        Reads of an observed region, on average.
    proportions, probability, low, high, limit
        As in `Prediction`; ``proportions`` is None where the reads tell nothing.
    misfit, misfit_limit, rmse
        Goodness of fit, as in `Inference`.
    nnls
        Proportions by plain non-negative least squares.
    unknown
        Share of the unknown component; None if it is not estimated.
    """

    sample: Sample
    regions_found: int
    regions_observed: int
    mean_depth: float
    proportions: Array | None
    probability: Array | None = None
    low: Array | None = None
    high: Array | None = None
    limit: Array | None = None
    misfit: float | None = None
    misfit_limit: float | None = None
    rmse: float | None = None
    nnls: Array | None = None
    unknown: float | None = None

    @property
    def does_not_fit(self) -> bool:
        """Whether the sample contains something that the reference does not."""
        return self.misfit is not None and self.misfit_limit is not None and self.misfit > self.misfit_limit

    def flags(self, n_regions: int) -> list[str]:
        """Say in words what is odd; ``n_regions`` is the number of the model's regions."""
        if self.proportions is None:
            return [f"too few reads to say anything ({self.regions_observed} of {n_regions} regions observed)"]
        said = []
        if self.does_not_fit:
            said.append("contains something that the reference does not")
        if self.regions_observed < _FEW_REGIONS * n_regions:
            said.append(f"only {self.regions_observed} of {n_regions} regions observed")
        return said


@dataclass
class Run:
    """All samples of a run.

    Parameters
    ----------
    tissues
        Names, in the order of every array.
    n_regions
        Of the model.
    results
        In the order of sheet or files.
    matching
        For each file how well it fits the model's regions.
    notes
        What holds for all samples.
    unknown
        Whether an unknown component is estimated (`methmix.prediction.unknown`).
    """

    tissues: list[str]
    n_regions: int
    results: list[Result] = field(default_factory=list)
    matching: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unknown: bool = False


def results_of(
    samples: list[Sample],
    found: Prediction,
    depth: npt.NDArray[np.float32],
    regions_found: int,
    nnls: Array | None = None,
) -> list[Result]:
    """Take a prediction apart into samples; where the reads tell nothing, no numbers are left.

    Parameters
    ----------
    samples
        One for each row.
    found
        What the model says.
    depth
        Reads, [n, n_regions].
    regions_found
        Of the file that they are from.
    nnls
        Proportions by plain non-negative least squares, [n, n_tissues].
    """
    observed = depth > 0
    n_observed = observed.sum(axis=1)
    mean_depth = depth.sum(axis=1, dtype=np.float64) / np.maximum(n_observed, 1)
    if found.error is None:
        told = n_observed >= _FEWEST_REGIONS * depth.shape[1]
    else:
        told = (found.error <= _WORST_ERROR).any(axis=1)
    results = []
    for row, sample in enumerate(samples):
        known = Result(sample, regions_found, int(n_observed[row]), float(mean_depth[row]), None)
        if told[row]:
            limit = _row(found.limit, row)
            known = replace(
                known,
                proportions=found.proportions[row],
                probability=_row(found.presence_probability, row),
                low=_row(found.low, row),
                high=_row(found.high, row),
                # A limit that is no share is not known.
                limit=None if limit is None else np.where(limit < 1, limit, np.nan),
                misfit=_number(found.misfit, row),
                misfit_limit=_number(found.misfit_limit, row),
                rmse=_number(found.rmse, row),
                nnls=_row(nnls, row),
            )
        results.append(known)
    return results


def answered(run: Run) -> list[Result]:
    """Give the samples that have numbers."""
    return [result for result in run.results if result.proportions is not None]


def shown(proportion: float, limit: float | None) -> str:
    """Write a proportion for a reader, for example ``3.4 %``, ``0 (below 1.2 %)``."""
    if proportion > 0:
        return f"{100 * proportion:.2g} %" if proportion < 0.0995 else f"{100 * proportion:.1f} %"
    return "0 (limit not known)" if limit is None or np.isnan(limit) else f"0 (below {100 * limit:.2g} %)"


def _row(values: Array | None, row: int) -> Array | None:
    return None if values is None else values[row]


def _number(values: Array | None, row: int) -> float | None:
    return float(values[row]) if values is not None and np.isfinite(values[row]) else None
