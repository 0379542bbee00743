"""The fit of `methmix.reference.variation` to real replicates: ``python -m methmix.reference fit-variation``."""

import json
import shlex
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import logit

from methmix.errors import InputError
from methmix.files.atomic import write_text
from methmix.files.reference import Reference, mean_of_observed
from methmix.formats.counts import Request
from methmix.formats.file_formats import read_as
from methmix.reference.donors import parse_tissue
from methmix.reference.download import content_sha256
from methmix.reference.inputs import data_file
from methmix.reference.purity import leave_one_out_purity, rows_by_tissue
from methmix.reference.variation import EDGE, MAXIMUM_ADMIXTURE, DonorVariation

Array = npt.NDArray[np.float64]

# Methylation and depth at which reads are a negligible part of the difference between replicates.
_MIDDLE = (0.2, 0.8)
_MINIMUM_DEPTH = 20
_MINIMUM_REGIONS = 20
_ITERATIONS = 5
_REDRAWS = 20
_BINS = [0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0]
# The tumour types of the MetDecode atlas; all others there are healthy blood cells.
TUMOUR_TYPES = frozenset({"BRCA", "CEAD", "CESC", "COAD", "OV", "READ"})


def read_replicates(path: Path) -> Reference:
    """Read a counts table with donors named ``<tissue>-<number>`` to fit the model to; nothing is split."""
    table = read_as("counts", path, Request(duplicates="deepest"))
    tissues = [parse_tissue(path, donor) for donor in table.names]
    # In one order whatever the table's, since the fit draws donor after donor.
    order = sorted(range(len(tissues)), key=lambda i: (tissues[i], table.names[i]))
    methylated, depth = (values[order] for values in table.all())
    names, labels = [table.names[i] for i in order], [tissues[i] for i in order]
    return Reference(methylated, depth, names, labels, ["train"] * len(order), table.regions)


def write_fit(counts: str, seed: int, output: Path) -> None:
    """Fit the model to the replicates of a counts table; write the parameters, their evidence and origin."""
    table = data_file(counts)
    fitted = fit(read_replicates(table), seed)
    command = ["python", "-m", "methmix.reference", "fit-variation", "--counts", counts]
    if seed != 1:
        command += ["--seed", str(seed)]
    record = {
        "command": shlex.join([*command, "--output", str(output)]),
        "input": {"name": table.name, "sha256_uncompressed": content_sha256(table)},
        **fitted,
    }
    write_text(output, json.dumps(record, indent=1) + "\n")


def fit(reference: Reference, seed: int) -> dict[str, Any]:
    """Fit the model to the replicates of a reference, healthy and tumour types apart.

    Returns
    -------
    dict
        ``parameters`` (per kind, the fields of `DonorVariation`) and ``evidence``: what was measured, and the
        between-donor variance by methylation, observed and by the model.
    """
    kinds: dict[str, list[str]] = {"healthy": [], "tumour": []}
    for tissue in reference.tissue_names:
        kinds["tumour" if tissue in TUMOUR_TYPES else "healthy"].append(tissue)
    fitted = {kind: _fit_kind(reference, tissues, seed) for kind, tissues in kinds.items() if tissues}
    return {
        "parameters": {kind: asdict(parameters) for kind, (parameters, _) in fitted.items()},
        "evidence": {kind: evidence for kind, (_, evidence) in fitted.items()},
    }


def _fit_kind(reference: Reference, tissues: list[str], seed: int) -> tuple[DonorVariation, dict[str, Any]]:
    replicated = [rows for rows in rows_by_tissue(reference, tissues).values() if len(rows) >= 2]
    if not replicated:
        raise InputError("fit-variation: no tissue has two replicates")
    parameters = _student([row for rows in replicated for row in _residuals(reference, rows)])
    # The Student fit gives the shape; its scale still contains the variance of reads, and that of the middle only.
    # Adjust the rest until redrawn donors differ as the observed ones do: in variance, overall and along methylation,
    # and in how much of a donor looks like other tissues, to which variation without admixture adds as well.
    observed = _measure(reference, tissues)
    reached = _measure_redrawn(reference, tissues, parameters, seed)
    for _ in range(_ITERATIONS):
        if min(observed.variance, reached.variance) <= 0:
            raise InputError(f"fit-variation: replicates of {', '.join(tissues)} differ no more than reads do")
        parameters = _adjusted(parameters, observed, reached)
        reached = _measure_redrawn(reference, tissues, parameters, seed)
    evidence = {
        "tissues": tissues,
        "n_donors": sum(len(rows) for rows in replicated),
        "leave_one_out_impurity": {"observed": _summary(observed.impurity), "model": _summary(reached.impurity)},
        "between_donor_variance": {
            "methylation": _BINS,
            "observed": observed.by_bin.tolist(),
            "model": [round(float(value), 6) for value in reached.by_bin],
        },
    }
    return parameters, evidence


def _residuals(reference: Reference, rows: list[int]) -> Array:
    """Compute deviations of replicates from their mean on the logit scale, where reads are negligible."""
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
    logits: Array = logit(np.clip(fractions[:, middle], EDGE, 1 - EDGE))
    # Deviations from a mean that the donor itself is in are too small by this factor.
    residuals: Array = (logits - logits.mean(axis=0)) / np.sqrt(1 - 1 / len(rows))
    return residuals


def _student(residuals: list[Array]) -> DonorVariation:
    """Fit the shape of the distribution to the residuals of each donor, and how their scale varies between donors."""
    scales = np.array([stats.median_abs_deviation(of_donor, scale="normal") for of_donor in residuals])
    typical = float(np.exp(np.log(scales).mean()))
    standardised = np.concatenate([r / s * typical for r, s in zip(residuals, scales, strict=True)])
    freedom, _, scale = stats.t.fit(standardised, floc=0)
    return DonorVariation(
        scale=float(scale),
        tilt=0.0,
        degrees_of_freedom=round(max(float(freedom), 2.1), 2),
        donor_spread=round(float(np.log(scales).std(ddof=1)), 3),
        mean_admixture=0.0,
    )


def _adjusted(parameters: DonorVariation, observed: "_Measured", reached: "_Measured") -> DonorVariation:
    """Move scale, tilt and admixture by the remaining difference between observed and redrawn donors."""
    impurity = float(np.nanmean(observed.impurity) - np.nanmean(reached.impurity))
    admixture = min(max(parameters.mean_admixture + impurity, 0.0), MAXIMUM_ADMIXTURE / 2)
    return replace(
        parameters,
        scale=round(parameters.scale * float(np.sqrt(observed.variance / reached.variance)), 4),
        tilt=round(parameters.tilt - _slope(observed.by_bin, reached.by_bin) / 2, 3),
        mean_admixture=round(admixture, 4),
    )


class _Measured(NamedTuple):
    """How donors differ: variance in all and by methylation (bins `_BINS`), and the impurity of each donor."""

    variance: float
    by_bin: Array
    impurity: Array


def _measure(reference: Reference, tissues: list[str]) -> _Measured:
    total, number = variance_sums(reference, tissues)
    by_bin = np.array([round(float(value), 6) for value in total / np.maximum(number, 1)])
    impurity = 1 - leave_one_out_purity(reference, tissues)
    return _Measured(float(total.sum() / number.sum()), by_bin, impurity)


def _measure_redrawn(reference: Reference, tissues: list[str], variation: DonorVariation, seed: int) -> _Measured:
    """Redraw all donors several times, since a few dozen drawn once are little evidence, and measure them."""
    redrawn = (_redraw(reference, tissues, variation, np.random.default_rng([seed, n])) for n in range(_REDRAWS))
    variance, by_bin, impurity = zip(*(_measure(drawn, tissues) for drawn in redrawn), strict=True)
    return _Measured(float(np.mean(variance)), np.mean(by_bin, axis=0), np.concatenate(impurity))


def _slope(observed: Array, reached: Array) -> float:
    """Fit the slope of the logarithm of observed over redrawn variance (per bin) along methylation."""
    # Where reads explain the whole difference between replicates, the remaining variance is noise.
    known = (observed > 0) & (reached > 0)
    if known.sum() < 2:
        return 0.0
    middles = (np.array(_BINS[:-1]) + np.array(_BINS[1:])) / 2
    return float(np.polyfit(middles[known], np.log(observed[known] / reached[known]), 1)[0])


def _redraw(reference: Reference, tissues: list[str], variation: DonorVariation, rng: np.random.Generator) -> Reference:
    """Replace every donor of ``tissues`` by one drawn around the mean of its tissue, at its own depth."""
    rows_of = list(rows_by_tissue(reference, tissues).values())
    means = np.stack([mean_of_observed(reference.fractions[rows].astype(float)) for rows in rows_of])
    order = [row for rows in rows_of for row in rows]
    depths = iter(reference.depth[order])
    drawn = variation.draw_donors(tissues, [len(rows) for rows in rows_of], means, lambda _: next(depths), rng)
    methylated = reference.methylated.copy()
    methylated[order] = drawn.methylated
    return replace(reference, methylated=methylated)


def variance_sums(reference: Reference, tissues: list[str]) -> tuple[Array, Array]:
    """Sum, by bins of methylation, the variance between replicates beyond that of reads; and count its regions."""
    total, number = np.zeros(len(_BINS) - 1), np.zeros(len(_BINS) - 1)
    for rows in rows_by_tissue(reference, tissues).values():
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
    quantiles = np.quantile(known, [0.25, 0.5, 0.75, 0.9])
    names = ("mean", "lower_quartile", "median", "upper_quartile", "p90")
    return {name: round(float(value), 4) for name, value in zip(names, (known.mean(), *quantiles), strict=True)}
