"""The page of the ablation: one file that opens offline."""

import pandas as pd
from matplotlib.figure import Figure

from methmix.arms import MAIN
from methmix.pages.style import embed, in_unit, template
from methmix.report import repeats


def render(table: pd.DataFrame, summary: pd.DataFrame, figure: Figure) -> str:
    """Render the page of the ablation from what `methmix.report.repeats` makes."""
    runs = list(dict.fromkeys(table["run"]))
    mains = set(table["label"][~table["variant"]])
    rows = []
    for label, line in summary.iterrows():
        cells = []
        for name in repeats.METRICS:
            unit = "%" if name == "mae" else ""
            ends = " to ".join(in_unit(line[f"{name}_minus_sparse_{end}"], unit) for end in ("low", "high"))
            value = f"{in_unit(line[f'{name}_mean'], unit)} ± {in_unit(line[f'{name}_sd'], unit)}"
            cells.append((value, "" if label == MAIN else f"minus sparse: {ends}"))
        rows.append({"name": label, "main": label in mains, "cells": cells})
    return template("repeats.html").render(
        title=f"{runs[0]}: what each ingredient of the sparse arm is worth",
        lead=f"Test mixtures of {len(runs)} runs with other donors, mixtures and initial weights: {', '.join(runs)}.",
        figure=embed(figure),
        headings=["", *repeats.METRICS.values()],
        rows=rows,
        legend="Mean ± standard deviation over the runs; below it the lowest and highest difference from sparse "
        "in the same run. In the figure a bar is the mean, a dot a run, the dotted line the sparse arm. Bold: the arms "
        "as configured; the others have one thing changed. Axes end where bars would hide the others.",
    )
