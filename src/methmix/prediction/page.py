"""The page of a run: one file that opens offline."""

from typing import Any

from methmix.pages.render import render as render_page
from methmix.pages.style import embed
from methmix.prediction.figures import MOST_BARS, MOST_PATIENTS, bars, by_patient, courses, heatmap
from methmix.prediction.group_figure import groups
from methmix.prediction.groups import FEW
from methmix.prediction.output import tissues_of
from methmix.prediction.results import Result, Run, answered
from methmix.training.card import card_text

# Tissues that the overview names of a sample.
_LEADING = 4


def render(run: Run, record: dict[str, Any]) -> str:
    """Render the page.

    Parameters
    ----------
    run
        All samples.
    record
        Of the run (`methmix.prediction.output.content`).
    """
    compared = record["groups"]
    drawn = {
        "bars": bars(run),
        "heatmap": heatmap(run),
        "courses": courses(run),
        "groups": groups(compared) if compared else None,
    }
    return render_page(
        "prediction/report.html",
        run=run,
        record=record,
        card=card_text(record["model"]),
        groups=[_group(row) for row in compared["groups"]] if compared else [],
        samples=[_sample(run, result) for result in run.results],
        figures={name: figure and embed(figure) for name, figure in drawn.items()},
        most_bars=MOST_BARS,
        most_patients=MOST_PATIENTS,
        n_answered=len(answered(run)),
        n_flagged=sum(result.does_not_fit for result in run.results),
        n_courses=sum(len({result.sample.date for result in group}) > 1 for group in by_patient(run)),
    )


def _sample(run: Run, result: Result) -> dict[str, Any]:
    """Give what the page shows of a sample, in words."""
    tissues = [
        {
            "name": name,
            "proportion": known["shown"],
            "there": known["proportion"] > 0,
            "below": known["limit_of_detection"] is not None and 0 < known["proportion"] < known["limit_of_detection"],
            "interval": _interval(known["interval"]),
            "probability": _text(known["presence_probability"], 3),
            "limit": "not known"
            if known["limit_of_detection"] is None
            else f"{100 * known['limit_of_detection']:.2g} %",
            "nnls": "" if known["nnls_proportion"] is None else f"{100 * known['nnls_proportion']:.2g} %",
            "value": known["proportion"],
        }
        for name, known in tissues_of(run, result).items()
    ]
    tissues.sort(key=lambda tissue: -tissue["value"])
    return {
        "name": result.sample.name,
        "patient": result.sample.patient,
        "date": result.sample.date or "",
        "observed": f"{100 * result.regions_observed / run.n_regions:.0f} %",
        "depth": f"{result.mean_depth:.3g}",
        "leading": [f"{tissue['name']} {tissue['proportion']}" for tissue in tissues[:_LEADING] if tissue["there"]],
        "misfit": _text(result.misfit, 2),
        "misfit_limit": _text(result.misfit_limit, 2),
        "cetygo": _text(result.rmse, 3),
        "flags": result.flags(run.n_regions),
        "tissues": tissues,
    }


def _group(row: dict[str, Any]) -> dict[str, Any]:
    """Give what the page shows of a group, in words; the controls have no area."""
    return {
        "name": row["group"],
        "n": row["n"],
        "few": row["n"] < FEW,
        "mean": _percents(row["mean"]),
        "median": _percents(row["median"]),
        "auc": {method: _estimate(area) for method, area in row.get("auc", {}).items()},
        "difference": _estimate(row.get("model_minus_nnls"), "+.3f"),
    }


def _percents(values: dict[str, float | None]) -> dict[str, str]:
    return {method: "" if value is None else f"{100 * value:.2f} %" for method, value in values.items()}


def _estimate(known: dict[str, Any] | None, form: str = ".3f") -> list[str]:
    """Write an estimate and its interval."""
    return (
        ["", ""]
        if known is None
        else [format(known["estimate"], form), " to ".join(format(end, form) for end in known["ci95"])]
    )


def _text(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _interval(ends: list[float] | None) -> str:
    return "" if ends is None else f"{100 * ends[0]:.2g} to {100 * ends[1]:.2g} %"
