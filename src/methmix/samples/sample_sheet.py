"""The samples sheet: which samples are in which files, of whom and of which date; and how a workflow predicts them."""

import datetime
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from methmix.config.experiment import Experiment
from methmix.config.sheets import SampleRow, columns
from methmix.errors import InputError
from methmix.formats.sheet_tables import read_sheet_table
from methmix.reference.inputs import data_file
from methmix.shipped import found

_NEEDED, _OPTIONAL = columns(SampleRow)
_HINT = (
    f"expected a tab-separated table with the columns {', '.join(_NEEDED)}[, {', '.join(_OPTIONAL)}]; "
    "a row: plasma-1<TAB>samples/plasma.tsv<TAB>patient-1<TAB>2026-01-31<TAB>A; config/samples.tsv is one"
)


@dataclass(frozen=True)
class Sample:
    """One sample to predict; empty for what is not known.

    ``file`` is as written: `data_file` finds it. An empty ``name_in_file`` means ``name``, or the only sample of a
    file. ``group`` is what it is compared as, for example ``Control``; ``batch`` what it was prepared or sequenced in.
    """

    name: str
    file: Path
    patient: str = ""
    date: datetime.date | None = None
    name_in_file: str = ""
    group: str = ""
    batch: str = ""


def read_sheet(path: Path) -> list[Sample]:
    """Read a sheet, a TSV: ``sample, file[, patient, date, name_in_file, group, batch]``; errors name the line."""
    samples = []
    first_line: dict[str, int] = {}
    table = _table(path)
    for line, row in zip(table.index.tolist(), table.to_dict("records"), strict=True):
        where = f"{path}: line {line}"
        sample = _sample(where, {str(name): text for name, text in row.items()})
        first = first_line.setdefault(sample.name, line)
        if first != line:
            raise InputError(
                f"{where}: duplicate sample {sample.name}, first in line {first}", "give each sample its own name"
            )
        samples.append(sample)
    return samples


def files_of_sheet(path: Path) -> list[Path]:
    """List the files that a sheet names, each once and as written there; all must exist."""
    samples = read_sheet(path)
    for sample in samples:
        try:
            data_file(str(sample.file))
        except InputError as error:
            hint = "a shipped sheet is an example: write your own samples into it"
            raise InputError(f"{path}: sample {sample.name}: {error}", hint) from None
    return list(dict.fromkeys(sample.file for sample in samples))


def in_file(samples: list[Sample], file: Path, names: list[str]) -> dict[str, Sample]:
    """Find the samples of a sheet in one of its files, which has samples of these names; name in the file -> sample."""
    found: dict[str, Sample] = {}
    for sample in samples:
        own = sample.name_in_file or (names[0] if len(names) == 1 else sample.name)
        if own not in names:
            some = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            hint = f"write name_in_file of sample {sample.name} in the sheet"
            raise InputError(f"{file}: has no sample {own!r}; it has {some}", hint)
        if own in found:
            raise InputError(
                f"{file}: samples {found[own].name} and {sample.name} of the sheet are both its {own!r}",
                "list each sample of the file once; name_in_file says which one is meant",
            )
        found[own] = sample
    return found


def sheet_and_files(experiment: Experiment, config: str | Path) -> list[str]:
    """List what a prediction of the workflow reads: the samples sheet first, then its files."""
    settings = experiment.prediction
    if settings is None:
        raise InputError(
            f"{config}: missing key prediction, so there is nothing to predict",
            "write, for example:\n    prediction:\n      samples: config/samples.tsv\n      checkpoint_phase: phase2",
        )
    sheet = found(settings.samples)
    return [str(sheet), *(str(data_file(str(file))) for file in files_of_sheet(sheet))]


def options(experiment: Experiment) -> list[str]:
    """Translate the section ``prediction`` of a configuration to options of ``python -m methmix.prediction``."""
    settings = experiment.prediction
    if settings is None:
        return []
    named = {
        "pseudo_depth", "genome", "regions_file", "modification", "manifest", "exclude_regions", "control_group",
        "normals", "presence_threshold", "one_depth",
    }  # fmt: skip
    given = settings.model_dump(include=named, exclude_none=True)
    words = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    if settings.zero_based is not None:
        words.append("--zero-based" if settings.zero_based else "--no-zero-based")
    if settings.tissues:
        words += ["--tissues", *settings.tissues]
    if experiment.background:
        words += ["--background", *experiment.background]
    if settings.explain is not None:
        words.append("--explain" if settings.explain else "--no-explain")
    return [*words, "--unknown"] if settings.unknown else words


def _table(path: Path) -> pd.DataFrame:
    table = read_sheet_table(path, _NEEDED, _OPTIONAL, _HINT)
    for name in table.columns:
        if name not in _NEEDED + _OPTIONAL:
            raise InputError(f"{path}: unknown column {name!r}", _HINT)
    if table.empty:
        raise InputError(f"{path}: has a header but no samples", _HINT)
    return table


def _sample(where: str, values: dict[str, str]) -> Sample:
    for name in _NEEDED:
        if not values[name]:
            raise InputError(f"{where}: {name} is empty", "fill it in, or remove the line")
    day = values.get("date", "")
    try:
        taken = datetime.date.fromisoformat(day) if day else None
    except ValueError:
        raise InputError(
            f"{where}: invalid date: expected YYYY-MM-DD, found {day!r}", "leave it empty if it is not known"
        ) from None
    others = {name: values.get(name, "") for name in ("patient", "name_in_file", "group", "batch")}
    return Sample(values["sample"], Path(values["file"]), date=taken, **others)
