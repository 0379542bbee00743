"""One page for each patient, on one A4 sheet: what may be shown to a clinician."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from methmix.pages.render import render
from methmix.pages.style import embed
from methmix.prediction.goodness_of_fit import FITS, ODD, SHIFTED
from methmix.prediction.sample_figures import MOST_LINES, patient_course
from methmix.prediction.sample_results import Cohort, in_percent

# What fits on a sheet.
_MOST_DATES, _MOST_CALLS, _MOST_TISSUES, _LONGEST_NAME = 12, 5, 24, 40
# Tissues that are named of a sample where no background is.
_LEADING = 4
_LONGEST_FILE = 60
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FIT_IN_WORDS = {
    FITS: "The reference tissues explain this sample.",
    SHIFTED: "Measured differently from the reference, like most samples of this run: compare it with these only.",
    ODD: "It has methylation that the reference tissues do not explain: do not rely on its proportions.",
    None: "Whether the reference tissues explain this sample is not known.",
}
_UNLIKE_CONTROLS = (
    "It differs from the controls by more than the profiles of the tissues explain, as with a large tumour, "
    "contamination or another protocol: its proportions are approximate."
)


def patient_folder(output: Path) -> Path:
    """Name the folder of the pages, beside the table: ``<table>_patients``."""
    return output.with_name(f"{output.stem}_patients")


def page_names(cohort: Cohort) -> dict[str, str]:
    """Name the page of each patient: by the patient where that is a plain file name, else also by a digest of it."""
    patients = dict.fromkeys(result.sample.patient for result in cohort.results if result.sample.patient)
    names: dict[str, str] = {}
    # Two names that differ by case alone are one file on some systems.
    taken: set[str] = set()
    for patient in patients:
        name = patient
        if not _PLAIN.fullmatch(name) or len(name) > _LONGEST_FILE or name.lower() in taken:
            plain = re.sub(r"[^A-Za-z0-9-]+", "_", patient).strip("_")[:_LONGEST_FILE]
            name = f"{plain}-{hashlib.sha256(patient.encode()).hexdigest()[:8]}".lstrip("-")
        taken.add(name.lower())
        names[patient] = f"{name}.html"
    return names


def patient_pages(cohort: Cohort, record: dict[str, Any], main_page: str) -> Iterator[tuple[str, str]]:
    """Render the pages, each with its file name; ``record`` is that of `output.record_of`, ``main_page`` a link."""
    for patient, name in page_names(cohort).items():
        samples = [sample for sample in record["samples"] if sample["patient"] == patient]
        # Those without a date first: the latest one is known to be it, unless none has a date.
        samples.sort(key=lambda sample: sample["date"] or "")
        answered = [pair for pair in cohort.answered if pair[0].sample.patient == patient]
        figure = patient_course(answered, cohort.tissues, cohort.background)
        yield (
            name,
            render(
                "prediction/patient.html",
                patient=patient,
                record=record,
                samples=samples[-_MOST_DATES:],
                n_earlier=max(0, len(samples) - _MOST_DATES),
                latest=samples[-1],
                tissues=_tissues(samples[-1]),
                calls=lambda sample: _calls(sample, cohort.background),
                explained=_explained(samples[-1]),
                few=lambda sample: [call["tissue"] for call in _explained(sample) if call["rests_on_few_regions"]],
                fit_in_words=_fit_in_words,
                shortened=_shortened,
                in_percent=in_percent,
                course=figure and embed(figure),
                main_page=main_page,
                most_calls=_MOST_CALLS,
                most_lines=MOST_LINES,
            ),
        )


def _calls(sample: dict[str, Any], background: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """List the tissues with a proportion that are not background, largest first; the leading ones without any."""
    found = [(name, known) for name, known in sample["proportions"].items() if known["proportion"] > 0]
    found.sort(key=lambda item: -item[1]["proportion"])
    return [item for item in found if item[0] not in background] if background else found[:_LEADING]


def _tissues(sample: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """List the tissues of a sample, largest first, then by name; no more than fit on a sheet."""
    every = sorted(sample["proportions"].items(), key=lambda item: (-item[1]["proportion"], item[0].lower()))
    return every[:_MOST_TISSUES]


def _explained(sample: dict[str, Any]) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = sample["explanation"]["calls"] if sample["explanation"] else []
    return calls


def _fit_in_words(sample: dict[str, Any]) -> str:
    if not sample["answered"]:
        return f"No estimates: {'; '.join(sample['flags'])}."
    if sample["fit"]["verdict"] == ODD and sample["above_normals"]:
        return _UNLIKE_CONTROLS
    return _FIT_IN_WORDS[sample["fit"]["verdict"]]


def _shortened(name: str, longest: int = _LONGEST_NAME) -> str:
    """Shorten a long name in its middle: its beginning and end distinguish it."""
    half = (longest - 1) // 2
    return name if len(name) <= longest else f"{name[:half]}…{name[-half:]}"
