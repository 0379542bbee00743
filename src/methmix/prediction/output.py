"""The outputs of a prediction: the record (JSON), and the table (CSV) and the page (HTML) made from it."""

from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from methmix import provenance
from methmix.models.prediction import Prediction
from methmix.normals.panel import Panel
from methmix.normals.specificity import SPECIFICITIES
from methmix.pages.render import render as render_page
from methmix.pages.style import embed
from methmix.prediction.against_normals import AboveNormals
from methmix.prediction.card import card_text
from methmix.prediction.goodness_of_fit import FEWEST, ODD, Fit, number
from methmix.prediction.group_comparison import FEW, SPECIFICITY
from methmix.prediction.patient_page import page_names
from methmix.prediction.sample_figures import (
    MOST_BARS,
    MOST_LINES,
    MOST_PATIENTS,
    bars,
    by_patient,
    courses,
    group_boxes,
    heatmap,
)
from methmix.prediction.sample_results import UNKNOWN, Cohort, SampleResult, in_percent, shown
from methmix.prediction.statement import STATEMENT

# Whether a tissue of interest is above a panel of normals, at each specificity.
CALLED = [f"called_{100 * stated:.0f}" for stated in SPECIFICITIES]
COLUMNS = [
    *("sample", "tissue", "proportion", "presence_probability"),
    *("interval_low", "interval_high", "limit_of_detection", "below_limit", "nnls_proportion"),
    *("verdict", "flags", "regions_observed"),
    *CALLED,
    *("proportion_without_strongest", "rests_on_few_regions"),
]
# Tissues that the overview of the page names for each sample.
_LEADING = 4


def record_of(cohort: Cohort, card: dict[str, Any], groups: dict[str, Any] | None = None) -> dict[str, Any]:
    """Make the record, as plain data for JSON, with the model's card and the comparison of groups."""
    return {
        "statement": STATEMENT,
        "samples": [_sample(cohort, result) for result in cohort.results],
        "groups": groups,
        "matching": {"n_regions": cohort.n_regions, "files": cohort.matching},
        "notes": cohort.notes,
        "presence_threshold": cohort.presence_threshold,
        "background": cohort.background,
        "normals": None if cohort.panel is None else panel_record(cohort.panel),
        "model": card,
        "commit": provenance.commit(),
        "versions": provenance.versions(),
    }


def table(cohort: Cohort, record: dict[str, Any]) -> pd.DataFrame:
    """Make the table, one row per sample and tissue (also the unknown component, if it is estimated).

    It has `COLUMNS`, and ``patient``, ``date``, ``group``, ``batch`` where any sample has them. Quantities that are not
    estimated are missing; all but verdict, flags and regions are of a sample without estimates.
    """
    samples = record["samples"]
    tissues = [*cohort.tissues, UNKNOWN] if cohort.unknown else cohort.tissues
    rows = []
    for sample in samples:
        calls = {call["tissue"]: call for call in (sample["explanation"] or {}).get("calls", [])}
        for tissue in tissues:
            known = sample["proportions"].get(tissue, {})
            low, high = known.get("interval") or (None, None)
            below_limit = known["proportion"] == 0 if known else None
            own = {"sample": sample["sample"], "tissue": tissue, "interval_low": low, "interval_high": high}
            own["verdict"] = sample["fit"]["verdict"]
            own |= {"flags": "; ".join(sample["flags"]), "regions_observed": sample["regions"]["observed"]}
            if call := calls.get(tissue):
                own["proportion_without_strongest"] = call["without_strongest"]["proportion"]
                own["rests_on_few_regions"] = call["rests_on_few_regions"]
            rows.append({**own, **known, "below_limit": below_limit})
    whole = pd.DataFrame(rows, columns=COLUMNS)
    for name in ("patient", "date", "group", "batch"):
        if any(sample[name] for sample in samples):
            whole[name] = [sample[name] or "" for sample in samples for _ in tissues]
    return whole


def wide(whole: pd.DataFrame) -> pd.DataFrame:
    """Make of the table one row per sample, with a column of proportions for each tissue; missing without estimates."""
    first = ["sample", *(name for name in ("patient", "date", "group", "batch") if name in whole)]
    last = ["verdict", "flags", "regions_observed"]
    of_samples = whole.drop_duplicates("sample")
    proportions = whole.set_index(["sample", "tissue"])["proportion"].unstack()  # noqa: PD010 (also of missing values)
    # In the order of the table; the names of tissues may be those of other columns.
    proportions = proportions.loc[of_samples["sample"], whole["tissue"].unique()].reset_index(drop=True)
    beside = of_samples.reset_index(drop=True)
    return pd.concat([beside[first], proportions, beside[last]], axis=1)


def render(cohort: Cohort, record: dict[str, Any], patient_folder: str = "") -> str:
    """Render the page, which opens offline: figures of the samples, numbers of their record.

    Pages of patients are in a folder of this name beside it.
    """
    drawn = {
        "bars": bars(cohort),
        "heatmap": heatmap(cohort),
        "courses": courses(cohort),
        "groups": group_boxes(record["groups"]) if record["groups"] else None,
    }
    return render_page(
        "prediction/report.html",
        run=cohort,
        record=record,
        card=card_text(record["model"]),
        figures={name: figure and embed(figure) for name, figure in drawn.items()},
        by_proportion=lambda sample: sorted(sample["proportions"].items(), key=lambda item: -item[1]["proportion"]),
        patient_pages={name: quote(f"{patient_folder}/{page}") for name, page in page_names(cohort).items()},
        in_percent=in_percent,
        leading=_LEADING,
        few=FEW,
        specificity=SPECIFICITY,
        batches=any(sample["batch"] for sample in record["samples"]),
        fewest=FEWEST,
        most_bars=MOST_BARS,
        most_patients=MOST_PATIENTS,
        most_lines=MOST_LINES,
        n_answered=len(cohort.answered),
        n_odd=sum(result.verdict == ODD for result in cohort.results),
        n_courses=len(by_patient(cohort)),
    )


def _sample(cohort: Cohort, result: SampleResult) -> dict[str, Any]:
    sample, known = result.sample, result.prediction
    fit = result.fit or Fit()
    return {
        "sample": sample.name,
        "file": str(sample.file),
        "patient": sample.patient or None,
        "date": sample.date.isoformat() if sample.date else None,
        "group": sample.group or None,
        "batch": sample.batch or None,
        "answered": known is not None,
        "proportions": {} if known is None else _tissues(cohort, known, result),
        "regions": {"model": cohort.n_regions, "found": result.regions_found, "observed": result.regions_observed},
        "mean_depth": round(result.mean_depth, 3),
        "fit": {
            "misfit": fit.misfit,
            "misfit_limit": fit.misfit_limit,
            "effect": fit.effect,
            "verdict": result.verdict,
            "cetygo": fit.rmse,
            "fits": None if fit.misfit_limit is None else not fit.beyond,
        },
        "flags": result.flags(cohort.n_regions),
        "above_normals": None if known is None else _above_normals(result.above_normals),
        "explanation": result.explanation,
    }


def _above_normals(above: AboveNormals | None) -> dict[str, Any] | None:
    """Collect what a sample has above the controls in all."""
    if above is None:
        return None
    called = dict(zip(CALLED, above.total_called.tolist(), strict=True))
    return {"sum": above.total, "score": above.total_score, **called, "crossfitted": above.crossfitted}


def panel_record(panel: Panel) -> dict[str, Any]:
    """Describe a panel of normals, as plain data for JSON."""
    return {
        "n_controls": len(panel),
        "tissues": panel.tissues,
        "background": panel.attributes["background"],
        "mean_depth": float(np.median(panel.depths)),
        "shrinkage": panel.shrinkage,
        "mean_sum": float(panel.crossfitted.amounts.sum(dim=1).mean()),
        "specificities": [specificity._asdict() | {"words": specificity.words} for specificity in panel.specificities],
        "thresholds": {
            "tissues": {name: panel.thresholds[:, place].tolist() for place, name in enumerate(panel.tissues)},
            "sum": panel.thresholds[:, -1].tolist(),
        },
        "digest": panel.attributes["digest"],
        "versions": panel.attributes["versions"],
        "commit": panel.attributes["commit"],
    }


def _tissues(cohort: Cohort, found: Prediction, result: SampleResult) -> dict[str, dict[str, Any]]:
    """Collect the estimates of each tissue, and of the unknown component if there is one."""
    names, panel = cohort.tissues, cohort.panel
    quantities = (found.proportions, found.presence_probability, found.low, found.high, found.limit, result.nnls)
    columns = [[None] * len(names) if values is None else [number(v) for v in values] for values in quantities]
    known: dict[str, dict[str, Any]] = {}
    for name, proportion, probability, low, high, limit, nnls in zip(names, *columns, strict=True):
        known[name] = {
            "proportion": proportion,
            "shown": shown(proportion, limit, high),
            "presence_probability": probability,
            "interval": None if low is None or high is None else [low, high],
            "limit_of_detection": limit,
            "nnls_proportion": nnls,
        }
    if result.above_normals is not None and panel is not None:
        above = result.above_normals
        for place, name in enumerate(panel.tissues):
            known[name] |= {"amount": float(above.amounts[place]), "score": float(above.scores[place])}
            known[name] |= dict(zip(CALLED, above.called[:, place].tolist(), strict=True))
    if result.unknown is not None:
        # It has no limit of detection, so that a 0 is not below one.
        in_words = shown(result.unknown, None) if result.unknown else "0"
        known[UNKNOWN] = dict.fromkeys(known[names[0]]) | {"proportion": result.unknown, "shown": in_words}
    return known
