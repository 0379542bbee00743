"""Differences between two arms, with intervals over mixtures of the same donors and over donors."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from methmix.arms import MAIN
from methmix.evaluation.bootstrap import interval, replicates
from methmix.evaluation.donor_intervals import (
    jackknife_interval,
    leaving_donors_out,
    student_interval,
    without_each_donor,
)
from methmix.report.arm_results import ArmResult, read_result
from methmix.report.metric_labels import HEADLINE, chosen
from methmix.scores import METRICS, Scores

logger = logging.getLogger("methmix")

# Metrics that are good when low, by which an arm can be better than another.
_DISTANCE = "distance_of_prediction_ratio_from_1"
COMPARED = chosen("mae", "spurious_per_mixture", "missed_per_mixture", "false_mass", "background_mae", _DISTANCE)


def read_draws(path: Path | None, results: list[ArmResult]) -> list[dict[str, Any]]:
    """Read the draws of donors in donors.json; none without the file, with real donors, or of earlier results."""
    if path is None or not path.is_file():
        return []
    draws: list[dict[str, Any]] = read_result(path, "draw donors again: snakemake donors_<phase>")["draws"]
    if len(draws) < 2:
        return []
    seed = results[0].metrics["provenance"]["seed"]
    own: dict[str, Any] = next((draw["arms"] for draw in draws if draw["seed"] == seed), {})
    if any(own.get(r.arm, {}).get(name) != r.metrics[name] for r in results for name in HEADLINE):
        logger.warning("%s: is of earlier results and is not used; draw donors again: snakemake donors_<phase>", path)
        return []
    return draws


def over_draws(draws: list[dict[str, Any]], arm: str) -> dict[str, Any]:
    """Summarise an arm over draws of donors: ``<metric>_donors_mean``, ``<metric>_donors_ci95``, ``donor_draws``."""
    content: dict[str, Any] = {}
    for name in _common([draw["arms"][arm] for draw in draws]):
        values = [draw["arms"][arm][name] for draw in draws]
        content |= {f"{name}_donors_mean": _mean(values), f"{name}_donors_ci95": student_interval(values)}
    return {**content, "donor_draws": len(draws)} if draws else {}


def difference(
    main: ArmResult, other: ArmResult, n_bootstrap: int, seed: int, draws: list[dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Subtract the metrics of another arm from those of the main one.

    ``ci95`` is a paired bootstrap over mixtures of the same donors, ``donors_ci95`` over donors: paired by draw, with
    the mean difference ``donors_mean``, or else by a jackknife where the donors are real. Of the metrics in `COMPARED`,
    ``better`` is the arm that is better over donors, "no clear difference" or "not known".
    ``distance_of_prediction_ratio_from_1`` is added, since a ratio is good when it is near 1, not when it is low.
    """
    pair = [Scores(r.true, r.predicted, r.probability, background=r.background) for r in (main, other)]
    estimates = _minus(*(scores.estimate() for scores in pair))
    drawn = _minus(*(replicates(scores, n_bootstrap, seed) for scores in pair))
    content: dict[str, dict[str, Any]] = {
        name: {"estimate": float(value), "ci95": interval(drawn[name])} for name, value in estimates.items()
    }
    over_donors: dict[str, dict[str, Any]] = {}
    if draws:
        over_donors = draw_differences(draws, main.arm, other.arm)
    elif "donor_draws" in main.metrics:
        counts = without_each_donor(main.donors)
        left_out = _minus(*(leaving_donors_out(scores, counts) for scores in pair))
        over_donors = {n: {"donors_ci95": jackknife_interval(value, left_out[n])} for n, value in estimates.items()}
    for name, entry in content.items():
        entry |= over_donors.get(name, {})
        if name in COMPARED:
            entry["better"] = _better(entry.get("donors_ci95", [None]), other.arm)
    return content


def draw_differences(draws: list[dict[str, Any]], main: str, other: str) -> dict[str, dict[str, Any]]:
    """Subtract the metrics of an arm from those of the main one in each draw: ``donors_mean``, ``donors_ci95``."""
    pairs = [[_defined(draw["arms"][arm]) for arm in (main, other)] for draw in draws]
    by_draw = [_minus(*pair) for pair in pairs]
    values = {name: [found[name] for found in by_draw] for name in _common(by_draw)}
    return {
        name: {"donors_mean": _mean(found), "donors_ci95": student_interval(found)} for name, found in values.items()
    }


def _better(ends: Sequence[float | None], other: str) -> str:
    known = [end for end in ends if end is not None]
    if len(known) < 2:
        return "not known"
    return MAIN if known[1] < 0 else other if known[0] > 0 else "no clear difference"


def _minus(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    distances = [np.abs(values["prediction_ratio"] - 1) for values in (first, second)]
    differences = {name: first[name] - second[name] for name in first if name in second}
    return {**differences, _DISTANCE: distances[0] - distances[1]}


def _defined(values: dict[str, Any]) -> dict[str, float]:
    return {name: np.nan if values[name] is None else values[name] for name in METRICS if name in values}


def _common(rows: list[dict[str, Any]]) -> list[str]:
    return [name for name in rows[0] if all(name in row for row in rows)] if rows else []


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and np.isfinite(value)]
    return float(np.mean(known)) if known else None
