"""Report of the folds: the test mixtures of several runs, each with other donors in the test, pooled."""

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
from methmix.evaluation.bootstrap import with_intervals
from methmix.evaluation.donor_intervals import with_donor_intervals
from methmix.evaluation.look_alikes import grouped
from methmix.files.atomic import all_or_none, write_csv, write_text
from methmix.pages.style import colour, drawing, mark, percent_axis, save
from methmix.pages.wording import between, in_unit
from methmix.report.arm_results import ArmResult, read_arms
from methmix.report.metric_labels import HEADLINE
from methmix.report.repeated_runs import Line, bars, render_runs
from methmix.scores import Scores

logger = logging.getLogger("methmix")

_SHOWN = ("mae", "spurious_per_mixture", "missed_per_mixture", "prediction_ratio")
# Averages over mixtures, not over entries.
_PER_MIXTURE = ("spurious_per_mixture", "missed_per_mixture", "false_mass", "predicted_tissues")
_ALL, _JOINED = "all folds", "all folds, grouped"


@all_or_none()
def write_folds(config: Path, runs: list[Path], arms: list[str], output: Path) -> None:
    """Write ``folds.csv``, ``folds.json``, ``folds.png`` and ``report.html``; a run is a ``results/<name>/<phase>``."""
    experiment = load_experiment(config)
    if len(runs) < 2:
        raise InputError(
            "--runs: expected at least two folds, found one", "add folds to the configuration: repeats.folds"
        )
    settings, seed = experiment.evaluation, seeds.integer(experiment.seed, "bootstrap")
    content = pool_folds(runs, arms, settings.look_alikes, settings.n_bootstrap, seed)
    table, figure = folds_table(content), folds_figure(content)
    write_csv(output / "folds.csv", table)
    write_text(output / "folds.json", json.dumps(content, indent=2) + "\n")
    save(figure, output / "folds.png")
    write_text(output / "report.html", _folds_page(content, table, figure))
    logger.info("report written to %s", output / "report.html")


def pool_folds(
    runs: list[Path], arms: list[str], groups: dict[str, list[str]], n_bootstrap: int, seed: int
) -> dict[str, Any]:
    """Score the test mixtures of all folds together, and compare the folds.

    Each of the ``arms`` has the metrics over all mixtures with ``<metric>_ci95``, the interval over mixtures of the
    same donors, and ``<metric>_donors_ci95``, that over the ``donor_draws`` donors of all folds (jackknife), the values
    in each of the ``folds`` and their standard deviation, ``spread``, the ``label_correlation`` of each fold, and
    ``grouped``, the metrics with look-alikes joined. Tissues with fewer donors than there are folds are
    ``tested_again``.
    """
    by_run = [read_arms(run, arms) for run in runs]
    first = by_run[0][0]
    for run, results in zip(runs, by_run, strict=True):
        if results[0].tissues != first.tissues:
            raise InputError(f"{run}: tissues differ from those of {runs[0]}", "folds must use the same reference")
    donors = first.per_tissue.filter(regex="^donors_").sum(axis=1)
    by_arm = zip(arms, zip(*by_run, strict=True), strict=True)
    return {
        "arms": {arm: _pooled_arm(list(results), groups, n_bootstrap, seed) for arm, results in by_arm},
        "folds": [run.parent.name for run in runs],
        "groups": groups,
        "tested_again": [t for t, n in zip(first.tissues, donors, strict=True) if n < len(runs)],
    }


def _remark(entry: dict[str, Any], name: str, unit: str) -> str:
    ends = entry[f"{name}_donors_ci95"]
    over_donors = "not known" if None in ends else between(ends, unit)
    return f"sd {in_unit(entry['spread'][name], unit)}; donors {over_donors}"


def _pooled_arm(results: list[ArmResult], groups: dict[str, list[str]], n_bootstrap: int, seed: int) -> dict[str, Any]:
    parts = [[getattr(r, name) for r in results] for name in ("true", "predicted", "probability", "low", "high")]
    if any(np.isnan(low).all() for low in parts[3]):
        parts = parts[:3]
    entry = _pooled(parts, n_bootstrap, seed)
    folds = {name: [r.metrics[name] for r in results] for name in entry if not name.endswith("_ci95")}
    fold = np.repeat(np.arange(len(results)), [len(r.true) for r in results])
    donors = np.concatenate([r.donors for r in results])
    entry |= with_donor_intervals(Scores(*(np.concatenate(values) for values in parts)), donors, fold)
    entry |= {"folds": folds, "spread": {name: _spread(values) for name, values in folds.items()}}
    entry["label_correlation"] = [r.metrics.get("label_correlation") for r in results]
    if groups:
        joined = [grouped(r.tissues, groups, r.true, r.predicted, r.probability) for r in results]
        entry["grouped"] = _pooled([list(values) for values in zip(*joined, strict=True)], n_bootstrap, seed)
    return entry


def _pooled(parts: list[list[np.ndarray]], n_bootstrap: int, seed: int) -> dict[str, Any]:
    """Score ``parts`` (truth, predictions, ...; of each fold [n_mixtures, n_tissues]) over all folds together.

    Corresponding mixtures of the folds have the same proportions and depths, of different donors. A mixture's entries
    in all folds therefore form one row, which a resample draws as a whole; separate rows would overstate the number of
    independent mixtures.
    """
    rows = [np.concatenate(values, axis=1) for values in parts]
    entry = with_intervals(Scores(*rows), n_bootstrap, seed)
    for name in _PER_MIXTURE:
        for key in (name, f"{name}_ci95"):
            entry[key] = (np.array(entry[key], dtype=float) / len(parts[0])).tolist()
    return entry


def _spread(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.std(known, ddof=1)) if len(known) > 1 else None


def folds_table(content: dict[str, Any]) -> pd.DataFrame:
    """Make the table: one row per arm and fold, one for all folds, and one for all with look-alikes joined."""
    rows = []
    for arm, entry in content["arms"].items():
        parts = {
            name: {metric: entry["folds"][metric][n] for metric in HEADLINE} for n, name in enumerate(content["folds"])
        }
        parts |= {_ALL: entry} | ({_JOINED: entry["grouped"]} if "grouped" in entry else {})
        rows += [{"arm": arm, "mixtures": name, **{m: part[m] for m in HEADLINE}} for name, part in parts.items()]
    return pd.DataFrame(rows)


@drawing
def folds_figure(content: dict[str, Any]) -> Figure:
    """Draw each arm over all folds as a bar, each fold as a dot, and the score with look-alikes joined as a line."""
    table = folds_table(content)
    table = table[[ARMS[arm].kind != "trivial" for arm in table["arm"]]].set_index("arm")
    whole, joined = (table[table["mixtures"] == name] for name in (_ALL, _JOINED))
    shades = [colour(str(arm)) for arm in whole.index]
    figure = bars(whole, table[table["mixtures"].isin(content["folds"])], shades, _SHOWN)
    for axes, metric in zip(figure.axes, _SHOWN, strict=True):
        at = whole.index.get_indexer(joined.index)
        axes.vlines(joined[metric], at - 0.4, at + 0.4, colors=shades, linewidth=2)
        if metric == "mae":
            percent_axis(axes.xaxis, decimals=1)
        if metric == "prediction_ratio":
            mark(axes, 1)
            axes.set_xlim(0.85, 1.1)
    return figure


def _of_labels(arms: dict[str, Any]) -> str:
    """Say how far the errors are those that each donor has alone."""
    known = {arm: [r for r in entry["label_correlation"] if r is not None] for arm, entry in arms.items()}
    listed = ", ".join(f"{arm}: {min(values):.2f} to {max(values):.2f}" for arm, values in known.items() if values)
    if not listed:
        return ""
    return (
        " Truth is the labels of the donors. Correlation of each arm's errors with those expected if each test donor "
        f"is what NNLS with the training profiles finds in it alone, range over folds: {listed}."
    )


def _folds_page(content: dict[str, Any], table: pd.DataFrame, figure: Figure) -> str:
    lines: list[Line] = []
    for row in table.to_dict("records"):
        whole = row["mixtures"] == _ALL
        cells = [
            (in_unit(row[name], m.unit), _remark(content["arms"][row["arm"]], name, m.unit) if whole else "")
            for name, m in HEADLINE.items()
        ]
        lines.append((f"{row['arm']}, {row['mixtures']}", whole, cells))
    groups = "; ".join(f"{name}: {' + '.join(members)}" for name, members in content["groups"].items())
    joined = f"; lines pool all folds with indistinguishable tissues scored as one ({groups})" if groups else ""
    again = ", ".join(content["tested_again"])
    return render_runs(
        f"{content['folds'][0]}: {len(content['folds'])} folds, each with different test donors",
        f"The same arms on test mixtures of {', '.join(content['folds'])}.",
        figure,
        lines,
        f"In the figure, bars pool the mixtures of all folds and dots are folds{joined}. Axes are truncated where long "
        "bars would hide the differences. Sd: standard deviation of the folds. Donors: 95 % interval by a jackknife "
        "that leaves out each donor with all mixtures that contain it. The mixtures of every fold have the same "
        "proportions and depths."
        + _of_labels(content["arms"])
        + (f" Tissues with fewer donors than folds, tested with the same donors again: {again}." if again else ""),
    )
