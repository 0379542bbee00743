"""How donors of one tissue differ: a model, and its fit to real replicates.

A donor's methylation in a region is drawn around its tissue's mean ``m`` as ::

    logit(own) = logit(m) + scale * donor_factor * t,   t ~ Student(degrees_of_freedom)
    donor      = (1 - admixture) * own + admixture * other tissues

The first line is variation that is independent between regions; on the fraction scale its variance is about
``(m (1 - m))^2``, which is what the replicates show. The second line is the structured part: no sorted or
dissected sample is pure. ``donor_factor`` is log-normal, ``admixture`` exponential; both are one number a donor.

The shipped parameters (``donor_variation.json``) are the output of
``python -m methmix.reference fit-variation --counts <the MetDecode atlas>``.
"""

import json
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import expit, logit

from methmix.errors import InputError
from methmix.files import Reference
from methmix.nnls import normalise, weighted_nnls

Array = npt.NDArray[np.float64]

# Share of a sample that is allowed to be something else: beyond it the sample would carry the wrong name.
MAXIMUM_ADMIXTURE = 0.4
# Logits are taken of fractions this far from 0 and 1.
_EDGE = 0.002
# Regions in which reads are a negligible part of the difference between replicates.
_MIDDLE = (0.2, 0.8)
_MINIMUM_DEPTH = 20
_SCALE_ITERATIONS = 4
# The tumour types of the MetDecode atlas; all others there are healthy blood cells.
TUMOUR_TYPES = frozenset({"BRCA", "CEAD", "CESC", "COAD", "OV", "READ"})


@dataclass(frozen=True)
class DonorVariation:
    """Parameters of the model above.

    Parameters
    ----------
    scale
        Spread of a typical donor around its tissue on the logit scale, > 0.
    degrees_of_freedom
        Of the Student distribution; small means that a few regions differ much, > 2.
    donor_spread
        Standard deviation of the logarithm of ``donor_factor``, >= 0.
    mean_admixture
        Mean share of other tissues in a donor, 0-1.
    """

    scale: float
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
        deviation = factor * rng.standard_t(self.degrees_of_freedom, means.shape[1])
        own = expit(logit(np.clip(means[tissue], _EDGE, 1 - _EDGE)) + deviation)
        # A mean at the very edge (0 in an atlas of fractions) stays there: there is nothing to vary.
        own = np.where((means[tissue] <= 0) | (means[tissue] >= 1), means[tissue], own)
        admixture = min(rng.exponential(self.mean_admixture), MAXIMUM_ADMIXTURE)
        if not relatives:
            return own
        other = means[rng.choice(relatives)]
        # What is unknown in the other tissue is taken to be as in this one.
        return (1 - admixture) * own + admixture * np.where(np.isnan(other), own, other)


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
        fractions = reference.fractions[np.ix_(rows, deep)].astype(float)
        mean = fractions.mean(axis=0)
        middle = (mean > _MIDDLE[0]) & (mean < _MIDDLE[1])
        logits = logit(np.clip(fractions[:, middle], _EDGE, 1 - _EDGE))
        # Deviations from a mean that the donor itself is in are too small by this factor.
        shrinkage = np.sqrt(1 - 1 / len(rows))
        residuals.extend((logits - logits.mean(axis=0)) / shrinkage)
    donor_scales = np.array([stats.median_abs_deviation(r, scale="normal") for r in residuals])
    typical = float(np.exp(np.log(donor_scales).mean()))
    standardised = np.concatenate([r / s * typical for r, s in zip(residuals, donor_scales, strict=True)])
    freedom, _, scale = stats.t.fit(standardised, floc=0)
    independent = DonorVariation(
        scale=float(scale),
        degrees_of_freedom=round(max(float(freedom), 2.1), 2),
        donor_spread=round(float(np.log(donor_scales).std(ddof=1)), 3),
        mean_admixture=0.0,
    )
    # The Student fit gives the shape; its scale still contains reads and heeds only the middle. Adjust it until
    # the variance between replicates, over all regions, is the observed one.
    target = between_donor_variance(reference, tissues)
    for _ in range(_SCALE_ITERATIONS):
        reached = between_donor_variance(redraw(reference, tissues, independent, seed), tissues)
        independent = replace(independent, scale=round(independent.scale * np.sqrt(target / reached), 4))
    observed = 1 - leave_one_out_purity(reference, tissues)
    # Independent variation alone already costs purity in leave-one-out NNLS; only the excess is admixture.
    simulated = redraw(reference, tissues, independent, seed)
    expected = 1 - leave_one_out_purity(simulated, tissues)
    excess = max(0.0, float(np.nanmean(observed) - np.nanmean(expected)))
    parameters = replace(independent, mean_admixture=round(excess, 4))
    again = redraw(reference, tissues, parameters, seed)
    evidence = {
        "tissues": tissues,
        "n_donors": sum(len(rows) for rows in replicated),
        "leave_one_out_impurity": {
            "observed": _summary(observed),
            "independent_variation_only": _summary(expected),
            "model": _summary(1 - leave_one_out_purity(again, tissues)),
        },
        "between_donor_variance": {
            "methylation": _BINS,
            "observed": variance_by_methylation(reference, tissues),
            "model": variance_by_methylation(again, tissues),
        },
    }
    return parameters, evidence


def redraw(reference: Reference, tissues: list[str], variation: DonorVariation, seed: int) -> Reference:
    """Replace every donor of ``tissues`` by one drawn from the model around its tissue's mean, at its depth."""
    rng = np.random.default_rng(seed)
    means = np.stack(
        [
            _mean(reference.fractions[[n == tissue for n in reference.tissues]].astype(float))
            for tissue in tissues
        ]
    )
    methylated = reference.methylated.copy()
    for row, tissue in enumerate(reference.tissues):
        if tissue in tissues:
            own = tissues.index(tissue)
            drawn = variation.draw(means, own, [i for i in range(len(tissues)) if i != own], rng)
            methylated[row] = rng.binomial(reference.depth[row], np.nan_to_num(drawn))
    return Reference(
        methylated,
        reference.depth,
        reference.donors,
        reference.tissues,
        reference.split,
        reference.regions,
        reference.attributes,
    )


def leave_one_out_purity(reference: Reference, tissues: list[str] | None = None) -> Array:
    """Tell how much of each donor NNLS attributes to its own tissue, as seen in the other donors.

    Parameters
    ----------
    reference
        All donors.
    tissues
        Tissues to look at and to explain donors with; all by default.

    Returns
    -------
    ndarray
        Shape [number of donors of these tissues], 0-1, in the reference's order; NaN for the only donor of a
        tissue.
    """
    tissues = reference.tissue_names if tissues is None else tissues
    rows_of = {name: [i for i, t in enumerate(reference.tissues) if t == name] for name in tissues}
    fractions = reference.fractions.astype(float)
    means = {name: _mean(fractions[rows]) for name, rows in rows_of.items()}
    purity = []
    for row, tissue in enumerate(reference.tissues):
        if tissue not in rows_of:
            continue
        others = [i for i in rows_of[tissue] if i != row]
        if not others:
            purity.append(np.nan)
            continue
        profiles = np.stack([_mean(fractions[others]) if n == tissue else means[n] for n in tissues])
        weight = np.where(np.isnan(profiles).any(axis=0), 0, reference.depth[row])
        solved = weighted_nnls(np.nan_to_num(profiles), fractions[row][None], weight[None])
        purity.append(normalise(solved)[0, tissues.index(tissue)])
    return np.array(purity)


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
        fractions = reference.fractions[np.ix_(rows, deep)].astype(float)
        depth = reference.depth[np.ix_(rows, deep)]
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


def _mean(values: Array) -> Array:
    """Average over donors, ignoring NaN, without a warning where all are NaN."""
    observed = ~np.isnan(values)
    number = observed.sum(axis=0)
    return np.divide(
        np.where(observed, values, 0).sum(axis=0), number, out=np.full(values.shape[1], np.nan), where=number > 0
    )
