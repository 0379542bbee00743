"""The figures of the comparison that a reader can ask: their data, once, and their specifications.

A specification is Vega-Lite, written with Altair; all read the named data that ``comparison.js`` makes from the one
table of proportions in the page and from what the reader selects. `library` is all that a browser needs to draw them.
"""

import json
from functools import cache, partial
from typing import Any

import altair as alt
import numpy as np
import vl_convert
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from methmix import metrics
from methmix.pages.miami import largest_proportion
from methmix.pages.style import BLUE, LIGHT_BLUE, MISSED, SPURIOUS, colour
from methmix.pages.wording import between, in_unit, percent
from methmix.report.arm_results import ArmResult, Array, serious
from methmix.report.metric_labels import LABELS, chosen

# Proportions are embedded as integers, this many to 1.
UNITS = 100_000
# Bounds the size of the page: of more mixtures x tissues than this, the figures show the first mixtures.
_MOST_ENTRIES = 60_000
_FIRST = chosen("mae", "spurious_per_mixture", "missed_per_mixture")
# Grey that is seen on a light and on a dark page.
_GREY = "#808080"
_PERCENT = ".3~%"
_CONFIG = {
    "background": "transparent",
    "font": 'system-ui, "DejaVu Sans", sans-serif',
    "view": {"stroke": None},
    "axis": {"labelColor": "#444444", "titleColor": "#444444", "gridColor": "#dddddd", "titleFontWeight": "normal"},
    "title": {"anchor": "start", "color": "#222222", "fontSize": 12, "fontWeight": "normal"},
    "locale": {"number": {"decimal": ".", "thousands": ",", "grouping": [3], "currency": ["", ""], "percent": " %"}},
}


@cache
def library() -> Markup:
    """Give the code of Vega, Vega-Lite and Vega-Embed, to be put into a script element."""
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return Markup(bundle.replace("</script", "<\\/script"))


def embedded(value: Any) -> Markup:
    """Write a value as compact JSON that may stand in a script element."""
    return htmlsafe_json_dumps(value, dumps=partial(json.dumps, separators=(",", ":"), allow_nan=False))


def page_data(results: list[ArmResult], compared: list[str]) -> dict[str, Any]:
    """Collect what the figures show: proportions in `UNITS`, mixture by mixture, with depths, donors and intervals.

    ``compared`` are the arms that are shown at first. Trivial controls are left out.
    """
    first = results[0]
    n = min(len(first.mixtures), max(1, _MOST_ENTRIES // len(first.tissues)))
    donors, number = np.unique(first.donors[:n], return_inverse=True)
    return {
        "units": UNITS,
        "present": metrics.PRESENT,
        "colours": {"spurious": SPURIOUS, "missed": MISSED, "shades": [BLUE, LIGHT_BLUE]},
        "tissues": first.tissues,
        "mixtures": [str(name) for name in first.mixtures[:n]],
        "depth": first.per_mixture["mean_depth"].tolist()[:n],
        "number": first.per_mixture["n_tissues"].tolist()[:n],
        "true": _units(first.true[:n]),
        "donors": {"names": donors.tolist(), "entries": number.ravel().tolist()},
        "arms": {r.arm: _of_arm(r, n, r.arm in compared) for r in serious(results)},
    }


def _of_arm(result: ArmResult, n: int, shown: bool) -> dict[str, Any]:
    values = {"predicted": result.predicted, "low": result.low, "high": result.high}
    arrays = {name: _units(array[:n]) for name, array in values.items() if not np.isnan(array).all()}
    return {"colour": colour(result.arm), "shown": shown, **arrays}


def _units(proportions: Array) -> list[int]:
    """Round down, so that what is below the threshold of a call stays below it; more than 0 stays more than 0."""
    down = np.floor(np.nan_to_num(proportions) * UNITS).astype(int)
    rounded: list[int] = np.where(proportions > 0, np.maximum(down, 1), 0).ravel().tolist()
    return rounded


def specifications(results: list[ArmResult], arms: dict[str, Any]) -> dict[str, Any]:
    """Write all figures, by the name of the element that each is drawn in; ``arms`` is that of comparison.json."""
    largest = max(largest_proportion(*(v for r in results for v in (r.true, r.predicted))), 0.05)
    n_tissues = len(results[0].tissues)
    figures = {f"first_{name}": _first(name, serious(results), arms) for name in _FIRST}
    return figures | {
        "miami": _miami(largest),
        "scatter": _scatter(largest),
        "worked": _worked(),
        "tissue_error": _by_tissue("mean absolute error where present, by tissue", n_tissues),
        "tissue_false": _by_tissue("false-positive rate, of mixtures without the tissue", n_tissues),
        "depth_error": _lines("mean depth", "mean absolute error, by depth", "%"),
        "depth_false": _lines("mean depth", "false positives per mixture, by depth", ""),
        "number_error": _lines("tissues in the mixture", "mean absolute error, by number of tissues", "%"),
        "number_false": _lines("tissues in the mixture", "false positives per mixture, by number of tissues", ""),
    }


def _first(name: str, results: list[ArmResult], arms: dict[str, Any]) -> dict[str, Any]:
    """Draw one metric of all arms, with intervals over donors where these are known, else over mixtures."""
    label, rows = LABELS[name], []
    for result in results:
        of_arm = arms[result.arm]
        over, ends = "donors", of_arm.get(f"{name}_donors_ci95") or [None]
        if None in ends:
            over, ends = "mixtures of the same donors", of_arm[f"{name}_ci95"]
        text = in_unit(of_arm[name], label.unit)
        rows.append(
            {"arm": result.arm, "value": of_arm[name], "low": ends[0], "high": ends[1], "colour": colour(result.arm)}
            | {"text": text, "interval": f"{between(ends, label.unit)}, over {over}"}
        )
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        alt.Y("arm:N", sort=None, title=None),
        alt.Color("colour:N", scale=None),
        tooltip=["arm:N", alt.Tooltip("text:N", title=label.short), alt.Tooltip("interval:N", title="95 %")],
    )
    # Room for the number to the right of the longest interval.
    scale = alt.Scale(domain=[0, 1.15 * max(row["high"] for row in rows)], nice=False)
    axis = alt.Axis(format=_format(label.unit), tickCount=5)
    x = {of: alt.X(f"{of}:Q", title=None, scale=scale, axis=axis) for of in ("value", "low", "high")}
    whiskers = base.mark_rule(strokeWidth=3, opacity=0.5).encode(x["low"], alt.X2("high:Q"))
    numbers = base.mark_text(align="left", dx=8, fontSize=10).encode(
        x["high"], alt.Text("text:N"), color=alt.value(_GREY)
    )
    dots = base.mark_circle(size=60, opacity=1).encode(x["value"])
    return _written(alt.layer(whiskers, numbers, dots), label.long, height=15 * len(rows))


def _format(unit: str) -> str:
    return ".2~%" if unit == "%" else ".2~f"


def _written(figure: Any, title: str = "", **size: Any) -> dict[str, Any]:
    """Write the specification of a figure that fills the width of its element."""
    written: dict[str, Any] = figure.properties(width="container", title=title, **size).to_dict()
    return written | {"config": _CONFIG}


def _entry_tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("mixture:N"),
        alt.Tooltip("tissue:N"),
        alt.Tooltip("depth:Q"),
        alt.Tooltip("true:Q", format=_PERCENT),
        alt.Tooltip("predicted:Q", format=_PERCENT),
        alt.Tooltip("interval:N", title=f"{percent(metrics.INTERVAL_LEVEL)} interval"),
    ]


def _miami(largest: float) -> dict[str, Any]:
    """Draw truth above and prediction mirrored below; the bars of a tissue are one outline, as in the static figure."""
    bars = alt.Chart(alt.NamedData("bars"))
    x = alt.X("x:Q", axis=None, scale=alt.Scale(nice=False, zero=False))
    axis = alt.Axis(format="%", labelExpr="format(abs(datum.value), '.0%')", title="predicted   |   true", tickCount=9)
    scale = alt.Scale(domain=[-1.04 * largest, 1.04 * largest], nice=False)
    shade = alt.Color("shade:N", scale=None)
    outlines = [
        bars.mark_area(interpolate="step-after").encode(
            x,
            alt.Y(f"{field}:Q", axis=axis, scale=scale, stack=None),
            alt.Detail("tissue:N"),
            color=fill,
        )
        for field, fill in (
            ("up", shade),
            ("down", shade),
            ("missed", alt.value(MISSED)),
            ("spurious", alt.value(SPURIOUS)),
        )
    ]
    targets = bars.mark_rect(opacity=0, cursor="pointer").encode(x, alt.X2("end:Q"), tooltip=_entry_tooltip())
    chosen_bars = alt.Chart(alt.NamedData("chosen")).mark_rule(color=_GREY, strokeDash=[3, 2]).encode(x)
    names = alt.Chart(alt.NamedData("labels")).mark_text(
        angle=270, align="right", baseline="middle", dx=-4, fontSize=10
    )
    bottom = names.encode(alt.X("x:Q", axis=None), y=alt.value("height"), text="tissue:N")
    return _written(alt.layer(*outlines, chosen_bars, targets, bottom), height=340)


def _scatter(largest: float) -> dict[str, Any]:
    """Plot predicted against true; absent entries are spread to the left of 0, where they can be counted."""
    axis = alt.Axis(format=".0%", tickCount=6)
    diagonal = alt.Chart(alt.InlineData(values=[{"v": end} for end in (0.0, largest)])).mark_line(
        color=_GREY, strokeWidth=1
    )
    points = alt.Chart(alt.NamedData("points")).mark_circle(size=14, opacity=0.5, cursor="pointer")
    domain = alt.Scale(domain=[-0.06, largest], nice=False)
    entries = points.encode(
        alt.X("x:Q", axis=axis, scale=domain, title="true"),
        alt.Y("predicted:Q", axis=axis, title="predicted"),
        alt.Color("colour:N", scale=None),
        tooltip=_entry_tooltip(),
    )
    return _written(alt.layer(diagonal.encode(alt.X("v:Q"), alt.Y("v:Q")), entries), height=300)


def _worked() -> dict[str, Any]:
    """Draw one mixture: the truth as a mark across each tissue, the arms as dots with their intervals.

    Its height is that of the tissues which are shown, and set with the data.
    """
    data = alt.Chart(alt.NamedData("worked"))
    y, x = alt.Y("tissue:N", sort=None, title=None), alt.X("predicted:Q", axis=alt.Axis(format=".0%"), title=None)
    of_arm = {"y": y, "yOffset": alt.YOffset("arm:N", sort=None), "color": alt.Color("colour:N", scale=None)}
    tooltip = [alt.Tooltip("tissue:N"), alt.Tooltip("arm:N"), *_entry_tooltip()[3:]]
    intervals = data.mark_rule(strokeWidth=2, opacity=0.6).encode(alt.X("low:Q"), alt.X2("high:Q"), **of_arm)
    dots = data.mark_circle(size=50, opacity=1).encode(x, tooltip=tooltip, **of_arm)
    truth = data.mark_tick(color=_GREY, thickness=2, bandSize=24).encode(alt.X("true:Q"), y, tooltip=tooltip)
    return _written(alt.layer(truth, intervals, dots), height=200)


def _by_tissue(title: str, n_tissues: int) -> dict[str, Any]:
    form = _format("%")
    return _written(
        alt.Chart(alt.NamedData("by_tissue"))
        .mark_circle(size=45, opacity=0.85, cursor="pointer")
        .encode(
            alt.Y("tissue:N", title=None, axis=alt.Axis(grid=True)),
            alt.X("value:Q", title=None, axis=alt.Axis(format=form, grid=False, tickCount=6)),
            alt.Color("colour:N", scale=None),
            tooltip=["tissue:N", "arm:N", alt.Tooltip("value:Q", format=form)],
        ),
        title,
        height=15 * n_tissues,
    )


def _lines(x: str, title: str, unit: str) -> dict[str, Any]:
    form = _format(unit)
    return _written(
        alt.Chart(alt.NamedData("lines"))
        .mark_line(point=True)
        .encode(
            alt.X("x:O", title=x, axis=alt.Axis(labelAngle=0)),
            alt.Y("value:Q", title=None, axis=alt.Axis(format=form, tickCount=4)),
            alt.Color("colour:N", scale=None),
            alt.Detail("arm:N"),
            tooltip=[alt.Tooltip("x:O", title=x), "arm:N", alt.Tooltip("value:Q", format=form)],
        ),
        title,
        height=150,
    )
