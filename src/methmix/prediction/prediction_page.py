"""The report of a prediction: one page that opens offline, made from the record and its figures."""

from typing import Any

from methmix.pages.render import render as render_page
from methmix.pages.style import embed
from methmix.prediction.card import card_text
from methmix.prediction.group_comparison import FEW
from methmix.prediction.sample_figures import MOST_BARS, MOST_PATIENTS, bars, by_patient, courses, group_boxes, heatmap
from methmix.prediction.sample_results import Cohort, SampleResult

# Tissues that the overview names of a sample.
_LEADING = 4


def render(cohort: Cohort, record: dict[str, Any]) -> str:
    """Render the page.

    Parameters
    ----------
    cohort
        All samples, for the figures.
    record
        Of the same (`methmix.prediction.output.record_of`), for the numbers.
    """
    compared = record["groups"]
    drawn = {
        "bars": bars(cohort),
        "heatmap": heatmap(cohort),
        "courses": courses(cohort),
        "groups": group_boxes(compared) if compared else None,
    }
    return render_page(
        "prediction/report.html",
        run=cohort,
        record=record,
        card=card_text(record["model"]),
        groups=[_group(row) for row in compared["groups"]] if compared else [],
        samples=[_sample(*pair) for pair in zip(record["samples"], cohort.results, strict=True)],
        figures={name: figure and embed(figure) for name, figure in drawn.items()},
        most_bars=MOST_BARS,
        most_patients=MOST_PATIENTS,
        n_answered=len(cohort.answered),
        n_flagged=sum(result.poor_fit for result in cohort.results),
        n_courses=len(by_patient(cohort)),
    )


def _sample(sample: dict[str, Any], result: SampleResult) -> dict[str, Any]:
    """Give what the page shows of a sample, in words."""
    ordered = sorted(sample["proportions"].items(), key=lambda item: -item[1]["proportion"])
    tissues = [_tissue(name, known) for name, known in ordered]
    fit, regions = sample["fit"], sample["regions"]
    return {
        "name": sample["sample"],
        "patient": sample["patient"] or "",
        "date": sample["date"] or "",
        "observed": f"{100 * regions['observed'] / regions['model']:.0f} %",
        "depth": f"{result.mean_depth:.3g}",
        "leading": [f"{tissue['name']} {tissue['proportion']}" for tissue in tissues[:_LEADING] if tissue["there"]],
        "misfit": _text(fit["misfit"], ".2f"),
        "misfit_limit": _text(fit["misfit_limit"], ".2f"),
        "cetygo": _text(fit["cetygo"], ".3f"),
        "flags": sample["flags"],
        "tissues": tissues,
    }


def _tissue(name: str, known: dict[str, Any]) -> dict[str, Any]:
    limit, ends = known["limit_of_detection"], known["interval"]
    return {
        "name": name,
        "proportion": known["shown"],
        "there": known["proportion"] > 0,
        "below": limit is not None and 0 < known["proportion"] < limit,
        "interval": "" if ends is None else f"{100 * ends[0]:.2g} to {100 * ends[1]:.2g} %",
        "probability": _text(known["presence_probability"], ".3f"),
        "limit": _percent(limit, ".2g") or "not known",
        "nnls": _percent(known["nnls_proportion"], ".2g"),
    }


def _group(row: dict[str, Any]) -> dict[str, Any]:
    """Give what the page shows of a group, in words; the controls have no area."""
    return {
        "name": row["group"],
        "n": row["n"],
        "few": row["n"] < FEW,
        "mean": {method: _percent(value, ".2f") for method, value in row["mean"].items()},
        "median": {method: _percent(value, ".2f") for method, value in row["median"].items()},
        "auc": {method: _estimate(area) for method, area in row.get("auc", {}).items()},
        "difference": _estimate(row.get("model_minus_nnls"), "+.3f"),
    }


def _estimate(known: dict[str, Any] | None, form: str = ".3f") -> list[str]:
    """Write an estimate and its interval."""
    if known is None:
        return ["", ""]
    return [format(known["estimate"], form), " to ".join(format(end, form) for end in known["ci95"])]


def _percent(value: float | None, form: str) -> str:
    return "" if value is None else f"{100 * value:{form}} %"


def _text(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
