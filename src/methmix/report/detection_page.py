"""The page of the limits of detection."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from methmix.detection.sensitivity import SHIPPED, THRESHOLDS, Threshold
from methmix.files.atomic import all_or_none, write_text
from methmix.pages.render import render
from methmix.pages.style import image, save
from methmix.pages.wording import percent
from methmix.report.arm_results import read_result
from methmix.report.detection_figure import (
    MOST_FALSE,
    at_threshold,
    detection_figure,
    ordered_arms,
    ordered_tissues,
    threshold_name,
)

logger = logging.getLogger("methmix")


@all_or_none()
def write_detection_page(folder: Path) -> None:
    """Write ``detection.png`` and ``detection.html`` into the folder that ``python -m methmix.detection`` wrote."""
    record, sensitivities, limits = (
        read_result(folder / name, "measure again: python -m methmix.detection")
        for name in ("detection.json", "detection.csv", "limits.csv")
    )
    figure = detection_figure(sensitivities, limits, record)
    save(figure, folder / "detection.png")
    write_text(folder / "detection.html", _page(limits, record, figure))
    logger.info("report written to %s", folder / "detection.html")


def _page(limits: pd.DataFrame, record: dict[str, Any], figure: Figure) -> str:
    settings = record["settings"]
    caption = (
        f"Above: proportion of the samples in which a tissue at the limit that {_stating(record)} states for this "
        "sample is called, a dot for each tissue, lines through tissues of about the same limit; dotted: "
        f"{percent(record['sensitivity'])}. Middle: median over {len(record['tissues'])} tissues, band from the first "
        "to the third quartile; the dash at the left edge is the false-positive rate. Below: the smallest proportion "
        f"from which on a tissue is called in {percent(record['sensitivity'])} of the mixtures, in %; grey where the "
        "largest spike is not enough."
    )
    sources = list(record["donors"])
    thresholds = [t for t in THRESHOLDS if not at_threshold(limits, t).empty]
    return render(
        "report/detection.html",
        record=record,
        provenance=record["provenance"],
        arms=ordered_arms(record),
        depths=settings["depths"],
        sources=sources,
        thresholds=thresholds,
        threshold_name=threshold_name,
        medians={_key(row): row for row in record["median_limits"]},
        key=lambda source, threshold, arm, depth: (source, threshold.kind, _rate(threshold), arm, depth),
        most_false=MOST_FALSE,
        stated={source: _stated_summary(rows) for source, rows in _stated_rows(record).items()},
        donor_rates=_donor_rates(record),
        background=" + ".join(f"{percent(amount)} {name}" for name, amount in settings["background"].items()),
        shown=_shown_limits(limits),
        tissues=ordered_tissues(limits),
        images=image(figure, "Stated limits, sensitivity against true proportion, and limits of detection", caption),
    )


def _stating(record: dict[str, Any]) -> str:
    return " or ".join(dict.fromkeys(row["arm"] for row in record["stated_limit"])) or "no arm"


def _stated_rows(record: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    rows = {"drawn": record["stated_limit"], "test": record["stated_limit_test_donors"]}
    return {source: of_source for source, of_source in rows.items() if of_source}


def _stated_summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Summarise stated limits over tissues, for each arm, background and depth; each mixture counts the same."""
    summary = []
    for (arm, background, depth), group in pd.DataFrame(rows).groupby(["arm", "background", "depth"], sort=False):
        known = group.dropna(subset=["limit", "called"]).astype({"limit": float, "called": float})
        row: dict[str, Any] = {"arm": arm, "background": background, "depth": depth, "n": int(known["n"].sum())}
        row |= {
            "known": float(group["known"].mean()),
            "false_positives": float(group["false_positive_rate"].astype(float).mean()),
        }
        if row["n"]:
            worst = known.sort_values("called", kind="stable").to_dict("records")[0]
            row |= {"limit": float(known["limit"].median()), "worst": worst["called"], "tissue": worst["tissue"]}
            row["called"] = float(np.average(known["called"], weights=known["n"]))
        summary.append(row)
    return summary


def _donor_rates(record: dict[str, Any]) -> dict[tuple[Any, ...], list[float]]:
    """Collect the false-positive rates of the background donors at the shipped threshold, ascending."""
    found: dict[tuple[Any, ...], list[float]] = {}
    for row in record["false_positive_rate"]:
        if row["threshold"] == SHIPPED.kind:
            found.setdefault((row["donors"], row["arm"], row["depth"]), []).append(row["rate"])
    return {key: sorted(rates) for key, rates in found.items()}


def _shown_limits(limits: pd.DataFrame) -> dict[tuple[Any, ...], str]:
    """Write every limit of drawn donors, except where most of what is called is false."""
    rows = limits[limits["donors"] == "drawn"].to_dict("records")
    return {
        (row["arm"], row["tissue"], row["depth"], row["threshold"], _none(row["fpr"])): (
            "none" if row["fpr_attained"] > MOST_FALSE else row["shown"]
        )
        for row in rows
    }


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["donors"], row["threshold"], row["fpr"], row["arm"], row["depth"]


def _rate(threshold: Threshold) -> float | None:
    return _none(threshold.rate)


def _none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
