"""The report of a prediction: one page that opens offline, made from the record and its figures."""

from typing import Any

from methmix.pages.render import render as render_page
from methmix.pages.style import embed
from methmix.prediction.card import card_text
from methmix.prediction.group_comparison import FEW
from methmix.prediction.sample_figures import MOST_BARS, MOST_PATIENTS, bars, by_patient, courses, group_boxes, heatmap
from methmix.prediction.sample_results import Cohort

# Tissues that the overview names for each sample.
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
        figures={name: figure and embed(figure) for name, figure in drawn.items()},
        by_proportion=_by_proportion,
        leading=_LEADING,
        few=FEW,
        most_bars=MOST_BARS,
        most_patients=MOST_PATIENTS,
        n_answered=len(cohort.answered),
        n_flagged=sum(result.poor_fit for result in cohort.results),
        n_courses=len(by_patient(cohort)),
    )


def _by_proportion(sample: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Give what is known of each tissue of a sample, the largest proportion first."""
    return sorted(sample["proportions"].items(), key=lambda item: -item[1]["proportion"])
