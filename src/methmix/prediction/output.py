"""The table and the record of a run."""

from typing import Any

import numpy as np
import pandas as pd

from methmix import provenance
from methmix.prediction.results import UNKNOWN, Array, Result, Run, shown
from methmix.training.card import STATEMENT

COLUMNS = [
    *("sample", "tissue", "proportion", "presence_probability"),
    *("interval_low", "interval_high", "limit_of_detection", "below_limit", "nnls_proportion"),
]


def table(run: Run) -> pd.DataFrame:
    """Make the table of all samples and tissues.

    Returns
    -------
    DataFrame
        A row for each sample and tissue, and for the unknown component if it is estimated, with `COLUMNS`, and
        ``patient``, ``date``, ``group`` where any sample has them. What is not known is missing; of a sample whose
        reads tell nothing, everything.
    """
    parts = [_rows(run, result) for result in run.results]
    whole = pd.concat(parts, ignore_index=True)
    for name in ("patient", "date", "group"):
        values = [str(getattr(result.sample, name) or "") for result in run.results]
        if any(values):
            whole[name] = np.repeat(values, [len(part) for part in parts])
    return whole


def content(run: Run, card: dict[str, Any], groups: dict[str, Any] | None = None) -> dict[str, Any]:
    """Make the record of a run, as plain data for JSON.

    Parameters
    ----------
    run
        All samples.
    card
        Of the model (`model_card`).
    groups
        How they compare (`methmix.prediction.groups.compare`).
    """
    return {
        "statement": STATEMENT,
        "samples": [_of_sample(run, result) for result in run.results],
        "groups": groups,
        "matching": {"n_regions": run.n_regions, "files": run.matching},
        "notes": run.notes,
        "model": card,
        "commit": provenance.commit(),
        "versions": provenance.versions(),
    }


def _rows(run: Run, result: Result) -> pd.DataFrame:
    tissues = [*run.tissues, UNKNOWN] if run.unknown else run.tissues
    proportions = result.proportions
    if proportions is not None and result.unknown is not None:
        proportions = np.append(proportions, result.unknown)
    columns = {
        "proportion": proportions,
        "presence_probability": result.probability,
        "interval_low": result.low,
        "interval_high": result.high,
        "limit_of_detection": result.limit,
        "below_limit": None,
        "nnls_proportion": result.nnls,
    }
    rows = pd.DataFrame({"sample": result.sample.name, "tissue": tissues})
    for name, values in columns.items():
        # What is not known of the tissues, and of the unknown component, is missing.
        known = np.empty(0) if values is None else values
        rows[name] = np.pad(known, (0, len(tissues) - len(known)), constant_values=np.nan)
    rows["below_limit"] = None if proportions is None else proportions == 0
    return rows


def _of_sample(run: Run, result: Result) -> dict[str, Any]:
    sample = result.sample
    return {
        "sample": sample.name,
        "file": str(sample.file),
        "patient": sample.patient or None,
        "date": sample.date.isoformat() if sample.date else None,
        "group": sample.group or None,
        "answered": result.proportions is not None,
        "proportions": tissues_of(run, result),
        "regions": {"model": run.n_regions, "found": result.regions_found, "observed": result.regions_observed},
        "mean_depth": round(result.mean_depth, 3),
        "fit": {
            "misfit": result.misfit,
            "misfit_limit": result.misfit_limit,
            "cetygo": result.rmse,
            "fits": None if result.misfit_limit is None else not result.does_not_fit,
        },
        "flags": result.flags(run.n_regions),
    }


def tissues_of(run: Run, result: Result) -> dict[str, dict[str, Any]]:
    """Say what is known of each tissue in a sample; nothing where its reads tell nothing."""
    if result.proportions is None:
        return {}
    limits = _numbers(result.limit, run)
    known: dict[str, dict[str, Any]] = {
        tissue: {
            "proportion": proportion,
            "shown": shown(proportion, limit),
            "presence_probability": probability,
            "interval": None if low is None or high is None else [low, high],
            "limit_of_detection": limit,
            "nnls_proportion": nnls,
        }
        for tissue, proportion, probability, low, high, limit, nnls in zip(
            run.tissues,
            result.proportions.tolist(),
            _numbers(result.probability, run),
            _numbers(result.low, run),
            _numbers(result.high, run),
            limits,
            _numbers(result.nnls, run),
            strict=True,
        )
    }
    if result.unknown is not None:
        known[UNKNOWN] = {
            **dict.fromkeys(known[run.tissues[0]]),
            "proportion": result.unknown,
            "shown": shown(result.unknown, None) if result.unknown else "0",
        }
    return known


def _numbers(values: Array | None, run: Run) -> list[float | None]:
    """Give numbers as JSON has them, None where one is not known."""
    if values is None:
        return [None] * len(run.tissues)
    return [value if np.isfinite(value) else None for value in values.tolist()]
