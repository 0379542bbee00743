"""One look for all figures."""

import base64
import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from matplotlib.figure import Figure

from methmix.arms import ARMS
from methmix.files.atomic import atomic_path

mpl.use("Agg")
mpl.rcParams.update(
    {
        "figure.constrained_layout.use": True,
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "legend.frameon": False,
        "savefig.dpi": 130,
    }
)

# Colour-blind safe (Okabe and Ito); red is kept for what is wrong.
SPURIOUS = "#d62728"
TRUTH = "#4d4d4d"
ARM_COLOURS = {arm.name: arm.colour for arm in ARMS.values()}
# Two alternating shades tell neighbouring tissues apart without a legend of forty colours.
TISSUE_SHADES = ("#0072b2", "#56b4e9")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, atomically."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def embed(figure: Figure) -> str:
    """Turn a figure into a data URI, for a page that opens offline."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def shown(value: float | None, digits: int = 3) -> str:
    """Write a number, which may be undefined."""
    return "undefined" if value is None else f"{value:.{digits}f}"


def in_unit(value: float | None, unit: str) -> str:
    """Write a metric as per cent (``%``) or as a number; it may be undefined."""
    if value is None or np.isnan(value):
        return "undefined"
    return f"{100 * value:.2f} %" if unit == "%" else f"{value:.3f}"


def template(name: str, package: str = "methmix.report") -> Template:
    """Give the template of a page of a package; a name that it uses and is not given is an error."""
    loader = ChoiceLoader(
        [PackageLoader(package, "."), PackageLoader("methmix.pages", "."), PackageLoader("methmix.report", ".")]
    )
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template(name)
