"""Comparison of groups of samples, cases against controls, by the summed proportion of the tissues of interest."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import mannwhitneyu

from methmix import seeds
from methmix.errors import InputError
from methmix.evaluation.bootstrap import interval
from methmix.models.prediction import Array, Prediction
from methmix.prediction.sample_results import Cohort, SampleResult
from methmix.samples.sample_sheet import Sample

N_BOOTSTRAP = 2000
# With fewer samples in a group, intervals are not reliable.
FEW = 5
SPECIFICITY = 0.95

Times = npt.NDArray[Any]


def check_groups(
    sheet: list[Sample] | None, tissues: Sequence[str], control_group: str | None, background: Sequence[str] | None
) -> None:
    """Check, before anything is predicted, that `compare` can do what is asked for; all None: nothing is asked for."""
    if control_group is not None:
        if background is None:
            raise InputError(
                "--control-group: expected --background too",
                "--background names the tissues that are not of interest, for example the blood cell types",
            )
        groups = {sample.group for sample in sheet or []} - {""}
        if control_group not in groups or len(groups) == 1:
            raise InputError(
                f"--control-group: expected one of two or more groups of the samples sheet, found {control_group!r}",
                f"its column group has {', '.join(sorted(groups)) or 'none'}",
            )
    for name in background or []:
        if name not in tissues:
            hint = f"it knows {', '.join(sorted(tissues))}"
            raise InputError(f"--background: {name!r} is no tissue of the model", hint)
    if set(tissues) <= set(background or []):
        raise InputError("--background: has all tissues of the model, so none is of interest")


def compare(cohort: Cohort, control_group: str, background: Sequence[str], seed: int) -> dict[str, Any]:
    """Compare each group with the controls, by the summed proportion of all tissues but the background.

    Beside a panel of normals that is the sum of what exceeds the controls, called or not.

    Intervals are 95 % percentiles of a bootstrap that draws cases and controls each among themselves; both methods see
    the same draws, so that their difference is paired. Samples without estimates are left out.

    Returns
    -------
    dict
        Plain data for JSON. ``groups``, the controls first, have ``n``, ``samples``, and of each method (``model``;
        ``nnls``, if the model has profiles) ``sums``, ``mean`` and ``median``; all but the controls have ``auc`` of
        each method and ``model_minus_nnls``, an ``estimate`` with its ``ci95`` each, ``p`` of each method
        (Mann-Whitney, two-sided) and ``p_holm``, adjusted over the groups, and ``sensitivity`` of each method at
        `SPECIFICITY`, with its ``ci95``, None with fewer than 20 controls. None where there are no samples. ``all`` is
        the same of all groups but the controls together, without adjusted ``p_holm``; None if there is one such group.
    """
    of_interest = [number for number, tissue in enumerate(cohort.tissues) if tissue not in background]
    groups = dict.fromkeys(result.sample.group for result in cohort.results if result.sample.group)
    rows = [_row(cohort, group, of_interest) for group in sorted(groups, key=lambda name: name != control_group)]
    for row in rows[1:]:
        row |= _areas(row["sums"], rows[0]["sums"], seeds.generator(seed, "groups", row["group"]))
    for method in rows[0]["sums"]:
        tested = [row for row in rows[1:] if row["p"][method] is not None]
        for row, adjusted in zip(tested, holm([row["p"][method] for row in tested]), strict=True):
            row["p_holm"][method] = adjusted
    return {
        "control_group": control_group,
        "background": list(background),
        "of_interest": [cohort.tissues[number] for number in of_interest],
        "n_bootstrap": N_BOOTSTRAP,
        "groups": rows,
        "all": _all(rows, seed) if len(rows) > 2 else None,
    }


def _all(rows: Sequence[dict[str, Any]], seed: int) -> dict[str, Any]:
    """Compare all groups but the controls, the first of the rows, together."""
    others = rows[1:]
    sums = {method: [value for row in others for value in row["sums"][method]] for method in rows[0]["sums"]}
    names = [name for row in others for name in row["samples"]]
    areas = _areas(sums, rows[0]["sums"], seeds.generator(seed, "groups", "all"))
    return {**_summary(", ".join(row["group"] for row in others), names, sums), **areas}


def _sum(result: SampleResult, found: Prediction, of_interest: list[int]) -> float:
    above = result.above_normals
    return float(found.proportions[of_interest].sum()) if above is None else above.total


def _row(cohort: Cohort, group: str, of_interest: list[int]) -> dict[str, Any]:
    own = [(result, found) for result, found in cohort.answered if result.sample.group == group]
    sums = {"model": [_sum(result, found, of_interest) for result, found in own]}
    if all(result.nnls is not None for result, _ in cohort.answered):
        sums["nnls"] = [float(result.nnls[of_interest].sum()) for result, _ in own if result.nnls is not None]
    return _summary(group, [result.sample.name for result, _ in own], sums)


def _summary(group: str, samples: list[str], sums: dict[str, list[float]]) -> dict[str, Any]:
    return {
        "group": group,
        "n": len(samples),
        "samples": samples,
        "sums": sums,
        "mean": {method: float(np.mean(values)) if values else None for method, values in sums.items()},
        "median": {method: float(np.median(values)) if values else None for method, values in sums.items()},
    }


def _areas(cases: dict[str, list[float]], controls: dict[str, list[float]], rng: np.random.Generator) -> dict[str, Any]:
    none = dict.fromkeys(cases)
    sizes = len(cases["model"]), len(controls["model"])
    if 0 in sizes:
        return {"auc": none, "model_minus_nnls": None, "p": none, "p_holm": {**none}, "sensitivity": none}
    times = draws(sizes, rng)
    # In an order of their own, so that that of the sheet does not change the intervals.
    orders = [np.lexsort([*sums.values()][::-1]) for sums in (cases, controls)]
    pairs = {
        method: (np.array(values)[orders[0]], np.array(controls[method])[orders[1]]) for method, values in cases.items()
    }
    areas = {method: auc(*pair, *times) for method, pair in pairs.items()}
    return {
        "auc": {method: with_interval(values) for method, values in areas.items()},
        "model_minus_nnls": with_interval(areas["model"] - areas["nnls"]) if "nnls" in areas else None,
        "p": {method: float(mannwhitneyu(*pair).pvalue) for method, pair in pairs.items()},
        "p_holm": {**none},
        "sensitivity": {
            method: with_interval(sensitivity(*pair, *times)) if sizes[1] * (1 - SPECIFICITY) >= 1 - 1e-9 else None
            for method, pair in pairs.items()
        },
    }


def draws(sizes: Sequence[int], rng: np.random.Generator) -> list[Times]:
    """Draw how often each sample of some groups occurs in each draw of a bootstrap, [1 + `N_BOOTSTRAP`, n] each.

    The first draw is the samples as observed.
    """
    return [np.vstack([np.ones(n, dtype=np.int64), rng.multinomial(n, np.full(n, 1 / n), N_BOOTSTRAP)]) for n in sizes]


def auc(cases: Array, controls: Array, times_case: Times, times_control: Times) -> Array:
    """Compute the area under the ROC curve of each draw, [n_draws], in which samples occur so many times.

    It is the Mann-Whitney statistic divided by the number of pairs: how often a case has more than a control, a tie
    counting half. ``times_case`` are [n_draws, n_cases], ``times_control`` [n_draws, n_controls].
    """
    wins = (cases[:, None] > controls) + (cases[:, None] == controls) / 2
    pairs = times_case.sum(axis=1) * times_control.sum(axis=1)
    area: Array = ((times_case @ wins) * times_control).sum(axis=1) / pairs
    return area


def sensitivity(cases: Array, controls: Array, times_case: Times, times_control: Times) -> Array:
    """Compute the proportion of cases above the smallest value that `SPECIFICITY` of the controls do not exceed.

    Of each draw, [n_draws]; arguments as for `auc`.
    """
    order = np.argsort(controls, kind="stable")
    up_to = times_control[:, order].cumsum(axis=1)
    # An exact 95 % is enough, whatever the rounding of the product.
    enough = up_to >= SPECIFICITY * up_to[:, -1:] - 1e-9
    threshold = controls[order][enough.argmax(axis=1)]
    above: Array = (times_case * (cases > threshold[:, None])).sum(axis=1) / times_case.sum(axis=1)
    return above


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values of several tests, so that any is as rarely wrong as one (Holm 1979, Scand. J. Stat. 6:65)."""
    n, order = len(p_values), np.argsort(p_values, kind="stable")
    adjusted = np.empty(n)
    adjusted[order] = np.maximum.accumulate(np.array(p_values)[order] * np.arange(n, 0, -1)).clip(max=1)
    return [float(p) for p in adjusted]


def with_interval(values: Array) -> dict[str, Any]:
    """Give the estimate of the first draw, and the interval of the others."""
    return {"estimate": float(values[0]), "ci95": interval(values[1:])}
