"""The record (JSON) of a prediction, and the table (CSV) made from it."""

import math
from typing import Any

import pandas as pd

from methmix import provenance
from methmix.models.prediction import Prediction
from methmix.prediction.sample_results import UNKNOWN, Cohort, SampleResult, shown
from methmix.prediction.statement import STATEMENT

COLUMNS = [
    *("sample", "tissue", "proportion", "presence_probability"),
    *("interval_low", "interval_high", "limit_of_detection", "below_limit", "nnls_proportion"),
]


def record_of(cohort: Cohort, card: dict[str, Any], groups: dict[str, Any] | None = None) -> dict[str, Any]:
    """Make the record, as plain data for JSON.

    Parameters
    ----------
    cohort
        All samples.
    card
        Of the model (`model_card`).
    groups
        How they compare (`methmix.prediction.group_comparison.compare`).
    """
    return {
        "statement": STATEMENT,
        "samples": [_sample(cohort, result) for result in cohort.results],
        "groups": groups,
        "matching": {"n_regions": cohort.n_regions, "files": cohort.matching},
        "notes": cohort.notes,
        "model": card,
        "commit": provenance.commit(),
        "versions": provenance.versions(),
    }


def table(cohort: Cohort, record: dict[str, Any]) -> pd.DataFrame:
    """Make the table of all samples and tissues from their record.

    Returns
    -------
    DataFrame
        A row for each sample and tissue, and for the unknown component if it is estimated, with `COLUMNS`, and
        ``patient``, ``date``, ``group`` where any sample has them. Quantities that are not estimated are missing; of a
        sample with too few reads, all are.
    """
    samples = record["samples"]
    tissues = [*cohort.tissues, UNKNOWN] if cohort.unknown else cohort.tissues
    rows = [_row(sample, tissue, sample["proportions"].get(tissue, {})) for sample in samples for tissue in tissues]
    whole = pd.DataFrame(rows, columns=COLUMNS)
    for name in ("patient", "date", "group"):
        if any(sample[name] for sample in samples):
            whole[name] = [sample[name] or "" for sample in samples for _ in tissues]
    return whole


def _row(sample: dict[str, Any], tissue: str, known: dict[str, Any]) -> list[Any]:
    proportion, interval = known.get("proportion"), known.get("interval") or [None, None]
    below_limit = None if proportion is None else proportion == 0
    quantities = [known.get(name) for name in ("presence_probability", "limit_of_detection", "nnls_proportion")]
    probability, limit, nnls = quantities
    return [sample["sample"], tissue, proportion, probability, *interval, limit, below_limit, nnls]


def _sample(cohort: Cohort, result: SampleResult) -> dict[str, Any]:
    sample, known = result.sample, result.prediction
    return {
        "sample": sample.name,
        "file": str(sample.file),
        "patient": sample.patient or None,
        "date": sample.date.isoformat() if sample.date else None,
        "group": sample.group or None,
        "answered": known is not None,
        "proportions": {} if known is None else _tissues(cohort.tissues, known, result),
        "regions": {"model": cohort.n_regions, "found": result.regions_found, "observed": result.regions_observed},
        "mean_depth": round(result.mean_depth, 3),
        "fit": dict.fromkeys(("misfit", "misfit_limit", "cetygo", "fits")) if known is None else _fit(known, result),
        "flags": result.flags(cohort.n_regions),
    }


def _fit(found: Prediction, result: SampleResult) -> dict[str, Any]:
    misfit_limit = _number(found.misfit_limit)
    return {
        "misfit": _number(found.misfit),
        "misfit_limit": misfit_limit,
        "cetygo": _number(found.rmse),
        "fits": None if misfit_limit is None else not result.poor_fit,
    }


def _tissues(names: list[str], found: Prediction, result: SampleResult) -> dict[str, dict[str, Any]]:
    """Give the estimates of each tissue, and of the unknown component if there is one."""
    quantities = (found.proportions, found.presence_probability, found.low, found.high, found.limit, result.nnls)
    columns = [[None] * len(names) if values is None else [_number(v) for v in values] for values in quantities]
    known = {name: _tissue(*values) for name, *values in zip(names, *columns, strict=True)}
    if result.unknown is not None:
        # It has no limit of detection, and a 0 is none below one.
        known[UNKNOWN] = _tissue(result.unknown) | ({} if result.unknown else {"shown": "0"})
    return known


def _tissue(
    proportion: Any, probability: Any = None, low: Any = None, high: Any = None, limit: Any = None, nnls: Any = None
) -> dict[str, Any]:
    return {
        "proportion": proportion,
        "shown": shown(proportion, limit),
        "presence_probability": probability,
        "interval": None if low is None or high is None else [low, high],
        "limit_of_detection": limit,
        "nnls_proportion": nnls,
    }


def _number(value: Any) -> float | None:
    """Give a number as JSON has it: None where it is not known."""
    return float(value) if value is not None and math.isfinite(value) else None
