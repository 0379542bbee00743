"""What is known of each sample after prediction; table, record and report are renderings of it."""

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from methmix.models.prediction import Array, Prediction
from methmix.normals.panel import Panel
from methmix.prediction.against_normals import AboveNormals
from methmix.prediction.goodness_of_fit import ODD, SHIFTED, Fit
from methmix.samples.sample_sheet import Sample

# Row of the component that the reference lacks.
UNKNOWN = "unknown"
# No estimates where the standard error of every tissue exceeds the first; for models without one, with fewer regions.
_WORST_ERROR, _FEWEST_REGIONS = 0.5, 0.01
_FEW_REGIONS = 0.5
_RESEMBLES_NOTHING = "does not resemble any mixture of the reference tissues: no estimates"
_NOT_SEEN = "no resemblance to the reference tissues, or too few reads to see it"
_OF_VERDICT = {
    SHIFTED: "shifted: poor fit, like most samples of this run",
    ODD: "odd: poor fit, methylation not explained by the reference tissues",
}
# A large tumour differs from its tissue's profile by more than controls differ from each other.
_UNLIKE_CONTROLS = "odd: differs from the controls by more than the profiles of the tissues explain"


@dataclass(frozen=True)
class SampleResult:
    """One sample, with the mean depth of the regions in which it has reads; None for what is not estimated.

    ``prediction`` is its row of the model's prediction: arrays [n_tissues], numbers for its goodness of fit; NaN for a
    limit of detection that is not available; None if the reads are too few, or resemble no mixture of the reference
    tissues. ``fit`` is its goodness of fit, None with too few reads, and ``verdict`` what `goodness_of_fit.verdicts`
    makes of it. ``above_normals`` is what it has beside a panel of normals, None without one. ``nnls`` are the
    proportions by NNLS on the model's own profiles, [n_tissues], ``unknown`` the proportion of the unknown component,
    0-1, and ``explanation`` the regions that drive its calls (plain data, see `methmix.prediction.explanation`).
    ``unlike`` is the correlation with the model's mean profile of a sample that is refused for it
    (`methmix.samples.sample_identity`). ``without_tissues``: it has none of the tissues asked for.
    """

    sample: Sample
    regions_found: int
    regions_observed: int
    mean_depth: float
    prediction: Prediction | None
    nnls: Array | None = None
    unknown: float | None = None
    fit: Fit | None = None
    verdict: str | None = None
    unlike: float | None = None
    without_tissues: bool = False
    above_normals: AboveNormals | None = None
    explanation: dict[str, Any] | None = None

    @property
    def on_few_regions(self) -> list[str]:
        """Tissues whose calls rest on few regions."""
        calls = self.explanation["calls"] if self.explanation else []
        return [call["tissue"] for call in calls if call["rests_on_few_regions"]]

    @property
    def poor_fit(self) -> bool:
        """Whether the reference tissues do not explain the methylation of a sample with estimates."""
        return self.prediction is not None and self.fit is not None and self.fit.beyond

    def flags(self, n_regions: int) -> list[str]:
        """Name in words what is unusual; ``n_regions`` is the number of the model's regions."""
        observed = f"{self.regions_observed} of {n_regions} regions observed"
        if self.prediction is None:
            if self.without_tissues:
                return ["has none of the tissues of --tissues: no estimates"]
            if self.unlike is not None:
                return [
                    f"correlation with the mean profile of the reference {self.unlike:.2f} ({observed}), of samples it "
                    "is above 0.3: of another genome build, or no methylation: no estimates"
                ]
            if self.fit is None:
                return [f"too few reads ({observed})"]
            # Without a limit, below the depths of the calibration, it may be chance.
            return [_RESEMBLES_NOTHING if self.fit.misfit_limit else f"{_NOT_SEEN} ({observed}): no estimates"]
        flags = [_OF_VERDICT[self.verdict]] if self.verdict in _OF_VERDICT else []
        if self.verdict == ODD and self.above_normals is not None:
            flags = [_UNLIKE_CONTROLS]
        if self.regions_observed < _FEW_REGIONS * n_regions:
            flags.append(f"only {observed}")
        few = self.on_few_regions
        return [*flags, f"on few regions: {', '.join(few)}"] if few else flags


@dataclass
class Cohort:
    """All samples that are predicted together, in the order of sheet or files, by a model of so many regions.

    ``matching`` states how well each file matches the model's regions, ``notes`` what holds for all samples.
    ``background`` are tissues not of interest. ``presence_threshold`` is the one that they are predicted at, 0-1; None
    without a gate, and where a panel of normals decides instead. ``panel`` is the panel of normals that they are
    compared with, None without one. ``thinned`` are those of groups again, at mean depth ``one_depth``; empty if
    none are compared.
    """

    tissues: list[str]
    n_regions: int
    results: list[SampleResult] = field(default_factory=list)
    matching: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    presence_threshold: float | None = None
    panel: Panel | None = None
    background: list[str] = field(default_factory=list)
    one_depth: float | None = None
    thinned: list[SampleResult] = field(default_factory=list)

    @property
    def answered(self) -> list[tuple[SampleResult, Prediction]]:
        """The samples with estimates, each with its prediction."""
        return [(result, result.prediction) for result in self.results if result.prediction is not None]

    @property
    def unknown(self) -> bool:
        """Whether an unknown component is estimated (`methmix.prediction.unknown_component`)."""
        return any(result.unknown is not None for result in self.results)


def split(found: Prediction, depth: npt.NDArray[np.float32]) -> list[Prediction | None]:
    """Split a prediction into its samples; None where the reads, [n, n_regions], are too few."""
    if found.error is None:
        enough = (depth > 0).sum(axis=1) >= _FEWEST_REGIONS * depth.shape[1]
    else:
        enough = (found.error <= _WORST_ERROR).any(axis=1)
    if found.limit is not None:
        # From a proportion of 1 on it is no limit.
        found = replace(found, limit=np.where(found.limit < 1, found.limit, np.nan))
    arrays: dict[str, Any] = {quantity.name: getattr(found, quantity.name) for quantity in fields(found)}
    rows = ({name: v[row] for name, v in arrays.items() if v is not None} for row in range(len(enough)))
    return [Prediction(**own) if some else None for own, some in zip(rows, enough, strict=True)]


def shown(proportion: float, limit: float | None, upper: float | None = None) -> str:
    """Write a proportion for a reader, for example ``3.4 %``, ``0 (up to 1.2 %; limit 2.5 %)``.

    ``limit`` is its limit of detection, ``upper`` the upper end of its interval; None or NaN where they are not known.
    """
    if proportion > 0:
        return in_percent(proportion)
    of_limit = "limit not known" if limit is None or np.isnan(limit) else f"limit {in_percent(limit)}"
    return f"0 ({of_limit})" if upper is None or np.isnan(upper) else f"0 (up to {in_percent(upper)}; {of_limit})"


def in_percent(proportion: float) -> str:
    """Write a proportion in per cent, with two significant digits or one decimal."""
    return f"{100 * proportion:.2g} %" if proportion < 0.0995 else f"{100 * proportion:.1f} %"
