"""The learning-rate sweep: which peak learning rate is best on validation."""

import logging
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from methmix.errors import InputError
from methmix.files.atomic import write_csv
from methmix.pages.axes import percent_axis
from methmix.pages.style import colour, drawing, save

logger = logging.getLogger("methmix")


def write_sweep(runs: list[Path], output: Path) -> None:
    """Write ``sweep.csv`` and ``sweep.png``.

    Parameters
    ----------
    runs
        Folders ``.../<arm>/<learning rate>`` of trainings.
    output
        Folder to write to.

    Raises
    ------
    InputError
        A run has no training log.
    """
    table = pd.DataFrame([_best_epoch(run) for run in runs]).sort_values(["arm", "learning_rate"])
    write_csv(output / "sweep.csv", table)
    save(sweep(table), output / "sweep.png")
    for best in _best(table).to_dict("records"):
        text = "%s: best learning rate %g, validation MAE %.5f"
        logger.info(text, best["arm"], best["learning_rate"], best["val/mae"])


def _best_epoch(run: Path) -> dict[str, object]:
    log = run / "logs" / "training_log.csv"
    if not log.is_file():
        raise InputError(f"{log}: there is no such file", "train first: python -m methmix.training")
    history = pd.read_csv(log)
    best = history.iloc[int(history["val/mae"].argmin())]
    columns = ["epoch", "val/mae", "val/spurious_per_mixture", "seconds"]
    return {"arm": run.parent.name, "learning_rate": float(run.name), **best[columns]}


def _best(table: pd.DataFrame) -> pd.DataFrame:
    return table.loc[table.groupby("arm")["val/mae"].idxmin()]


@drawing
def sweep(table: pd.DataFrame) -> Figure:
    """Plot the best validation MAE against the peak learning rate, one line per arm; a ring around the best."""
    figure = Figure(figsize=(5.5, 3.4))
    axes = figure.subplots()
    for arm, rows in table.groupby("arm"):
        axes.plot(rows["learning_rate"], rows["val/mae"], "o-", color=colour(str(arm)), label=arm)
    for best in _best(table).to_dict("records"):
        ring = {"markersize": 11, "fillstyle": "none", "color": colour(best["arm"])}
        axes.plot(best["learning_rate"], best["val/mae"], "o", **ring)
    axes.set(xscale="log", xlabel="peak learning rate", ylabel="best validation MAE", title="learning-rate sweep")
    percent_axis(axes.yaxis, decimals=2)
    axes.legend()
    return figure
