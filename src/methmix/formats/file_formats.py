"""The formats of sample files: one entry for each, which is all that a new format needs beside its reader."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from methmix.errors import InputError
from methmix.formats import cpg_lines as lines
from methmix.formats.beginning import HDF5, Beginning, read_beginning
from methmix.formats.bigwig import coverage_of, is_bigwig, open_bigwig_pair
from methmix.formats.counts import Counts, OpenedFile, Request
from methmix.formats.cpg_lines import CpgLines
from methmix.formats.cpgs import cpg_opener
from methmix.formats.mixtures_file import open_mixtures_file
from methmix.formats.near_misses import near_miss
from methmix.formats.region_tables import open_beta_table, open_counts_table, open_probe_table
from methmix.formats.table_headers import is_counts, is_fractions, is_of_cpgs, is_probes
from methmix.formats.text import explain_number, is_alike, not_expected
from methmix.formats.text_errors import CORRECT
from methmix.formats.text_stream import WHITESPACE
from methmix.formats.wgbstools import is_beta, open_beta_file, open_pat


class Format(NamedTuple):
    """A format that samples can have.

    ``description`` is what a user recognises it by. ``recognise`` decides by the beginning of a file; ``open`` checks
    what needs no reading of the file, and returns what reads it. ``fragments``: it can stand for counts of fragments.
    ``layout``: how its lines are laid out, if each is of a CpG, and ``misfits``: which columns of the first line do not
    fit that; None if it has other columns.
    ``headless``: a header that a file has nevertheless is passed over.
    """

    name: str
    description: str
    recognise: Callable[[Beginning], bool]
    open: Callable[[Beginning, Request], OpenedFile]
    fragments: bool = True
    layout: CpgLines | None = None
    misfits: Callable[[Beginning], list[str] | None] | None = None
    headless: bool = False


# Columns of a line that may be otherwise, so that it still is a near miss of the format.
_MOST_MISFITS = 2
# What headers do not call these columns.
_ALL_READS = "cov|depth|total|^n$"
_OTHERS = {
    "methylated": f"un[_ ]?(meth|mod|conv)|^u$|{_ALL_READS}",
    "unmethylated": f"^m(eth|od|$)|{_ALL_READS}",
    "percent": _ALL_READS,
}


def _cpgs(name: str, description: str, layout: CpgLines, n_columns: int) -> Format:
    """Make the entry of a format with a line for each CpG: so many columns, those of ``layout`` as it has them."""

    def misfits(beginning: Beginning) -> list[str] | None:
        fields = beginning.line.split() if layout.separator == WHITESPACE else beginning.fields
        if fields[n_columns:] not in ([], [""]) or len(fields) < n_columns:
            return None
        found = []
        for number, (column, kind) in layout.columns.items():
            if what := not_expected(fields[number], kind):
                if is_alike(fields[number], kind):
                    found.append(f"column {number + 1} ({column}): expected {what}, found {fields[number][:40]!r}")
                else:
                    return None
        return found

    def recognise(beginning: Beginning) -> bool:
        return misfits(beginning) == []

    return Format(name, description, recognise, cpg_opener(layout), False, layout, misfits, headless=True)


def _is_pat(beginning: Beginning) -> bool:
    fields = beginning.fields
    whole = len(fields) >= 4 and all(re.fullmatch(r"\d+", fields[number]) for number in (1, 3))
    return whole and bool(re.fullmatch(r"\.*[CT][CT.]*", fields[2]))


# Formats that can have 5mC alone, or state what they count themselves.
_5MC_APART = {"mixtures", "bedmethyl", "bedmethyl_encode", "pacbio"}
_BOTH_COUNTED = (
    "5mC alone is to be counted, but the file does not distinguish 5hmC: if it is of bisulfite sequencing, EM-seq or "
    "an array, 5hmC is counted as methylated"
)

# In the order in which they are tried.
FORMATS = (
    Format(
        "mixtures",
        "mixtures HDF5 of methmix.mixtures",
        lambda b: b.head[:8] == HDF5 and not b.compression,
        open_mixtures_file,
    ),
    Format(
        "bigwig",
        "pair of bigWig files: <sample>.methylation.bw, which is given, and <sample>.coverage.bw beside it",
        lambda b: is_bigwig(b) and coverage_of(b.path) is not None,
        open_bigwig_pair,
        fragments=False,
    ),
    Format("beta", ".beta or .lbeta of wgbstools", is_beta, open_beta_file, fragments=False),
    _cpgs("bedmethyl", "bedMethyl of modkit: 18 columns", lines.BEDMETHYL, 18),
    _cpgs("bedmethyl_encode", "bedMethyl of ENCODE: 11 columns", lines.BEDMETHYL_OF_ENCODE, 11),
    _cpgs(
        "bismark",
        "coverage of Bismark (.cov, .zero.cov) or MethylDackel (bedGraph): chromosome start end percent methylated "
        "unmethylated",
        lines.COVERAGE,
        6,
    ),
    _cpgs(
        "cytosine_report",
        "cytosine report of Bismark or MethylDackel: chromosome position strand methylated unmethylated context "
        "trinucleotide",
        lines.CYTOSINE_REPORT,
        7,
    ),
    _cpgs(
        "allc",
        "allc of methylpy and ALLCools: chromosome position strand context methylated coverage flag",
        lines.ALLC,
        7,
    ),
    _cpgs(
        "cgmap",
        "CGmap of BS-Seeker2: chromosome base position context dinucleotide fraction methylated coverage",
        lines.CGMAP,
        8,
    ),
    _cpgs(
        "pacbio",
        "pileup of pb-CpG-tools: chromosome begin end score type coverage modified unmodified discretized-score",
        lines.PACBIO,
        9,
    ),
    Format("pat", ".pat.gz of wgbstools: chromosome first-CpG pattern count", _is_pat, open_pat, headless=True),
    Format(
        "counts",
        "counts table: header CHROM START END <sample>_METH <sample>_DEPTH ...",
        is_counts,
        open_counts_table,
    ),
    Format(
        "beta_table",
        "beta table: header chr start end startCpG endCpG <sample> ...",
        is_fractions,
        open_beta_table,
    ),
    Format(
        "probes", "table of an array: header <probe> <sample> ..., rows cg00000029 ...", is_probes, open_probe_table
    ),
)


def recognise(path: Path) -> tuple[Format, Beginning]:
    """Find the format of a file by its content; an unknown one is an error that names what it may be."""
    beginning = read_beginning(path)
    for known, candidate in _pairs(beginning):
        if known.recognise(candidate):
            return known, candidate
    if near := _nearest(beginning):
        known, column = near
        remedy = explain_number(column.rpartition("found ")[2].strip("'")) or CORRECT
        raise InputError(f"{path}: line {beginning.number}, {column}; in all else it is {known.description}", remedy)
    listed = "known formats:\n    " + "\n    ".join(known.description for known in FORMATS)
    commented = beginning.with_header_of_comment() if beginning.number else None
    if miss := (commented and near_miss(commented)) or near_miss(beginning):
        raise InputError(f"{path}: is {miss.what}, which is not read", f"{miss.remedy}\n  {listed}")
    found = f"its first line is {beginning.line[:80]!r}" if beginning.number else "it is no text"
    raise InputError(f"{path}: is of no known format; {found}", listed)


def _pairs(beginning: Beginning) -> Iterator[tuple[Format, Beginning]]:
    """Give what a file may be: formats, each with its beginning, also without its header or with a comment for one."""
    if beginning.number and (without := beginning.without_header()) and is_of_cpgs(beginning):
        headless = [known for known in FORMATS if known.headless]
        yield from ((known, without) for known in headless if not _is_contradicted(known, beginning.fields))
    commented = beginning.with_header_of_comment() if beginning.number else None
    yield from (
        (known, beginning) for known in FORMATS if not (commented and _is_contradicted(known, commented.fields))
    )
    if commented:
        yield from ((known, commented) for known in FORMATS)


def _is_contradicted(known: Format, header: list[str]) -> bool:
    """Whether a header calls a column of reads as the format would call another one."""
    columns = known.layout.columns if known.layout else {}
    named = {name: header[number] for number, (name, _) in columns.items() if number < len(header)}
    return any(re.search(pattern, named.get(name, ""), re.IGNORECASE) for name, pattern in _OTHERS.items())


def _nearest(beginning: Beginning) -> tuple[Format, str] | None:
    """Find the format that the first line has but for few columns, and the first of these."""
    misfits = ((known, known.misfits(beginning) or []) for known in FORMATS if known.misfits)
    near = [(len(columns), known, columns[0]) for known, columns in misfits if 0 < len(columns) <= _MOST_MISFITS]
    return min(near, key=lambda one: one[0])[1:] if near else None


def open_file(path: Path, request: Request) -> OpenedFile:
    """Open a file of any known format, after all checks that need not read it to its end."""
    known, beginning = recognise(path)
    if request.regions is not None and request.regions.measure == "fragment" and not known.fragments:
        raise InputError(
            f"{path}: has counts of single CpGs, but proportions of fragments are needed (measure: fragment)",
            "give the .pat.gz of wgbstools, or use a model or reference of mean methylation (measure: cpg)",
        )
    asked = request.modification or (request.regions and request.regions.modification)
    if asked == "5mC" and known.name not in _5MC_APART:
        beginning.notes[_BOTH_COUNTED] = None
    opened = known.open(beginning, request)
    return replace(opened, load=lambda: _with_notes(opened.load(), beginning))


def _with_notes(counts: Counts, beginning: Beginning) -> Counts:
    """Add what was noticed while the file was read."""
    return replace(counts, notes=[*counts.notes, *beginning.notes])


def read_as(name: str, path: Path, request: Request) -> Counts:
    """Read a file that must have the format of this name; a ``beta_table`` may be one of an array."""
    names = {name, "probes"} if name == "beta_table" else {name}
    asked = next(known for known in FORMATS if known.name == name)
    plain = read_beginning(path)
    pairs = (pair for pair in _pairs(plain) if pair[0].name in names)
    # If it is none, its reader knows best what it lacks.
    known, beginning = next((pair for pair in pairs if pair[0].recognise(pair[1])), (asked, plain))
    if not known.recognise(beginning) and (miss := near_miss(beginning)):
        raise InputError(f"{path}: is {miss.what}; expected {asked.description}", miss.remedy)
    return _with_notes(known.open(beginning, request).load(), beginning)
