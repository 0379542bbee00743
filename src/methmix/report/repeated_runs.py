"""What reports of the same experiment several times have in common: bars with a dot per run, and the page."""

from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from methmix.pages.axes import labelled_rows
from methmix.pages.render import render
from methmix.pages.style import TRUTH, drawing, image
from methmix.report.metric_labels import HEADLINE


@dataclass(frozen=True)
class Bar:
    """One row of the figure.

    Parameters
    ----------
    label, colour
        Of the row.
    value
        Metric -> length of the bar.
    runs
        Metric -> its value in each run.
    joined
        Metric -> its value with tissues that cannot be distinguished scored as one; may be empty.
    """

    label: str
    colour: str
    value: dict[str, float]
    runs: dict[str, list[float]]
    joined: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """One row of the table; ``cells``: a value and a remark for each metric of `HEADLINE`; ``main`` stands out."""

    label: str
    cells: list[tuple[str, str]]
    main: bool


@drawing
def bars(rows: list[Bar], metrics: tuple[str, ...]) -> Figure:
    """Draw one row per `Bar` and one panel per metric: bar, dots of the runs, and a line where tissues are joined."""
    figure = Figure(figsize=(13, 0.34 * len(rows) + 1.1))
    for axes, metric in zip(figure.subplots(1, len(metrics), sharey=True), metrics, strict=True):
        for at, row in enumerate(rows):
            _row(axes, at, row, metric)
        axes.set_title(HEADLINE[metric].long.replace(" per ", "\nper "))
        labelled_rows(axes, [row.label for row in rows])
    return figure


def _row(axes: Axes, at: int, row: Bar, metric: str) -> None:
    axes.barh(at, row.value[metric], color=row.colour, alpha=0.45)
    axes.plot(row.runs[metric], [at] * len(row.runs[metric]), "o", color=TRUTH, markersize=3)
    if row.joined:
        axes.plot([row.joined[metric]] * 2, [at - 0.4, at + 0.4], color=row.colour, linewidth=2)


def page(title: str, lead: str, figure: Figure, lines: list[Line], legend: str) -> str:
    """Render the page."""
    return render(
        "report/repeated_runs.html",
        title=title,
        lead=lead,
        images=image(figure, title),
        columns=HEADLINE,
        lines=lines,
        legend=legend,
    )
