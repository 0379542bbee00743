"""The learning-rate sweep: which peak learning rate is best on validation."""

import logging
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from methmix.files.atomic import write_csv
from methmix.pages.style import colour, drawing, percent_axis, save
from methmix.report.arm_results import read_result

logger = logging.getLogger("methmix")


def write_sweep(runs: list[Path], output: Path) -> None:
    """Write ``sweep.csv`` and ``sweep.png``; each run is the folder ``.../<arm>/<learning rate>`` of a training."""
    table = pd.DataFrame([_best_epoch(run) for run in runs]).sort_values(["arm", "learning_rate"])
    best = table.loc[table.groupby("arm")["val/mae"].idxmin()]
    write_csv(output / "sweep.csv", table)
    save(_sweep(table, best), output / "sweep.png")
    for row in best.to_dict("records"):
        text = "%s: best learning rate %g, validation MAE %.5f"
        logger.info(text, row["arm"], row["learning_rate"], row["val/mae"])


def _best_epoch(run: Path) -> dict[str, object]:
    log = read_result(run / "logs" / "training_log.csv", "train first: python -m methmix.training")
    best = log.iloc[int(log["val/mae"].argmin())]
    columns = ["epoch", "val/mae", "val/spurious_per_mixture", "seconds"]
    return {"arm": run.parent.name, "learning_rate": float(run.name), **best[columns]}


@drawing
def _sweep(table: pd.DataFrame, best: pd.DataFrame) -> Figure:
    """Plot the best validation MAE against the peak learning rate, one line per arm; a ring around the best."""
    figure = Figure(figsize=(5.5, 3.4))
    axes = figure.subplots()
    for arm, rows in table.groupby("arm"):
        axes.plot(rows["learning_rate"], rows["val/mae"], "o-", color=colour(str(arm)), label=arm)
    for row in best.to_dict("records"):
        shade = colour(row["arm"])
        axes.plot(row["learning_rate"], row["val/mae"], "o", markersize=11, fillstyle="none", color=shade)
    axes.set(xscale="log", xlabel="peak learning rate", ylabel="best validation MAE", title="learning-rate sweep")
    percent_axis(axes.yaxis, decimals=2)
    axes.legend()
    return figure
