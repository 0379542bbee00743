"""One look for all figures: palette, axes, and a style that applies while a figure is drawn, never globally."""

import base64
import functools
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from methmix.arms import ARMS
from methmix.files.atomic import atomic_path

Arguments = ParamSpec("Arguments")
Drawn = TypeVar("Drawn", Figure, Figure | None)

_STYLE = {
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    # Names are text, whatever dollars are in them.
    "text.parse_math": False,
    "savefig.dpi": 130,
    # Text that can be edited, and the same names of parts in each run.
    "svg.fonttype": "none",
    "svg.hashsalt": "methmix",
}

# Colour-blind safe (Okabe and Ito 2008); red is reserved for errors, amber for missed tissues beside them.
BLUE, LIGHT_BLUE, GREEN, ORANGE = "#0072b2", "#56b4e9", "#009e73", "#e69f00"
SPURIOUS, MISSED, TRUTH, EMPTY = "#d62728", ORANGE, "#4d4d4d", "#e5e5e5"


def colour(arm: str) -> str:
    """Return the colour of an arm, and grey for anything else."""
    return ARMS[arm].colour if arm in ARMS else TRUTH


def drawing(draw: Callable[Arguments, Drawn]) -> Callable[Arguments, Drawn]:
    """Decorate a function, so that it draws its figure in the common style."""

    @functools.wraps(draw)
    def in_style(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Drawn:
        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return in_style


def png(figure: Figure) -> bytes:
    """Encode a figure as PNG; identical figures give identical bytes."""
    return _encode(figure, "png")


def _encode(figure: Figure, form: str) -> bytes:
    buffer = io.BytesIO()
    # Without the version and the time, which would make identical figures differ.
    metadata = {"png": {"Software": None}, "svg": {"Date": None}}[form]
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format=form, metadata=metadata)
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write a figure to a file of the type that its name ends with, PNG or SVG, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(_encode(figure, path.suffix[1:]))


class Image(NamedTuple):
    """A figure of a page: its data URI, so that the page opens offline, alternative text, and caption."""

    source: str
    alt: str
    caption: str = ""


def embed(figure: Figure) -> str:
    """Encode a figure as data URI."""
    return "data:image/png;base64," + base64.b64encode(png(figure)).decode()


def image(figure: Figure | None, alt: str, caption: str = "") -> list[Image]:
    """Make the images of a page from a figure: one, or none where nothing was drawn."""
    return [] if figure is None else [Image(embed(figure), alt, caption)]


def percent_axis(axis: Axis, decimals: int | None = None, ticks: int | None = None) -> None:
    """Label an axis of proportions in per cent, with at most ``ticks`` intervals between its ticks."""
    axis.set_major_formatter(PercentFormatter(1, decimals=decimals))
    if ticks:
        axis.set_major_locator(MaxNLocator(ticks))


def labelled_rows(axes: Axes, labels: Sequence[str]) -> None:
    """Label the rows 0, 1, ... from the top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)


def tissue_columns(axes: Axes, tissues: Sequence[str]) -> None:
    """Label the columns 0, 1, ... with tissues."""
    axes.set_xticks(range(len(tissues)), tissues, rotation=90)


def mark(axes: Axes, value: float) -> None:
    """Draw a dotted vertical line at a value for comparison."""
    axes.axvline(value, color=TRUTH, linewidth=0.8, linestyle=":")
