"""The page of a sweep: the recommendation, its confirmation on test mixtures, figures and the table of points."""

import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from methmix import seeds
from methmix.files.atomic import all_or_none, write_text
from methmix.pages.render import render
from methmix.pages.style import image, save
from methmix.pages.wording import percent, shown
from methmix.report.arm_differences import difference
from methmix.report.arm_results import ArmResult, read_arm, read_result
from methmix.report.metric_labels import HEADLINE, LABELS
from methmix.sweep.choice import MEASURED, read_runs, summary
from methmix.sweep.points import SweptArm, setting_text
from methmix.sweep.sweep_figures import front_figure, map_figure, parallel_figure

logger = logging.getLogger("methmix")

_REMEDY = "run: snakemake sweep_phase2"
_POOLED = ("true", "predicted", "probability")


@all_or_none()
def write_sweep_page(swept: SweptArm, runs: list[Path], output: Path) -> None:
    """Write ``sweep.html``, ``test.json`` and the figures ``front.png``, ``map.png`` and ``parallel.png``.

    What was chosen is read from ``output``; the recommended and the shipped point have been evaluated in every run.
    """
    keys, points = swept.sweep.search.varied, swept.known(output)
    choice = read_result(output / "choice.json", _REMEDY)
    whole = summary(read_runs(runs, points), swept, points)
    for which in ("shipped", "recommended"):
        whole[which] = whole["point"] == choice[which]["point"]
    mapped = swept.sweep.map_keys or keys[:2]
    figures = {
        "front": (front_figure(whole), _FRONT),
        "map": (map_figure(whole, mapped), _MAP if len(mapped) == 2 else ""),
        "parallel": (parallel_figure(whole, keys), _PARALLEL),
    }
    for name, (figure, _) in figures.items():
        save(figure, output / f"{name}.png")
    test = confirmation(choice, runs, swept)
    write_text(output / "test.json", json.dumps(test, indent=2) + "\n")
    page = render(
        "sweep/sweep.html",
        experiment=swept.experiment,
        swept=swept,
        choice=choice,
        test=test,
        images={name: image(figure, name, caption) for name, (figure, caption) in figures.items()},
        headline=HEADLINE,
        # Long ones may be broken after a point or an underscore.
        keys=[Markup("<wbr>").join(re.split(r"(?<=[._])", key)) for key in keys],
        measured=[LABELS[name] for name in MEASURED],
        points=_rows(whole, keys),
        runs=[run.parent.name for run in runs],
        recommended=output / "recommended.yaml",
    )
    write_text(output / "sweep.html", page)
    logger.info("report written to %s", output / "sweep.html")


def confirmation(choice: dict[str, Any], runs: list[Path], swept: SweptArm) -> dict[str, Any]:
    """Compare the recommended with the shipped point on the test mixtures of every run, which chose nothing.

    Returns
    -------
    dict
        ``recommended`` and ``shipped``: the mean over runs of each metric in `HEADLINE`; ``difference``, empty if both
        are the same point: of each metric ``estimate`` and ``ci95``, a paired bootstrap over the mixtures of all runs,
        and, with several runs, ``donors_mean`` and ``donors_ci95``, Student's t over runs.
    """
    both = ("recommended", "shipped")
    results = {which: [replace(read_arm(run, choice[which]["folder"]), arm=which) for run in runs] for which in both}
    means = {
        which: {name: float(np.mean([r.metrics[name] for r in own])) for name in HEADLINE}
        for which, own in results.items()
    }
    if choice["recommended"]["point"] == choice["shipped"]["point"]:
        return {**means, "difference": {}}
    draws = [{"arms": {which: results[which][n].metrics for which in both}} for n in range(len(runs))]
    settings, seed = swept.experiment.evaluation, seeds.integer(swept.experiment.seed, "bootstrap")
    main, other = (_pooled(results[which]) for which in both)
    found = difference(main, other, settings.n_bootstrap, seed, draws if len(runs) > 1 else [])
    kept = ("estimate", "ci95", "donors_mean", "donors_ci95")[: 4 if len(runs) > 1 else 2]
    differences = {name: {part: found[name][part] for part in kept} for name in HEADLINE}
    return {**means, "difference": differences}


def _pooled(results: list[ArmResult]) -> ArmResult:
    """Put the mixtures of all runs below each other."""
    true, predicted, probability = (np.concatenate([getattr(r, name) for r in results]) for name in _POOLED)
    return replace(results[0], true=true, predicted=predicted, probability=probability)


def _rows(whole: pd.DataFrame, keys: list[str]) -> list[dict[str, Any]]:
    """Write the rows of the table of points, those that may be chosen first and by their error."""
    rows = []
    for row in whole.sort_values(["admissible", "mae_mean"], ascending=[False, True]).to_dict("records"):
        cells = []
        for name in MEASURED:
            mean, spread = (_measured(name, row[f"{name}_{part}"]) for part in ("mean", "sd"))
            cells.append((mean, "" if np.isnan(row[f"{name}_sd"]) else f"± {spread}"))
        marks = [flag for flag in ("recommended", "shipped") if row[flag]]
        marks += ["on the front"] if row["on_front"] else []
        marks += [] if row["admissible"] else ["more false positives than shipped"]
        values = [setting_text(row[key]) for key in keys]
        rows.append({"values": values, "cells": cells, "marks": marks, "recommended": row["recommended"]})
    return rows


def _measured(name: str, value: float) -> str:
    return percent(value, 3) if name == "mae" else shown(value)


_FRONT = (
    "Validation mixtures, mean and standard deviation over seeds. No point on the line (front) can be improved in one "
    "of the two errors without a loss in the other. Points right of the dotted line are not recommended."
)
_MAP = "Validation MAE at each pair of values; cells of a grid are averaged over the values of the other keys."
_PARALLEL = "Each line is a point: the values of its keys, and the means of what it reached on validation."
