"""Headers of tables with samples in columns: what the columns are, however spreadsheets and programs write them."""

import re
from collections.abc import Iterable

from methmix.errors import InputError
from methmix.formats.beginning import Beginning
from methmix.formats.text import first_duplicate

COUNTS_COORDINATES = ("CHROM", "START", "END")
BETA_COORDINATES = ("chr", "start", "end")
CPGS = {"startCpG": "start_cpg", "endCpG": "end_cpg"}
PROBE = ("probe",)
# Other names of the columns that place a region, in lower case and without #.
_PLACES = {"chr": "chr", "chrom": "chr", "chromosome": "chr", "seqnames": "chr", "start": "start", "end": "end"}
_PROBE_ID = re.compile(r"(cg|rs)\d+(_\w+)?|ch\.\d\w*\.\w+|nv-\S+")
# How the column of probes is called, where a header has a name for it.
_PROBES = re.compile(r"ilmn_?id|probe.*|target_?id|id_ref|id|cpgs?|cpg_?id|name", re.IGNORECASE)
# What EPICv2 adds to the names of its probes: strand, type of the other strand, and number of the replicate.
_REPLICATE = re.compile(r"_[BT][CO]\d+$")
# Positions and reads of tables with a line for each CpG, as methylKit, bsseq, nanopolish and others write them.
_POSITION = {"pos", "position", "base"}
_READS_OF_CPG = re.compile(
    r"n|x|m|u|num[ct]s|(un)?mod|(un)?meth|.*(count|cov|depth|reads|methylated|called_sites|methc|totalc).*",
    re.IGNORECASE,
)
_LONGEST_CPG = 2
_READS = re.compile(r"(?P<name>.+)_(?P<what>METH|DEPTH)", re.IGNORECASE)
# Columns that tables of fractions may have beside samples, and that would be taken for samples.
_P_VALUE = re.compile(r"(^|[._ -])(p[._ -]?val(ue)?s?|detection([._ -]?p.*)?|detp)$", re.IGNORECASE)
_COUNT = re.compile(r"[._ -](meth|unmeth|methylated|depth|cov|coverage|reads|total|count|n|nbeads)$", re.IGNORECASE)


def is_counts(beginning: Beginning) -> bool:
    """Whether the line is the header of a counts table."""
    fields = columns_of(beginning)
    named_so = set(COUNTS_COORDINATES) <= set(beginning.fields)
    of_samples = named_so or (_has_places(fields) and any(_READS.fullmatch(name) for name in fields))
    return of_samples and not is_reads_of_cpgs(beginning)


def is_fractions(beginning: Beginning) -> bool:
    """Whether the line is the header of a table of fractions with coordinates."""
    return _has_places(columns_of(beginning)) and not is_reads_of_cpgs(beginning)


def is_of_cpgs(beginning: Beginning) -> bool:
    """Whether lines below a header can be single CpGs of one sample, not regions or samples in columns."""
    names = {name.lower() for name in columns_of(beginning)}
    return not names & {name.lower() for name in CPGS} and not _has_samples(names) and _is_short(beginning)


def is_reads_of_cpgs(beginning: Beginning) -> bool:
    """Whether the line is the header of a table with a line for each CpG, whose columns are the reads of one sample."""
    fields = columns_of(beginning)
    places = {_PLACES.get(name.lower(), "") for name in fields}
    has_position = "chr" in places and ("start" in places or _POSITION & {name.lower() for name in fields})
    n_reads = sum(bool(_READS_OF_CPG.fullmatch(name)) for name in fields)
    return bool(has_position) and n_reads > 1 and not _has_samples(fields) and _is_short(beginning)


def _has_samples(fields: Iterable[str]) -> bool:
    """Whether any sample has both the columns that a counts table has."""
    found = {match["name"]: set[str]() for name in fields if (match := _READS.fullmatch(name))}
    for name in fields:
        if match := _READS.fullmatch(name):
            found[match["name"]].add(match["what"].upper())
    return any(len(what) > 1 for what in found.values())


def _is_short(beginning: Beginning) -> bool:
    """Whether the first row below a header spans no more bases than a CpG, if it has a start and an end."""
    row = beginning.split(beginning.next_lines[0]) if beginning.next_lines else []
    values = {_PLACES.get(name.lower()): value for name, value in zip(columns_of(beginning), row, strict=False)}
    start, end = values.get("start", ""), values.get("end", "")
    return not (start.isdecimal() and end.isdecimal()) or int(end) - int(start) <= _LONGEST_CPG


def is_probes(beginning: Beginning) -> bool:
    """Whether the line is the header of a table of fractions whose rows are probes of an array."""
    rows = [beginning.split(line)[0] for line in beginning.next_lines[:20] if line.strip()]
    return len(columns_of(beginning)) > 1 and bool(rows) and all(map(is_probe, rows))


def is_probe(name: str) -> bool:
    """Whether a name is one of a probe of an array, such as cg00000029."""
    return bool(_PROBE_ID.fullmatch(name))


def probe_name(name: str) -> str:
    """Return the name of a probe without the strand and number of replicate that EPICv2 adds: cg00000029_TC21.

    Examples
    --------
    >>> probe_name("cg00000029_TC21"), probe_name("cg00000029")
    ('cg00000029', 'cg00000029')
    """
    return _REPLICATE.sub("", name)


def _has_places(fields: list[str]) -> bool:
    return {"chr", "start", "end"} <= {_PLACES.get(name.lower(), "") for name in fields}


def columns_of(beginning: Beginning) -> list[str]:
    """Return the columns of a header, with '' for one that only the rows have: names, or one behind a last tab."""
    fields = [field.lstrip("#") if number == 0 else field for number, field in enumerate(beginning.fields)]
    row = beginning.split(beginning.next_lines[0]) if beginning.next_lines else []
    if len(row) != len(fields) + 1:
        return fields
    if not row[-1]:
        return [*fields, ""]
    starts = [number for number, name in enumerate(fields) if _PLACES.get(name.lower()) == "start"]
    is_named = (is_probe(row[0]) and not _PROBES.fullmatch(fields[0])) or (
        bool(starts) and not row[starts[0]][:1].isdecimal() and row[starts[0] + 1][:1].isdecimal()
    )
    return ["", *fields] if is_named else fields


def read_header(beginning: Beginning, leading: tuple[str, ...], expected: str) -> tuple[list[str], list[str]]:
    """Return the columns of a table, those that place a row named as in ``leading``, and those that are not leading.

    A first or last column without a name is not used.
    """
    path, header = beginning.path, columns_of(beginning)
    if not beginning.number:
        raise InputError(f"{path}: is not a readable table: it is no text", expected)
    if leading == PROBE and _PROBE_ID.fullmatch(header[0]):
        raise InputError(f"{path}: has no header: its first line begins with {header[0]}", expected)
    header = _canonical(header, leading)
    # Where there is one CpG index, there must be the other.
    needed = (*leading, *CPGS) if set(CPGS) & set(header) else leading
    missing = [name for name in needed if name not in header]
    if missing:
        raise InputError(f"{path}: column {missing[0]} is missing; found {', '.join(header[:4])} ...", expected)
    if "" in header[1:-1]:
        raise InputError(f"{path}: column {header[1:-1].index('') + 2} has no name", expected)
    nameless = [name for name in header if leading == COUNTS_COORDINATES and re.fullmatch(r"\s*_(METH|DEPTH)", name)]
    if nameless:
        raise InputError(f"{path}: column {nameless[0]}: the sample has no name", expected)
    others = [name for name in header if name not in leading and name]
    duplicate = first_duplicate(name for name in header if name)
    if duplicate:
        raise InputError(f"{path}: duplicate column {duplicate}", "give each sample its own name")
    return header, others


def _canonical(header: list[str], leading: tuple[str, ...]) -> list[str]:
    if leading == PROBE:
        return ["probe", *header[1:]]
    own = dict(zip(("chr", "start", "end"), leading, strict=False))
    exact = set(leading) & set(header)
    cpgs = {name.lower(): name for name in CPGS}
    renamed = []
    for name in header:
        place = own.get(_PLACES.get(name.lower(), ""), "")
        reads = _READS.fullmatch(name) if leading == COUNTS_COORDINATES else None
        if place and place not in exact:
            renamed.append(place)
        elif reads:
            renamed.append(f"{reads['name']}_{reads['what'].upper()}")
        else:
            renamed.append(cpgs.get(name.lower(), name))
    return renamed


def refuse_no_samples(beginning: Beginning, names: list[str]) -> None:
    """Refuse columns of a table of fractions that are p-values or reads and would be taken for samples."""
    for what, pattern, remedy in (
        ("p-values", _P_VALUE, "set values with a large p-value to NA, then remove these columns"),
        ("reads", _COUNT, "for counts, name the columns <sample>_METH and <sample>_DEPTH; else remove or rename it"),
    ):
        if found := [name for name in names if pattern.search(name)]:
            raise InputError(
                f"{beginning.path}: column {found[0]} seems to be {what}, not the methylation of a sample 0-1", remedy
            )
