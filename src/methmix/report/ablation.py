"""Report of the ablation: the arms and their variants in several runs with other seeds."""

import logging
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from methmix.arms import MAIN
from methmix.config.experiment import Variant
from methmix.config.load import effective_variants, load_experiment
from methmix.files.atomic import all_or_none, write_csv, write_text
from methmix.pages.style import LIGHT_BLUE, colour, drawing, mark, percent_axis, save
from methmix.pages.wording import between, in_unit
from methmix.report.arm_results import read_result
from methmix.report.metric_labels import HEADLINE
from methmix.report.repeated_runs import Line, bars, render_runs

logger = logging.getLogger("methmix")

_SHOWN = ("mae", "spurious_per_mixture", "missed_per_mixture", "presence_ece")


@all_or_none()
def write_ablation(config: Path, runs: list[Path], arms: list[str], output: Path) -> None:
    """Write ``ablation.csv``, ``ablation.png`` and ``report.html``; each run is a ``results/<name>/<phase>``."""
    table = read_ablation(runs, arms, effective_variants(load_experiment(config), runs[0].name))
    figure = _ablation_figure(table)
    write_csv(output / "ablation.csv", table)
    save(figure, output / "ablation.png")
    write_text(output / "report.html", _ablation_page(table, figure))
    logger.info("report written to %s", output / "report.html")


def read_ablation(runs: list[Path], arms: list[str], variants: dict[str, Variant]) -> pd.DataFrame:
    """Read the metrics of arms and variants in every run.

    The columns are ``what``, ``label``, ``variant`` (whether it is one), ``run``, ``seed``, and the metrics.
    """
    labels = {arm: arm for arm in arms} | {name: variant.label for name, variant in variants.items()}
    rows = []
    for run in runs:
        for name, label in labels.items():
            path = run / ("ablation" if name in variants else "") / name / "evaluation" / "metrics.json"
            content = read_result(path, "run: snakemake ablate_phase2")
            row = {"what": name, "label": label, "variant": name in variants, "run": run.parent.name}
            row["seed"] = content["provenance"]["seed"]
            rows.append({**row, **{metric: content[metric] for metric in HEADLINE}})
    return pd.DataFrame(rows)


def ablation_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Compute the mean and standard deviation over runs of each row, and its paired differences from sparse.

    The columns are ``<metric>_mean``, ``_sd``, ``_minus_sparse`` (the mean difference), and the lowest and highest
    difference of a run, ``_minus_sparse_low`` and ``_minus_sparse_high``; the index is ``label``.
    """
    values = table.set_index(["what", "run"])[list(HEADLINE)]
    difference = values.sub(values.loc[MAIN], level="run")
    by_what, differences = (frame.groupby("what", sort=False) for frame in (values, difference))
    parts = {"mean": by_what.mean(), "sd": by_what.std(ddof=1), "minus_sparse": differences.mean()}
    parts |= {"minus_sparse_low": differences.min(), "minus_sparse_high": differences.max()}
    summary = pd.concat([part.add_suffix(f"_{name}") for name, part in parts.items()], axis=1)
    return summary.rename(index=dict(zip(table["what"], table["label"], strict=True)))


@drawing
def _ablation_figure(table: pd.DataFrame) -> Figure:
    runs = table.set_index("label")
    first = runs[~runs.index.duplicated()]
    colours = [LIGHT_BLUE if row["variant"] else colour(row["what"]) for row in first.to_dict("records")]
    figure = bars(runs.groupby("label", sort=False)[list(_SHOWN)].mean(), runs, colours, _SHOWN)
    for axes, metric in zip(figure.axes, _SHOWN, strict=True):
        mark(axes, table[table["what"] == MAIN][metric].mean())
        # Outlying rows, such as the original arm, would hide the differences that matter.
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


def _ablation_page(table: pd.DataFrame, figure: Figure) -> str:
    runs, arms = list(dict.fromkeys(table["run"])), set(table["label"][~table["variant"]])
    lines: list[Line] = []
    for label, line in ablation_summary(table).iterrows():
        cells = []
        for name, metric in HEADLINE.items():
            value = " ± ".join(in_unit(line[f"{name}_{part}"], metric.unit) for part in ("mean", "sd"))
            ends = [line[f"{name}_minus_sparse_{end}"] for end in ("low", "high")]
            cells.append((value, "" if label == MAIN else between(ends, metric.unit)))
        lines.append((str(label), label in arms, cells))
    return render_runs(
        f"{runs[0]}: the effect of each ingredient of the sparse arm",
        f"Test mixtures of {len(runs)} runs with different donors, mixtures and initial weights: {', '.join(runs)}.",
        figure,
        lines,
        "Mean ± standard deviation over the runs; below, the lowest and highest difference from sparse in a run. "
        "In the figure, bars are means, dots are runs, and the dotted line is the sparse arm. Bold: the arms as "
        "configured; each other row differs in one ingredient. Axes are truncated where long bars would hide the "
        "differences.",
    )
