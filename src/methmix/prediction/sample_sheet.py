"""The samples sheet: which samples are in which files, of whom and of which date they are."""

import datetime
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from methmix.errors import InputError
from methmix.reference.inputs import data_file

_NEEDED = ["sample", "file"]
_OPTIONAL = ["patient", "date", "name_in_file", "group"]
_HINT = (
    f"expected a tab-separated table with the columns {', '.join(_NEEDED)}[, {', '.join(_OPTIONAL)}]; "
    "a row: plasma-1<TAB>samples/plasma.tsv<TAB>patient-1<TAB>2026-01-31<TAB>A; config/samples.tsv is one"
)


@dataclass(frozen=True)
class Sample:
    """One sample to predict.

    Parameters
    ----------
    name
        What it is called in the results.
    file
        Where it is, as written; `data_file` finds it.
    patient, date
        Of whom and when it was taken, if that is known.
    name_in_file
        What it is called in its file; empty: like ``name``, or not at all in a file of one sample.
    group
        What it is compared as, for example ``Control``; empty: it is not compared.
    """

    name: str
    file: Path
    patient: str = ""
    date: datetime.date | None = None
    name_in_file: str = ""
    group: str = ""


def read_sheet(path: Path) -> list[Sample]:
    """Read a sheet: a TSV with columns ``sample, file[, patient, date, name_in_file, group]``.

    Raises
    ------
    InputError
        The file is missing or no table, a column is missing or unknown, a sample is a duplicate, a needed field is
        empty, or a date is invalid; the message names the line.
    """
    samples = []
    first_line: dict[str, int] = {}
    for line, row in enumerate(_table(path).to_dict("records"), start=2):
        sample = _sample(path, line, {str(name): text.strip() for name, text in row.items()})
        if sample.name in first_line:
            raise InputError(
                f"{path}: line {line}: duplicate sample {sample.name}, first in line {first_line[sample.name]}"
            )
        first_line[sample.name] = line
        samples.append(sample)
    return samples


def files_of_sheet(path: Path) -> list[Path]:
    """Give the files that a sheet names, each once and as written there.

    Raises
    ------
    InputError
        As for `read_sheet`, or one is missing.
    """
    samples = read_sheet(path)
    for sample in samples:
        try:
            data_file(str(sample.file))
        except InputError as error:
            raise InputError(
                f"{path}: sample {sample.name}: {error}",
                "a shipped sheet is an example: write your own samples into it",
            ) from None
    return list(dict.fromkeys(sample.file for sample in samples))


def in_file(samples: list[Sample], file: Path, names: list[str]) -> dict[str, Sample]:
    """Find the samples of a sheet in one of its files, which has samples of these names.

    Returns
    -------
    dict
        Name in the file -> sample.

    Raises
    ------
    InputError
        A sample is not in the file, it is ambiguous, or one is named by two rows.
    """
    found: dict[str, Sample] = {}
    for sample in samples:
        own = sample.name_in_file or (names[0] if len(names) == 1 else sample.name)
        if own not in names:
            some = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            raise InputError(
                f"{file}: has no sample {own!r}; it has {some}",
                f"write name_in_file of sample {sample.name} in the sheet",
            )
        if own in found:
            raise InputError(f"{file}: samples {found[own].name} and {sample.name} of the sheet are both its {own!r}")
        found[own] = sample
    return found


def _table(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, skipinitialspace=True)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such samples sheet", _HINT) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not a readable table ({error})", _HINT) from None
    columns = [str(name) for name in table.columns]
    for name in _NEEDED:
        if name not in columns:
            raise InputError(f"{path}: column {name} is missing; found {', '.join(columns)}", _HINT)
    for name in columns:
        if name not in _NEEDED + _OPTIONAL:
            raise InputError(f"{path}: unknown column {name!r}", _HINT)
    if table.empty:
        raise InputError(f"{path}: has a header but no samples", _HINT)
    return table


def _sample(path: Path, line: int, values: dict[str, str]) -> Sample:
    for name in _NEEDED:
        if not values[name]:
            raise InputError(f"{path}: line {line}: {name} is empty")
    day = values.get("date", "")
    try:
        taken = datetime.date.fromisoformat(day) if day else None
    except ValueError:
        raise InputError(f"{path}: line {line}: invalid date: expected YYYY-MM-DD, found {day!r}") from None
    others = {name: values.get(name, "") for name in ("patient", "name_in_file", "group")}
    return Sample(values["sample"], Path(values["file"]), date=taken, **others)
