"""One look for all figures: a palette, and a style that holds while a figure is drawn and written, never globally."""

import base64
import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib.figure import Figure

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
    "savefig.dpi": 130,
}

# Colour-blind safe (Okabe and Ito 2008); red is kept for what is wrong.
BLUE, LIGHT_BLUE, GREEN, ORANGE = "#0072b2", "#56b4e9", "#009e73", "#e69f00"
SPURIOUS = "#d62728"
TRUTH = "#4d4d4d"
EMPTY = "#e5e5e5"
# Two alternating shades separate neighbouring tissues without a legend of forty colours.
TISSUE_SHADES = (BLUE, LIGHT_BLUE)


def colour(arm: str) -> str:
    """Give the colour of an arm; the truth's grey for what is no arm."""
    return ARMS[arm].colour if arm in ARMS else TRUTH


def drawing(draw: Callable[Arguments, Drawn]) -> Callable[Arguments, Drawn]:
    """Decorate a function that draws a figure: it draws in the common style."""

    @functools.wraps(draw)
    def in_style(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Drawn:
        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return in_style


def png(figure: Figure) -> bytes:
    """Write a figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG file, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(png(figure))


@dataclass(frozen=True)
class Image:
    """A figure of a page.

    Parameters
    ----------
    source
        Data URI, so that the page opens offline.
    alt
        What it shows, for those who do not see it.
    caption
        Below it; may be empty.
    """

    source: str
    alt: str
    caption: str = ""


def embed(figure: Figure) -> str:
    """Turn a figure into a data URI."""
    return "data:image/png;base64," + base64.b64encode(png(figure)).decode()


def image(figure: Figure | None, alt: str, caption: str = "") -> list[Image]:
    """Make the image of a page from a figure: a list of one, empty where nothing was drawn."""
    return [] if figure is None else [Image(embed(figure), alt, caption)]
