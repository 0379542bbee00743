"""Confounding: whether depth or batch alone distinguishes groups of samples that are compared."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import MonteCarloMethod, fisher_exact
from scipy.stats.contingency import association

from methmix import seeds
from methmix.prediction.group_comparison import auc, compare, draws, holm, with_interval
from methmix.prediction.sample_results import Cohort, SampleResult

_SIGNIFICANT = 0.05
_N_TABLES = 9999


def compare_and_check(cohort: Cohort, control_group: str, background: Sequence[str], seed: int) -> dict[str, Any]:
    """Compare groups as they are and at one depth, and test whether depth or batch alone distinguishes them.

    Returns
    -------
    dict
        Plain data for JSON: what `compare` gives; ``groups_at_one_depth`` and ``all_at_one_depth``, its ``groups`` and
        ``all`` of the samples at one depth, and ``one_depth``, that ``depth`` and the number of samples below it, which
        are as they are; ``confounding``.
    """
    thinned = replace(cohort, results=cohort.thinned)
    depths = [result.mean_depth for result, _ in cohort.answered if result.sample.group]
    at_one_depth = compare(thinned, control_group, background, seed) if cohort.thinned else None
    return {
        **compare(cohort, control_group, background, seed),
        "one_depth": {"depth": cohort.one_depth, "n_below": sum(depth < (cohort.one_depth or 0) for depth in depths)},
        "groups_at_one_depth": at_one_depth["groups"] if at_one_depth else [],
        "all_at_one_depth": at_one_depth["all"] if at_one_depth else None,
        "confounding": confounding(cohort, control_group, seed),
    }


def confounding(cohort: Cohort, control_group: str, seed: int) -> dict[str, Any]:
    """Test whether mean depth or batch alone distinguishes each group from the controls.

    Returns
    -------
    dict
        Plain data for JSON. ``groups`` have of each group but the controls ``depth``: ``auc``, how often a sample of
        the group is deeper than a control, with its bootstrap interval, and the ``median`` depth of both; and
        ``batch``, None without two batches: ``cramers_v`` of group and batch, ``p`` of Fisher's exact test (for more
        than two batches by Monte Carlo), ``p_holm`` adjusted over the groups, ``n`` samples with a batch, and
        ``separate``, whether no batch has samples of both. ``warnings`` says in words what distinguishes which group.
    """
    of_group: dict[str, list[SampleResult]] = {}
    for result, _ in cohort.answered:
        of_group.setdefault(result.sample.group, []).append(result)
    controls = of_group.pop(control_group, [])
    of_group.pop("", None)
    rows: list[dict[str, Any]] = []
    for group in sorted(of_group) if controls else []:
        rng = seeds.generator(seed, "confounding", group)
        own = of_group[group]
        rows.append({"group": group, "n": len(own), "depth": _depth(own, controls, rng)})
        rows[-1]["batch"] = _batch(own, controls, rng)
    tested = [row["batch"] for row in rows if row["batch"]]
    for batch, adjusted in zip(tested, holm([batch["p"] for batch in tested]), strict=True):
        batch["p_holm"] = adjusted
    warnings = [words for row in rows for words in _warnings(row, control_group)]
    return {"groups": rows, "warnings": warnings}


def _depth(cases: Sequence[SampleResult], controls: Sequence[SampleResult], rng: np.random.Generator) -> dict[str, Any]:
    depths = [np.array([result.mean_depth for result in group]) for group in (cases, controls)]
    areas = auc(*depths, *draws((len(cases), len(controls)), rng))
    return {"auc": with_interval(areas), "median": [float(np.median(depth)) for depth in depths]}


def _batch(
    cases: Sequence[SampleResult], controls: Sequence[SampleResult], rng: np.random.Generator
) -> dict[str, Any] | None:
    batches = [[result.sample.batch for result in group if result.sample.batch] for group in (cases, controls)]
    names = sorted({*batches[0], *batches[1]})
    if len(names) < 2 or not all(batches):
        return None
    table = np.array([[group.count(name) for name in names] for group in batches])
    method = MonteCarloMethod(n_resamples=_N_TABLES, rng=rng) if len(names) > 2 else None
    return {
        "cramers_v": float(association(table, method="cramer")),
        "p": float(fisher_exact(table, method=method).pvalue),
        "n": int(table.sum()),
        "separate": not (table > 0).all(axis=0).any(),
    }


def _warnings(row: dict[str, Any], control_group: str) -> list[str]:
    """State what distinguishes a group from the controls, one sentence each."""
    found, depth, batch = [], row["depth"], row["batch"]
    low, high = depth["auc"]["ci95"]
    if low is not None and not low <= 0.5 <= high:
        own, other = depth["median"]
        found.append(
            f"depth alone distinguishes {row['group']} from {control_group} (AUC {depth['auc']['estimate']:.2f}, 95 % "
            f"interval {low:.2f} to {high:.2f}; median depth {own:.3g} and {other:.3g}): a difference in their "
            "proportions may be one of depth, so look at the comparison at one depth"
        )
    if batch and batch["separate"]:
        found.append(
            f"no batch has samples of both {row['group']} and {control_group}: a difference between the groups cannot "
            "be distinguished from one between batches"
        )
    elif batch and batch["p_holm"] < _SIGNIFICANT:
        found.append(
            f"batch distinguishes {row['group']} from {control_group} (Cramér's V {batch['cramers_v']:.2f}, Fisher's "
            f"exact test, p {batch['p_holm']:.2g} after Holm): a difference in their proportions may be one of batches"
        )
    return found
