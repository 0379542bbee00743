"""The page of the pooled folds: one file that opens offline."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from methmix.pages.style import embed, in_unit, template
from methmix.report import repeats


def render(content: dict[str, Any], table: pd.DataFrame, figure: Figure) -> str:
    """Render the page of the pooled folds from what `methmix.report.repeats` makes."""
    rows = []
    for row in table.to_dict("records"):
        whole = row["mixtures"] == "all folds"
        cells = []
        for name in repeats.METRICS:
            unit = "%" if name == "mae" else ""
            spread = content["arms"][row["arm"]]["spread"][name]
            cells.append((in_unit(row[name], unit), f"sd of folds {in_unit(spread, unit)}" if whole else ""))
        rows.append({"name": f"{row['arm']}, {row['mixtures']}", "main": whole, "cells": cells})
    groups = "; ".join(f"{name}: {' + '.join(members)}" for name, members in content["groups"].items())
    again = ", ".join(content["tested_again"])
    return template("repeats.html").render(
        title=f"{content['folds'][0]}: {len(content['folds'])} folds, each with other donors in the test",
        lead=f"The same arms on test mixtures of {', '.join(content['folds'])}.",
        figure=embed(figure),
        headings=["", *repeats.METRICS.values()],
        rows=rows,
        legend="In the figure a bar is over the mixtures of all folds, a dot a fold"
        + (f", a line all folds with look-alikes joined ({groups})" if groups else "")
        + "; axes end where bars would hide the others. The proportions and depths of the mixtures are the same in "
        "every fold; intervals are by resampling mixtures with all their folds."
        + (f" With fewer donors than folds, tested again with the same: {again}." if again else ""),
    )
