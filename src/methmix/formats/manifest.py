"""Manifests of arrays: where in the genome the CpG of each probe lies."""

import gzip
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from methmix.bounds import check_size
from methmix.errors import InputError
from methmix.formats.beginning import read_beginning
from methmix.formats.genomes import bare_chrom, build_name, find_build
from methmix.formats.regions import Integers
from methmix.formats.table_headers import probe_name
from methmix.formats.text_errors import CORRECT, UNREADABLE, unreadable
from methmix.rows import first_true

# Columns of a manifest: probe, chromosome, position, and what is subtracted from it to count from 0. Illumina gives
# the cytosine of the plus strand from 1; InfiniumAnnotation (SeSAMe) counts as BED files do.
_LAYOUTS = (
    ("IlmnID", "CHR", "MAPINFO", 1),
    ("Probe_ID", "CpG_chrm", "CpG_beg", 0),
    ("probeID", "CpG_chrm", "CpG_beg", 0),
)
_BUILD = "Genome_Build"
_USED = {_BUILD, *(name for layout in _LAYOUTS for name in layout[:3])}
# Lines that may stand before the header.
_MOST_HEADING = 30
_HINT = (
    "give the manifest of Illumina (CSV: IlmnID, CHR, MAPINFO, Genome_Build) or of InfiniumAnnotation (TSV: CpG_chrm, "
    "CpG_beg, Probe_ID)"
)
# EPICv2 has 937,690 probes.
_MOST_PROBES = 5_000_000


class Manifest(NamedTuple):
    """Where the CpGs of probes lie.

    ``places``, indexed by `probe_name`, has ``chrom`` and ``start``, the cytosine of the plus strand counted from 0;
    ``genome`` is the build, None where the manifest does not state it.
    """

    path: Path
    places: pd.DataFrame
    genome: str | None

    def check_genome(self, genome: str, stated: str | None) -> None:
        """Refuse a manifest of another build than ``genome``; one that names none needs that it is ``stated``."""
        if build_name(genome) == "unknown":
            return
        own = self.genome or stated
        if own is None:
            raise InputError(
                f"{self.path}: does not say of which genome build its positions are",
                "state it by --genome, such as hg38",
            )
        if build_name(own) != build_name(genome):
            raise InputError(
                f"{self.path}: has positions in {own}, expected {genome}", f"give the manifest of {genome}"
            )

    def find(self, probes: Sequence[str]) -> tuple[Integers, pd.DataFrame]:
        """Find the places of probes; those that have none are left out.

        Returns
        -------
        rows
            Numbers of the probes that are found, int64 [n_found].
        places
            Their ``chrom``, ``start`` and ``end``: the two bases of the CpG.
        """
        place = self.places.index.get_indexer(pd.Index(probes))
        rows = np.flatnonzero(place >= 0)
        places = self.places.iloc[place[rows]].reset_index(drop=True)
        return rows, places.assign(end=places["start"] + 2)


@cache
def read_manifest(path: Path) -> Manifest:
    """Read a manifest of any array, plain or gzip; probes of SNPs, of other contexts, and without a place are left out.

    A probe that has several places (of replicates on EPICv2) is left out too.
    """
    header, table = _rows(path)
    probe, chrom, position, first = next(layout for layout in _LAYOUTS if set(layout[:3]) <= set(table.columns))
    check_size(path, "probes", len(table), _MOST_PROBES, "probes")
    # Illumina lists its controls, which have other columns, below the probes.
    table = table[table[probe].str.match(r"cg\d", na=False)]
    start = _positions(path, table[position], header) - first
    mapped = ((start >= 0) & table[chrom].notna() & ~table[chrom].isin(["0", "chr0", "*"])).to_numpy()
    if not mapped.any():
        raise InputError(f"{path}: has no probe cg... with a place in the genome", _HINT)
    names = [probe_name(name) for name in table[probe][mapped]]
    places = pd.DataFrame({"chrom": table[chrom][mapped].to_numpy(), "start": start[mapped].to_numpy(np.int64)}, names)
    unique = places.reset_index(names="probe").drop_duplicates()
    unique = unique[~unique["probe"].duplicated(keep=False)].set_index("probe")
    return Manifest(path, unique, _genome(path, table, unique))


def _rows(path: Path) -> tuple[int, pd.DataFrame]:
    """Find the header, which Illumina has behind ``[Assay]``; gives its line, and as text the columns that are used."""
    beginning = read_beginning(path)
    if not beginning.number:
        raise InputError(f"{path}: is no manifest of an array: it is no text", _HINT)
    opened = gzip.open if beginning.compression else open
    try:
        with opened(path, "rt", encoding=beginning.encoding, newline=None) as lines:
            for header, line in enumerate(lines, 1):
                for mark in "\t,;":
                    columns = line.strip().replace('"', "").split(mark)
                    if any(set(layout[:3]) <= set(columns) for layout in _LAYOUTS):
                        used = {number: name for number, name in enumerate(columns) if name in _USED}
                        table = pd.read_csv(lines, sep=mark, header=None, usecols=list(used), dtype=str)
                        return header, table.rename(columns=used)
                if header > beginning.number + _MOST_HEADING:
                    break
    except UNREADABLE as error:
        raise unreadable(path, error) from None
    raise InputError(f"{path}: is no manifest of an array; its first line is {beginning.line[:80]!r}", _HINT)


def _positions(path: Path, column: pd.Series, header: int) -> pd.Series:
    """Read positions; -1 where there is none."""
    numbers = pd.to_numeric(column, errors="coerce")
    if (row := first_true(column.notna() & ~((numbers >= 0) & (numbers == numbers.round())))) is not None:
        raise InputError(
            f"{path}: line {header + 1 + column.index[row]}, column {column.name}: expected a whole number >= 0, found "
            f"{column.iloc[row][:40]!r}",
            CORRECT,
        )
    return numbers.fillna(-1).astype(np.int64)


def _genome(path: Path, table: pd.DataFrame, places: pd.DataFrame) -> str | None:
    """Return the build that is stated, after a look behind the ends of its chromosomes."""
    named = sorted(set(table[_BUILD].dropna().str.strip()) - {""}) if _BUILD in table else []
    if len(named) > 1:
        raise InputError(f"{path}: has positions in several genome builds: {', '.join(named)[:80]}", _HINT)
    if not named:
        return None
    genome = f"GRCh{named[0]}" if named[0].isdecimal() else named[0]
    if (build := find_build(genome)) is not None:
        ends = places["chrom"].map(bare_chrom).map(build.lengths)
        if (row := first_true(places["start"] >= ends)) is not None:
            probe, place = places.index[row], places.iloc[row]
            raise InputError(
                f"{path}: {probe} at {place['chrom']}:{place['start']} is behind the end of the chromosome in {genome}",
                _HINT,
            )
    return genome
