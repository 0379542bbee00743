"""Report over donors: the arms in several draws of donors, or by a jackknife where the donors are real."""

import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from methmix.arms import ARMS, MAIN
from methmix.config.load import load_experiment
from methmix.files.atomic import all_or_none, write_csv, write_text
from methmix.pages.style import TRUTH, colour, drawing, mark, percent_axis, save
from methmix.pages.wording import between, in_unit, plural
from methmix.report.arm_differences import difference, draw_differences, over_draws
from methmix.report.arm_results import read_arms, read_result
from methmix.report.metric_labels import HEADLINE
from methmix.report.repeated_runs import Line, bars, render_runs
from methmix.scores import METRICS

logger = logging.getLogger("methmix")

_SHOWN = ("mae", "spurious_per_mixture", "missed_per_mixture", "prediction_ratio")


@all_or_none()
def write_donors(config: Path, runs: list[Path], arms: list[str], output: Path) -> None:
    """Write ``donors.json``, ``donors.csv``, ``donors.png`` and ``report.html``.

    Each of the ``runs`` is the ``results/<name>/<phase>`` of one draw of donors. Real donors are not drawn: there is
    one run, whose donors are left out in turn.
    """
    experiment, name = load_experiment(config), runs[0].parent.name
    draws = collect_draws(runs, arms)
    drawn = experiment.reference.drawn_donors
    content = {"draws": draws, **(_over_draws(draws, arms) if drawn else _over_real_donors(runs[0], arms))}
    table, figure = draws_table(draws), donors_figure(content)
    write_csv(output / "donors.csv", table)
    write_text(output / "donors.json", json.dumps(content, indent=2) + "\n")
    save(figure, output / "donors.png")
    write_text(output / "report.html", _donors_page(f"{name}, {runs[0].name}", content, figure, drawn))
    logger.info("report written to %s", output / "report.html")


def collect_draws(runs: list[Path], arms: list[str]) -> list[dict[str, Any]]:
    """Collect seed and metrics of the arms in each run."""
    draws = []
    for run in runs:
        remedy = f"run: snakemake donors_{run.name}"
        of_arms = {arm: read_result(run / arm / "evaluation" / "metrics.json", remedy) for arm in arms}
        values = {arm: {name: found[name] for name in METRICS if name in found} for arm, found in of_arms.items()}
        draws.append({"seed": of_arms[arms[0]]["provenance"]["seed"], "arms": values})
    return draws


def _over_draws(draws: list[dict[str, Any]], arms: list[str]) -> dict[str, Any]:
    others = [arm for arm in arms if arm != MAIN]
    return {
        "arms": {arm: over_draws(draws, arm) for arm in arms},
        f"{MAIN}_minus": {other: draw_differences(draws, MAIN, other) for other in others},
    }


def _over_real_donors(run: Path, arms: list[str]) -> dict[str, Any]:
    results = {result.arm: result for result in read_arms(run, arms)}
    main = results.pop(MAIN)
    of_arms = {arm: _only_donors(result.metrics) for arm, result in {**results, MAIN: main}.items()}
    # The bootstrap over mixtures is not shown here.
    pairs = {other: difference(main, result, 1, 0, []) for other, result in results.items()}
    of_pairs = {
        other: {name: {"donors_mean": e["estimate"], "donors_ci95": e["donors_ci95"]} for name, e in pair.items()}
        for other, pair in pairs.items()
    }
    return {"arms": {arm: of_arms[arm] for arm in arms}, f"{MAIN}_minus": of_pairs}


def _only_donors(metrics: dict[str, Any]) -> dict[str, Any]:
    """Select what a metrics.json says over donors, its estimates in place of means over draws."""
    known = [name for name in METRICS if f"{name}_donors_ci95" in metrics]
    means = {f"{name}_donors_mean": metrics[name] for name in known}
    intervals = {f"{name}_donors_ci95": metrics[f"{name}_donors_ci95"] for name in known}
    return {**means, **intervals, "donor_draws": metrics["donor_draws"]}


def draws_table(draws: list[dict[str, Any]]) -> pd.DataFrame:
    """Make the table: one row per draw and arm."""
    rows = [
        {"seed": draw["seed"], "arm": arm, **{name: values[name] for name in HEADLINE}}
        for draw in draws
        for arm, values in draw["arms"].items()
    ]
    return pd.DataFrame(rows)


@drawing
def donors_figure(content: dict[str, Any]) -> Figure:
    """Draw each arm as a bar with its interval over donors, and each draw as a dot."""
    arms = {arm: found for arm, found in content["arms"].items() if ARMS[arm].kind != "trivial"}
    means = {arm: {name: found[f"{name}_donors_mean"] for name in _SHOWN} for arm, found in arms.items()}
    whole = pd.DataFrame.from_dict(means, orient="index", dtype=float)
    table = draws_table(content["draws"]).set_index("arm")
    figure = bars(whole, table[table.index.isin(whole.index)], [colour(arm) for arm in arms], _SHOWN)
    for axes, metric in zip(figure.axes, _SHOWN, strict=True):
        for row, found in enumerate(arms.values()):
            low, high = found[f"{metric}_donors_ci95"]
            if low is not None:
                axes.hlines(row, low, high, color=TRUTH, linewidth=1)
        if metric == "mae":
            percent_axis(axes.xaxis, decimals=1)
        if metric == "prediction_ratio":
            mark(axes, 1)
            axes.set_xlim(0.85, 1.1)
        else:
            axes.set_xlim(left=0)
    return figure


def _donors_page(title: str, content: dict[str, Any], figure: Figure, drawn: bool) -> str:
    lines: list[Line] = []
    for arm, found in content["arms"].items():
        cells = [
            (in_unit(found[f"{name}_donors_mean"], label.unit), _interval(found[f"{name}_donors_ci95"], label.unit))
            for name, label in HEADLINE.items()
        ]
        lines.append((arm, ARMS[arm].kind == "trained", cells))
    for other, pair in content[f"{MAIN}_minus"].items():
        if ARMS[other].kind == "trivial":
            continue
        cells = [
            (in_unit(pair[name]["donors_mean"], label.unit), _interval(pair[name]["donors_ci95"], label.unit))
            if name in pair
            else ("", "")
            for name, label in HEADLINE.items()
        ]
        lines.append((f"{MAIN} minus {other}", False, cells))
    n = content["arms"][MAIN]["donor_draws"]
    how = (
        f"The whole experiment with {plural(n, 'draw')} of donors: reference, mixtures, initial weights."
        if drawn
        else f"The donors are real and no seed draws others: each of the {n} donors of the test mixtures is left out."
    )
    legend = (
        "Mean of the draws; below, the 95 % interval of the expected value (Student's t), differences paired by draw. "
        "Bars are means, lines their intervals, and dots are draws."
        if drawn
        else "Estimate on all test mixtures; below, its 95 % interval by the jackknife, which leaves out a donor with "
        "all mixtures that contain it. Bars and dots are estimates, lines their intervals. "
        "An interval is not known where one donor is part of all mixtures."
    )
    return render_runs(
        f"{title}: intervals over donors",
        how,
        figure,
        lines,
        f"{legend} On other donors sparse differs from an arm where the interval of the difference does not contain 0. "
        "Intervals are symmetric, so that those of few donors can reach beyond possible values.",
    )


def _interval(ends: list[float | None], unit: str) -> str:
    return "not known" if None in ends else between(ends, unit)
