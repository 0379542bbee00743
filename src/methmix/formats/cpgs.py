"""Files with a line for each CpG (`methmix.formats.cpg_lines`), which are summed into regions."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from methmix.errors import InputError
from methmix.formats.beginning import Beginning
from methmix.formats.counts import Counts, OpenedFile, Request, one_sample
from methmix.formats.cpg_checks import Places, Reading, behind_end, check_density, check_place, refuse_other_contexts
from methmix.formats.cpg_lines import CpgLines
from methmix.formats.genomes import bare_chrom
from methmix.formats.regions import RENAMED, RegionSet, sums_by_region
from methmix.formats.tabix import Windows, fetched_rows, first_rows, has_index
from methmix.formats.text import read_rows

# With more regions than this, reading the whole file is faster than seeking in it; between regions closer than this
# number of bases, all lines are read.
_MAX_FETCHED_REGIONS, GAP = 200_000, 5_000
# A CpG of the minus strand, or counted from 1, belongs to a place one or two bases before.
_MARGIN = 2


def cpg_opener(lines: CpgLines) -> Callable[[Beginning, Request], OpenedFile]:
    """Make what opens files of such lines; with an index (``.tbi``, ``.csi``), only those near the regions are read."""

    def opened(beginning: Beginning, request: Request) -> OpenedFile:
        reading = Reading(beginning, request)
        reading.fetched = len(reading.regions) <= _MAX_FETCHED_REGIONS and has_index(beginning.path)
        return OpenedFile([beginning.sample_name], partial(_load, reading, lines))

    return opened


def _load(reading: Reading, lines: CpgLines) -> Counts:
    return summed(reading, _blocks(reading, lines), reading.beginning.sample_name, lines.names_context)


def _blocks(reading: Reading, lines: CpgLines) -> Iterator[pd.DataFrame]:
    """Yield CpGs: chromosome, position from 0, methylated, depth."""
    beginning, separator = reading.beginning, lines.separator
    if separator and len(beginning.line.split("\t")) == len(beginning.line.split()):
        separator = "\t"  # twice as fast, and empty columns are seen
    if reading.fetched:
        _check_ends(reading)
        raw = fetched_rows(beginning, lines.columns, windows_of(reading.regions), separator, GAP)
    else:
        raw = read_rows(beginning, lines.columns, separator)
    any_cpg = False
    for block in raw:
        block = lines.cpgs(reading, block)
        if not any_cpg and len(block) and not lines.names_context:
            refuse_other_contexts(reading, block)
        any_cpg = any_cpg or len(block) > 0
        yield block
    if not any_cpg and reading.codes:
        raise _no_cpg(reading.beginning.path, reading.codes)


def _no_cpg(path: Path, codes: set[str]) -> InputError:
    return InputError(
        f"{path}: has no line of code m (5-methylcytosine) or C (5mC and 5hmC), or of context CG; it has "
        f"{', '.join(sorted(codes))}",
        "make it by modkit pileup --cpg --ref GENOME.fa of reads with calls of 5mC, or give the report of CpGs",
    )


def windows_of(regions: RegionSet) -> Windows:
    """Give where CpGs lie that may belong to a region."""
    names = np.array([bare_chrom(name) for name in regions.chrom])
    rows_of = {str(name): names == name for name in np.unique(names)}
    return {name: (regions.start[rows] - _MARGIN, regions.end[rows] + _MARGIN) for name, rows in rows_of.items()}


def _check_ends(reading: Reading) -> None:
    """Look behind the ends of the chromosomes, where a file that is read whole would show its lines."""
    if reading.build is None:
        return
    beyond = {chrom: length + _MARGIN for chrom, length in reading.build.lengths.items()}
    for contig, line in first_rows(reading.beginning, beyond).items():
        chrom = bare_chrom(contig)
        raise behind_end(reading, ":".join(reading.beginning.split(line)[:2]), chrom, beyond[chrom])


def summed(reading: Reading, blocks: Iterator[pd.DataFrame], name: str, names_context: bool = False) -> Counts:
    """Sum the CpGs of a sample, as `methmix.formats.cpg_lines` has them, over the regions that they lie in."""
    regions, store = reading.request.target()
    methylated, depth, n_lines = totals = np.zeros((3, len(regions)), dtype=np.int64)
    example, renamed, places = "", False, Places(reading)
    for block in blocks:
        for chrom, cpgs in block.groupby("chromosome", observed=True):
            position = cpgs["position"].to_numpy()
            check_place(reading, str(chrom), position)
            example = example or f"{chrom}:{position[0]}"
            cpg, region = regions.holding(str(chrom), position)
            places.add(region, cpgs.iloc[cpg])
            renamed = renamed or bool(len(region) and regions.chrom[region[0]] != chrom)
            values = cpgs["methylated"].to_numpy(), cpgs["depth"].to_numpy(), np.ones(len(cpgs), dtype=np.int64)
            for total, of_cpgs in zip(totals, values, strict=True):
                total += sums_by_region(region, of_cpgs[cpg], len(regions))
    places.refuse_duplicates()
    if not names_context:
        check_density(reading, n_lines)
    notes = [*reading.notes, *[RENAMED] * renamed]
    return one_sample(reading.beginning, store, (methylated, depth), depth > 0, example, notes, name)
