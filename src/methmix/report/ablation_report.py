"""The ablation: what each ingredient of the sparse arm is worth, over several seeds."""

import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from methmix.arms import MAIN
from methmix.config.experiment import Variant
from methmix.config.load import effective_variants, load_experiment
from methmix.errors import InputError
from methmix.files.atomic import write_csv, write_text
from methmix.pages.axes import mark, percent_axis
from methmix.pages.style import LIGHT_BLUE, colour, drawing, save
from methmix.pages.wording import between, in_unit
from methmix.report.metric_labels import HEADLINE
from methmix.report.repeated_runs import Line, bars, repeated_page

logger = logging.getLogger("methmix")

_SHOWN = ("mae", "spurious_per_mixture", "missed_per_mixture", "presence_ece")


def write_ablation(config: Path, runs: list[Path], arms: list[str], output: Path) -> None:
    """Write ``ablation.csv``, ``ablation.png`` and ``report.html``.

    Parameters
    ----------
    config
        The experiment.
    runs
        ``results/<name>/<phase>`` of each run.
    arms
        In the order of the table.
    output
        Folder to write to.
    """
    phase: Any = runs[0].name
    table = read_ablation(runs, arms, effective_variants(load_experiment(config), phase))
    figure = ablation_figure(table)
    write_csv(output / "ablation.csv", table)
    save(figure, output / "ablation.png")
    write_text(output / "report.html", _page(table, figure))
    logger.info("report written to %s", output / "report.html")


def read_ablation(runs: list[Path], arms: list[str], variants: dict[str, Variant]) -> pd.DataFrame:
    """Read the metrics of arms and variants in every run.

    Returns
    -------
    DataFrame
        A row per arm or variant and run: ``what``, ``label``, ``variant`` (whether it is one), ``run``, ``seed``, and
        the metrics.

    Raises
    ------
    InputError
        A file is missing.
    """
    labels = {**{arm: arm for arm in arms}, **{name: variant.label for name, variant in variants.items()}}
    rows = []
    for run in runs:
        for name, label in labels.items():
            path = run / ("ablation" if name in variants else "") / name / "evaluation" / "metrics.json"
            try:
                content = json.loads(path.read_text())
            except FileNotFoundError:
                raise InputError(f"{path}: there is no such file", "run: snakemake ablate_phase2") from None
            row = {"what": name, "label": label, "variant": name in variants, "run": run.parent.name}
            rows.append(
                {**row, "seed": content["provenance"]["seed"], **{metric: content[metric] for metric in HEADLINE}}
            )
    return pd.DataFrame(rows)


def ablation_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Give mean and spread (standard deviation over seeds) of each row, and its difference from sparse, run by run.

    Returns
    -------
    DataFrame
        Index ``label``; for each metric ``<metric>_mean``, ``<metric>_sd``, and ``<metric>_minus_sparse`` with the
        lowest and highest difference of a run in ``..._low`` and ``..._high``.
    """
    values = table.set_index(["what", "run"])[list(HEADLINE)]
    difference = values.sub(values.loc[MAIN], level="run")
    by_what, differences = (frame.groupby("what", sort=False) for frame in (values, difference))
    parts = {
        "mean": by_what.mean(),
        "sd": by_what.std(ddof=1),
        "minus_sparse": differences.mean(),
        "minus_sparse_low": differences.min(),
        "minus_sparse_high": differences.max(),
    }
    summary = pd.concat([part.add_suffix(f"_{name}") for name, part in parts.items()], axis=1)
    return summary.rename(index=dict(zip(table["what"], table["label"], strict=True)))


@drawing
def ablation_figure(table: pd.DataFrame) -> Figure:
    """Draw each run as a dot and the mean as a bar, one row per arm or variant."""
    runs = table.set_index("label")
    first = runs[~runs.index.duplicated()]
    colours = [LIGHT_BLUE if row["variant"] else colour(row["what"]) for row in first.to_dict("records")]
    figure = bars(runs.groupby("label", sort=False)[list(_SHOWN)].mean(), runs, colours, _SHOWN)
    for axes, metric in zip(figure.axes, _SHOWN, strict=True):
        mark(axes, table[table["what"] == MAIN][metric].mean())
        # Rows far out, such as the original arm, would hide the differences that matter.
        if metric == "presence_ece":
            axes.set_xlim(0, 4 * table[table["what"].eq(MAIN) | table["variant"]][metric].median())
        elif metric != "missed_per_mixture":
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
        if metric == "mae":
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
            percent_axis(axes.xaxis, decimals=1)
        axes.xaxis.set_minor_formatter(NullFormatter())
    return figure


def _page(table: pd.DataFrame, figure: Figure) -> str:
    runs, mains = list(dict.fromkeys(table["run"])), set(table["label"][~table["variant"]])
    lines: list[Line] = []
    for label, line in ablation_summary(table).iterrows():
        cells = []
        for name, metric in HEADLINE.items():
            ends = between([line[f"{name}_minus_sparse_{end}"] for end in ("low", "high")], metric.unit)
            value = " ± ".join(in_unit(line[f"{name}_{part}"], metric.unit) for part in ("mean", "sd"))
            cells.append((value, "" if label == MAIN else ends))
        lines.append((str(label), label in mains, cells))
    return repeated_page(
        f"{runs[0]}: what each ingredient of the sparse arm is worth",
        f"Test mixtures of {len(runs)} runs with other donors, mixtures and initial weights: {', '.join(runs)}.",
        figure,
        lines,
        "Mean ± standard deviation over the runs; below it the lowest and highest difference from sparse in a run. "
        "In the figure a bar is the mean, a dot a run, the dotted line the sparse arm. Bold: the arms as configured; "
        "each of the others has one thing changed. Axes are cut where long bars would hide the differences.",
    )
