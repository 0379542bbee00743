"""How donors of one tissue differ: a model, and its fit to real replicates.

A donor's methylation in a region is drawn around its tissue's mean ``m`` as ::

    logit(own) = logit(m) + scale * exp(-tilt * (m - 1/2)) * donor_factor * t
    t          ~ Student(degrees_of_freedom)
    donor      = (1 - admixture) * own + admixture * other tissue

The first two lines are variation that is independent between regions; on the fraction scale its variance goes
with ``(m (1 - m))^2``, larger on the unmethylated side, which is what the replicates show. The third line is
the structured part: no sorted or dissected sample is pure. ``donor_factor`` is log-normal, ``admixture``
exponential; both are one number a donor, as the choice of the other tissue is.

The shipped parameters (``donor_variation.json``) are the output of
``python -m methmix.reference fit-variation``; the file names the whole command and the digest of its input.
"""

import json
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import expit, logit

from methmix.errors import InputError
from methmix.files.reference import Reference, mean_of_observed
from methmix.nnls import normalise, solve_normal_equations
from methmix.reference.counts import read_counts_table
from methmix.reference.samples import parse_tissue

Array = npt.NDArray[np.float64]

# Share of a sample that is allowed to be something else: beyond it the sample would carry the wrong name.
MAXIMUM_ADMIXTURE = 0.4
# Logits are taken of fractions this far from 0 and 1.
_EDGE = 0.002
# Regions in which reads are a negligible part of the difference between replicates.
_MIDDLE = (0.2, 0.8)
_MINIMUM_DEPTH = 20
_MINIMUM_REGIONS = 20
_ITERATIONS = 5
_REDRAWS = 20
# The tumour types of the MetDecode atlas; all others there are healthy blood cells.
TUMOUR_TYPES = frozenset({"BRCA", "CEAD", "CESC", "COAD", "OV", "READ"})


@dataclass(frozen=True)
class DonorVariation:
    """Parameters of the model above.

    Parameters
    ----------
    scale
        Spread of a typical donor around its tissue on the logit scale, > 0.
    tilt
        How much less methylated regions vary than unmethylated ones, on the logit scale.
    degrees_of_freedom
        Of the Student distribution; small means that a few regions differ much, > 2.
    donor_spread
        Standard deviation of the logarithm of ``donor_factor``, >= 0.
    mean_admixture
        Mean share of other tissues in a donor, 0-1.
    """

    scale: float
    tilt: float
    degrees_of_freedom: float
    donor_spread: float
    mean_admixture: float

    @classmethod
    def shipped(cls, kind: str) -> "DonorVariation":
        """Read the fitted parameters of ``healthy`` or ``tumour`` replicates."""
        stored = json.loads(files("methmix.reference").joinpath("donor_variation.json").read_text())
        return cls(**stored["parameters"][kind])

    def draw(self, means: Array, tissue: int, relatives: list[int], rng: np.random.Generator) -> Array:
        """Draw the methylation of one donor.

        Parameters
        ----------
        means
            Mean methylation of all tissues, shape [n_tissues, n_regions], 0-1, NaN where unknown.
        tissue
            Row of the donor's tissue.
        relatives
            Rows of the tissues that may be admixed.
        rng
            Random generator.

        Returns
        -------
        ndarray
            Shape [n_regions], 0-1, NaN where the tissue's mean is unknown.
        """
        factor = self.scale * np.exp(self.donor_spread * rng.standard_normal())
        spread = factor * np.exp(-self.tilt * (means[tissue] - 0.5))
        deviation = spread * rng.standard_t(self.degrees_of_freedom, means.shape[1])
        own: Array = expit(logit(np.clip(means[tissue], _EDGE, 1 - _EDGE)) + deviation)
        # A mean at the very edge (0 in an atlas of fractions) stays there: there is nothing to vary.
        own = np.where((means[tissue] <= 0) | (means[tissue] >= 1), means[tissue], own)
        admixture = min(rng.exponential(self.mean_admixture), MAXIMUM_ADMIXTURE)
        if not relatives:
            return own
        other = means[rng.choice(relatives)]
        # What is unknown in the other tissue is taken to be as in this one.
        own = (1 - admixture) * own + admixture * np.where(np.isnan(other), own, other)
        return own


def read_replicates(path: Path) -> Reference:
    """Read a counts table with donors named ``<tissue>-<number>`` to fit the model to; nothing is split.

    Raises
    ------
    InputError
        See `methmix.reference.counts.read_counts_table`; a donor is not named so.
    """
    donors, regions, methylated, depth = read_counts_table(path, duplicate_regions="deepest")
    tissues = [parse_tissue(path, donor) for donor in donors]
    # In one order whatever the table's, since the fit draws donor after donor.
    order = sorted(range(len(donors)), key=lambda i: (tissues[i], donors[i]))
    return Reference(
        methylated=methylated[order],
        depth=depth[order],
        donors=[donors[i] for i in order],
        tissues=[tissues[i] for i in order],
        split=["train"] * len(order),
        regions=regions,
    )


def fit(reference: Reference, seed: int) -> dict[str, Any]:
    """Fit the model to the replicates of a reference, healthy and tumour types apart.

    Returns
    -------
    dict
        ``parameters`` (per kind, the fields of `DonorVariation`) and ``evidence``: what was measured, and the
        between-donor variance by methylation, observed and by the model.
    """
    kinds = {
        "healthy": [t for t in reference.tissue_names if t not in TUMOUR_TYPES],
        "tumour": [t for t in reference.tissue_names if t in TUMOUR_TYPES],
    }
    fitted = {kind: _fit_kind(reference, tissues, seed) for kind, tissues in kinds.items() if tissues}
    return {
        "parameters": {kind: asdict(parameters) for kind, (parameters, _) in fitted.items()},
        "evidence": {kind: evidence for kind, (_, evidence) in fitted.items()},
    }


def _fit_kind(reference: Reference, tissues: list[str], seed: int) -> tuple[DonorVariation, dict[str, Any]]:
    groups = [[i for i, name in enumerate(reference.tissues) if name == tissue] for tissue in tissues]
    replicated = [rows for rows in groups if len(rows) >= 2]
    if not replicated:
        raise InputError("fit-variation: no tissue has two replicates")
    residuals = []
    for rows in replicated:
        deep = (reference.depth[rows] >= _MINIMUM_DEPTH).all(axis=0)
        fractions = reference.fractions[rows][:, deep].astype(float)
        mean = fractions.mean(axis=0)
        middle = (mean > _MIDDLE[0]) & (mean < _MIDDLE[1])
        if middle.sum() < _MINIMUM_REGIONS:
            raise InputError(
                f"fit-variation: {reference.tissues[rows[0]]}: {middle.sum()} regions have at least "
                f"{_MINIMUM_DEPTH} reads in all replicates and a methylation of {_MIDDLE[0]}-{_MIDDLE[1]}; "
                f"expected {_MINIMUM_REGIONS}"
            )
        logits = logit(np.clip(fractions[:, middle], _EDGE, 1 - _EDGE))
        # Deviations from a mean that the donor itself is in are too small by this factor.
        shrinkage = np.sqrt(1 - 1 / len(rows))
        residuals.extend((logits - logits.mean(axis=0)) / shrinkage)
    donor_scales = np.array([stats.median_abs_deviation(r, scale="normal") for r in residuals])
    typical = float(np.exp(np.log(donor_scales).mean()))
    standardised = np.concatenate([r / s * typical for r, s in zip(residuals, donor_scales, strict=True)])
    freedom, _, first_scale = stats.t.fit(standardised, floc=0)
    parameters = DonorVariation(
        scale=float(first_scale),
        tilt=0.0,
        degrees_of_freedom=round(max(float(freedom), 2.1), 2),
        donor_spread=round(float(np.log(donor_scales).std(ddof=1)), 3),
        mean_admixture=0.0,
    )
    # The Student fit gives the shape; its scale still contains reads and heeds only the middle. Adjust the
    # rest until redrawn donors differ as the observed ones do: in variance, overall and along methylation,
    # and in how much of a donor looks like other tissues, to which variation without admixture adds as well.
    variance = between_donor_variance(reference, tissues)
    by_bin = variance_by_methylation(reference, tissues)
    impurity = 1 - leave_one_out_purity(reference, tissues)
    reached = _measure(reference, tissues, parameters, seed)
    for _ in range(_ITERATIONS):
        if min(variance, reached.variance) <= 0:
            raise InputError(f"fit-variation: replicates of {', '.join(tissues)} differ no more than reads do")
        admixture = parameters.mean_admixture + float(np.nanmean(impurity) - np.nanmean(reached.impurity))
        parameters = replace(
            parameters,
            scale=round(parameters.scale * float(np.sqrt(variance / reached.variance)), 4),
            tilt=round(parameters.tilt + _tilt_correction(np.array(by_bin), reached.by_bin), 3),
            mean_admixture=round(min(max(admixture, 0.0), MAXIMUM_ADMIXTURE / 2), 4),
        )
        reached = _measure(reference, tissues, parameters, seed)
    evidence = {
        "tissues": tissues,
        "n_donors": sum(len(rows) for rows in replicated),
        "leave_one_out_impurity": {"observed": _summary(impurity), "model": _summary(reached.impurity)},
        "between_donor_variance": {
            "methylation": _BINS,
            "observed": by_bin,
            "model": [round(float(value), 6) for value in reached.by_bin],
        },
    }
    return parameters, evidence


class _Measured(NamedTuple):
    """What redrawn donors look like: averages over redraws, and the impurity of all their donors."""

    variance: float
    by_bin: Array
    impurity: Array


def _measure(reference: Reference, tissues: list[str], variation: DonorVariation, seed: int) -> _Measured:
    """Redraw all donors several times, since a few dozen drawn once say little, and measure them."""
    variance, by_bin, impurity = [], [], []
    for number in range(_REDRAWS):
        drawn = redraw(reference, tissues, variation, np.random.default_rng([seed, number]))
        variance.append(between_donor_variance(drawn, tissues))
        by_bin.append(variance_by_methylation(drawn, tissues))
        impurity.append(1 - leave_one_out_purity(drawn, tissues))
    return _Measured(float(np.mean(variance)), np.mean(by_bin, axis=0), np.concatenate(impurity))


def _tilt_correction(observed: Array, reached: Array) -> float:
    """Tell what to add to the tilt, from the variance between donors by methylation."""
    # Where reads explain the whole difference between replicates, what is left of the variance is noise.
    known = (observed > 0) & (reached > 0)
    if known.sum() < 2:
        return 0.0
    middles = (np.array(_BINS[:-1]) + np.array(_BINS[1:])) / 2
    slope = np.polyfit(middles[known], np.log(observed[known] / reached[known]), 1)[0]
    return -float(slope) / 2


def redraw(reference: Reference, tissues: list[str], variation: DonorVariation, rng: np.random.Generator) -> Reference:
    """Replace every donor of ``tissues`` by one drawn around its tissue's mean, at its own depth."""
    rows_of = [[i for i, name in enumerate(reference.tissues) if name == tissue] for tissue in tissues]
    means = np.stack([mean_of_observed(reference.fractions[rows].astype(float)) for rows in rows_of])
    methylated = reference.methylated.copy()
    for own, rows in enumerate(rows_of):
        others = [i for i in range(len(tissues)) if i != own]
        for row in rows:
            drawn = variation.draw(means, own, others, rng)
            methylated[row] = rng.binomial(reference.depth[row], np.nan_to_num(drawn))
    return replace(reference, methylated=methylated)


def leave_one_out_proportions(reference: Reference, tissues: list[str] | None = None) -> Array:
    """Tell what each donor looks made of to NNLS, its own tissue being known from the other donors only.

    Parameters
    ----------
    reference
        All donors.
    tissues
        Tissues to look at and to explain donors with, in this order; all by default.

    Returns
    -------
    ndarray
        Shape [number of donors of these tissues, n_tissues], rows in the reference's order and summing to 1;
        NaN for the only donor of a tissue, and for one without a read in the regions that all tissues know.
    """
    tissues = reference.tissue_names if tissues is None else tissues
    rows_of = {name: [i for i, t in enumerate(reference.tissues) if t == name] for name in tissues}
    fractions = reference.fractions
    means = np.stack([mean_of_observed(fractions[rows]) for rows in rows_of.values()])
    found = []
    for row, tissue in enumerate(reference.tissues):
        if tissue not in rows_of:
            continue
        profiles = means.copy()
        profiles[tissues.index(tissue)] = mean_of_observed(fractions[[i for i in rows_of[tissue] if i != row]])
        known = (reference.depth[row] > 0) & ~np.isnan(profiles).any(axis=0)
        profiles, depth = profiles[:, known], reference.depth[row, known]
        # One donor at a time, each with its own profiles: the product is cheaper here than `weighted_nnls`.
        weighted = profiles * depth
        solved = solve_normal_equations(weighted @ profiles.T, weighted @ fractions[row][known].astype(float))
        found.append(normalise(solved) if solved.any() else np.full(len(tissues), np.nan))
    return np.stack(found)


def leave_one_out_purity(reference: Reference, tissues: list[str] | None = None) -> Array:
    """Tell how much of each donor NNLS attributes to its own tissue, as seen in the other donors.

    Parameters
    ----------
    reference, tissues
        As for `leave_one_out_proportions`.

    Returns
    -------
    ndarray
        Shape [number of donors of these tissues], 0-1, in the reference's order; NaN where it cannot be told.
    """
    tissues = reference.tissue_names if tissues is None else tissues
    own = [tissues.index(name) for name in reference.tissues if name in tissues]
    return leave_one_out_proportions(reference, tissues)[np.arange(len(own)), own]


_BINS = [0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0]


def between_donor_variance(reference: Reference, tissues: list[str]) -> float:
    """Measure the variance between replicates beyond that of reads, over all regions."""
    total, number = _variance_sums(reference, tissues)
    return float(total.sum() / number.sum())


def variance_by_methylation(reference: Reference, tissues: list[str]) -> list[float]:
    """Measure the variance between replicates beyond that of reads, by mean methylation (bins `_BINS`)."""
    total, number = _variance_sums(reference, tissues)
    return [round(float(v), 6) for v in total / np.maximum(number, 1)]


def _variance_sums(reference: Reference, tissues: list[str]) -> tuple[Array, Array]:
    total, number = np.zeros(len(_BINS) - 1), np.zeros(len(_BINS) - 1)
    for tissue in tissues:
        rows = [i for i, name in enumerate(reference.tissues) if name == tissue]
        if len(rows) < 2:
            continue
        deep = (reference.depth[rows] >= _MINIMUM_DEPTH).all(axis=0)
        fractions = reference.fractions[rows][:, deep].astype(float)
        depth = reference.depth[rows][:, deep]
        reads = (fractions * (1 - fractions) / (depth - 1)).mean(axis=0)
        between = fractions.var(axis=0, ddof=1) - reads
        index = np.clip(np.digitize(fractions.mean(axis=0), _BINS) - 1, 0, len(_BINS) - 2)
        np.add.at(total, index, between)
        np.add.at(number, index, 1)
    return total, number


def _summary(values: Array) -> dict[str, float]:
    known = values[~np.isnan(values)]
    quartiles = np.quantile(known, [0.25, 0.5, 0.75, 0.9])
    names = ("lower_quartile", "median", "upper_quartile", "p90")
    return {
        "mean": round(float(known.mean()), 4),
        **{name: round(float(q), 4) for name, q in zip(names, quartiles, strict=True)},
    }
