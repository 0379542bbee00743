"""The folds: all arms on the test mixtures of several folds, each with other test donors, pooled."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from methmix import seeds
from methmix.arms import ARMS
from methmix.config.load import load_experiment
from methmix.errors import InputError
from methmix.evaluation.groups import grouped
from methmix.evaluation.scores import Scores, with_intervals
from methmix.files.atomic import write_csv, write_text
from methmix.pages.axes import mark, percent_axis
from methmix.pages.style import colour, drawing, save
from methmix.pages.wording import in_unit
from methmix.report.arm_results import ArmResult, read_arms
from methmix.report.metric_labels import HEADLINE
from methmix.report.repeated_runs import Bar, Line, bars, page

logger = logging.getLogger("methmix")

# Of each mixture, whatever the number of its entries.
_PER_MIXTURE = ("spurious_per_mixture", "missed_per_mixture", "false_mass", "predicted_tissues")
_SHOWN = ("mae", "spurious_per_mixture", "missed_per_mixture", "prediction_ratio")
_ALL, _JOINED = "all folds", "all folds, grouped"


def write_folds(config: Path, runs: list[Path], arms: list[str], output: Path) -> None:
    """Write ``folds.csv``, ``folds.json``, ``folds.png`` and ``report.html``; parameters as for an ablation.

    Raises
    ------
    InputError
        There is one fold only, or a run lacks a file.
    """
    experiment = load_experiment(config)
    if len(runs) < 2:
        raise InputError("--runs: there is one fold only", "name further ones in the configuration: repeats.folds")
    settings, seed = experiment.evaluation, seeds.integer(experiment.seed, "bootstrap")
    content = pool_folds(runs, arms, settings.look_alikes, settings.n_bootstrap, seed)
    table, figure = folds_table(content), folds_figure(content)
    write_csv(output / "folds.csv", table)
    write_text(output / "folds.json", json.dumps(content, indent=2) + "\n")
    save(figure, output / "folds.png")
    write_text(output / "report.html", _page(content, table, figure))
    logger.info("report written to %s", output / "report.html")


def pool_folds(
    runs: list[Path], arms: list[str], groups: dict[str, list[str]], n_bootstrap: int, seed: int
) -> dict[str, Any]:
    """Score the test mixtures of all folds together, and say how the folds differ.

    Returns
    -------
    dict
        ``arms``: for each the metrics over all mixtures with ``<metric>_ci95``; ``folds``: metric -> value in each
        fold; ``spread``: metric -> standard deviation between them; ``grouped``: the metrics with look-alikes joined.
        ``tested_again``: tissues with fewer donors than there are folds.
    """
    by_run = [read_arms(run, arms) for run in runs]
    first = by_run[0][0]
    for run, results in zip(runs, by_run, strict=True):
        if results[0].tissues != first.tissues:
            raise InputError(f"{run}: has other tissues than {runs[0]}", "folds must be of one reference")
    donors = first.per_tissue.filter(regex="^donors_").sum(axis=1)
    return {
        "arms": {
            arm: _pooled_arm(list(results), groups, n_bootstrap, seed)
            for arm, results in zip(arms, zip(*by_run, strict=True), strict=True)
        },
        "folds": [run.parent.name for run in runs],
        "groups": groups,
        "tested_again": [t for t, n in zip(first.tissues, donors, strict=True) if n < len(runs)],
    }


def _pooled_arm(results: list[ArmResult], groups: dict[str, list[str]], n_bootstrap: int, seed: int) -> dict[str, Any]:
    """Score one arm over all folds, and in each."""
    parts = [[getattr(r, name) for r in results] for name in ("true", "predicted", "probability", "low", "high")]
    if any(np.isnan(low).all() for low in parts[3]):
        parts = parts[:3]
    entry = _pooled(parts, n_bootstrap, seed)
    metrics = [name for name in entry if not name.endswith("_ci95")]
    entry["folds"] = {name: [r.metrics[name] for r in results] for name in metrics}
    entry["spread"] = {name: _spread(values) for name, values in entry["folds"].items()}
    if groups:
        joined = [grouped(r.tissues, groups, r.true, r.predicted, r.probability) for r in results]
        entry["grouped"] = _pooled([list(values) for values in zip(*joined, strict=True)], n_bootstrap, seed)
    return entry


def _pooled(parts: list[list[np.ndarray]], n_bootstrap: int, seed: int) -> dict[str, Any]:
    """Score what each fold has of ``parts``, [n_mixtures, n_tissues] each, together.

    Mixture by mixture the folds have the same proportions and depths, of other donors. So a mixture's entries in all
    folds make one row, and a resample takes or leaves them together: as mixtures of their own they would seem more.
    """
    rows = [np.concatenate(values, axis=1) for values in parts]
    entry = dict(with_intervals(Scores(*rows), n_bootstrap, seed))
    for name in _PER_MIXTURE:
        for key in (name, f"{name}_ci95"):
            entry[key] = (np.array(entry[key], dtype=float) / len(parts[0])).tolist()
    return entry


def _spread(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.std(known, ddof=1)) if len(known) > 1 else None


def folds_table(content: dict[str, Any]) -> pd.DataFrame:
    """Make the table: a row per arm and fold, one for all folds, and one for all with look-alikes joined."""
    rows = []
    for arm, entry in content["arms"].items():
        for number, name in enumerate(content["folds"]):
            rows.append({"arm": arm, "mixtures": name, **{m: entry["folds"][m][number] for m in HEADLINE}})
        rows.append({"arm": arm, "mixtures": _ALL, **{m: entry[m] for m in HEADLINE}})
        if "grouped" in entry:
            rows.append({"arm": arm, "mixtures": _JOINED, **{m: entry["grouped"][m] for m in HEADLINE}})
    return pd.DataFrame(rows)


@drawing
def folds_figure(content: dict[str, Any]) -> Figure:
    """Draw each arm over all folds as a bar, each fold as a dot, and the score with look-alikes joined as a line."""
    rows = [
        Bar(arm, colour(arm), entry, entry["folds"], entry.get("grouped", {}))
        for arm, entry in content["arms"].items()
        if ARMS[arm].kind != "trivial"
    ]
    figure = bars(rows, _SHOWN)
    for axes, metric in zip(figure.axes, _SHOWN, strict=True):
        if metric == "mae":
            percent_axis(axes.xaxis, decimals=1)
        if metric == "prediction_ratio":
            mark(axes, 1)
            axes.set_xlim(0.85, 1.1)
    return figure


def _page(content: dict[str, Any], table: pd.DataFrame, figure: Figure) -> str:
    lines = []
    for row in table.to_dict("records"):
        spread, whole = content["arms"][row["arm"]]["spread"], row["mixtures"] == _ALL
        cells = [
            (in_unit(row[name], m.unit), f"sd of folds {in_unit(spread[name], m.unit)}" if whole else "")
            for name, m in HEADLINE.items()
        ]
        lines.append(Line(f"{row['arm']}, {row['mixtures']}", cells, whole))
    groups = "; ".join(f"{name}: {' + '.join(members)}" for name, members in content["groups"].items())
    again = ", ".join(content["tested_again"])
    return page(
        f"{content['folds'][0]}: {len(content['folds'])} folds, each with other test donors",
        f"The same arms on test mixtures of {', '.join(content['folds'])}.",
        figure,
        lines,
        "In the figure a bar is over the mixtures of all folds, a dot a fold"
        + (f", a line all folds with tissues that cannot be distinguished scored as one ({groups})" if groups else "")
        + "; axes are cut where long bars would hide the differences. The proportions and depths of the mixtures "
        "are the same in every fold; intervals are by resampling mixtures with all their folds."
        + (f" With fewer donors than folds, tested again with the same: {again}." if again else ""),
    )
