"""What the reports of repeated experiments have in common: bars with a dot per run, and the page."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from methmix.pages.render import render
from methmix.pages.style import TRUTH, drawing, image, labelled_rows
from methmix.report.metric_labels import HEADLINE

# A row of a table: its label, whether it stands out, and a value and a remark for each metric of `HEADLINE`.
Line = tuple[str, bool, list[tuple[str, str]]]


@drawing
def bars(whole: pd.DataFrame, runs: pd.DataFrame, colours: Sequence[str], metrics: Sequence[str]) -> Figure:
    """Draw one panel per metric and one row per label: a bar for all runs together, and a dot for each run.

    Both tables have the labels as index and a column per metric; in ``runs`` each label occurs once per run.
    """
    figure = Figure(figsize=(13, 0.34 * len(whole) + 1.1))
    for axes, metric in zip(figure.subplots(1, len(metrics), sharey=True), metrics, strict=True):
        axes.barh(range(len(whole)), whole[metric], color=colours, alpha=0.45)
        axes.plot(runs[metric], whole.index.get_indexer(runs.index), "o", color=TRUTH, markersize=3)
        axes.set_title(HEADLINE[metric].long.replace(" per ", "\nper "))
        labelled_rows(axes, whole.index.tolist())
    return figure


def render_runs(title: str, lead: str, figure: Figure, lines: list[Line], legend: str) -> str:
    """Render the page: a figure, a table of ``lines`` and what they are."""
    content = {"title": title, "lead": lead, "images": image(figure, title), "lines": lines, "legend": legend}
    return render("report/repeated_runs.html", columns=HEADLINE, **content)
