"""What the lines of single CpGs show of themselves: their base, their context, their build, and contradictions."""

import re
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.errors import InputError
from methmix.formats.beginning import Beginning
from methmix.formats.counts import Request
from methmix.formats.genomes import Build, bare_chrom, build_of_accession, find_build, long_enough
from methmix.formats.regions import Integers, RegionSet
from methmix.rows import first_true

# Percent are written with few digits, by some programs truncated.
_PERCENT_TOLERANCE = 1.01
# Files with a line for each strand have pairs of adjacent lines; of merged strands, none. Below this many lines
# without a pair, or below this proportion of pairs, it may be chance.
_ENOUGH_LINES, _FEWEST_PAIRS = 100, 0.01
# In files of CpGs, cytosines two bases apart are at most a quarter as frequent as adjacent ones (CG islands); in files
# of all contexts, both are equally frequent.
_ENOUGH_NEIGHBOURS, _MOST_AT_DISTANCE_2 = 50, 0.55
# Proportion of the cytosines within so many bases behind a methylated one that are methylated too: of CpGs most are.
_NEAR, _LEAST_ALIKE = 10, 0.55
# Positions per base of a region: 1 in 11 is usual, in a CpG island 1 in 5; of all cytosines, 1 in 2.4.
_MOST_PER_BASE, _LEAST_LENGTH, _ENOUGH_BASES = 1 / 3, 50, 1000


@dataclass
class Reading:
    """A file that is being read, and what is known of it so far.

    ``fetched``: only lines near the regions are read. ``span`` is end - start of all lines, ``minus`` what is
    subtracted from positions to count from 0; None before the first lines. ``codes`` are what kinds of lines it has,
    ``notes`` what the user should know.
    """

    beginning: Beginning
    request: Request
    fetched: bool = False
    span: int | None = None
    minus: int | None = None
    codes: set[str] = field(default_factory=set)
    notes: dict[str, None] = field(default_factory=dict)

    @property
    def regions(self) -> RegionSet:
        """The regions that CpGs are counted in."""
        return self.request.target()[0]

    @property
    def build(self) -> Build | None:
        """The build of the regions, if it is a known one."""
        return find_build(self.regions.genome)

    @property
    def counts_5hmc(self) -> bool:
        """Whether 5hmC counts as methylated, as it does in bisulfite sequencing and EM-seq."""
        return (self.request.modification or self.regions.modification) == "5mC+5hmC"

    def error(self, block: pd.DataFrame, row: int, message: str, hint: str) -> InputError:
        """Make the message about a row of a block, with its place in the file."""
        place = f"{block['chromosome'].iloc[row]}:{block['start'].iloc[row]}"
        line = "" if self.fetched else f"line {block.index[row]}: "
        return InputError(f"{self.beginning.path}: {line}{place}: {message}", hint)


def check_counts(reading: Reading, block: pd.DataFrame) -> None:
    """Refuse more methylated reads than reads, and a percentage that contradicts them on any line.

    Columns: start, methylated, depth and, where the format has it, percent.
    """
    methylated, depth = block["methylated"].to_numpy(), block["depth"].to_numpy()
    if (row := first_true(methylated > depth)) is not None:
        raise reading.error(
            block,
            row,
            f"{methylated[row]} methylated of {depth[row]} reads",
            "expected at most as many methylated reads as reads",
        )
    if "percent" not in block:
        return
    percent = block["percent"].to_numpy()
    # Written so that what is not finite is off.
    off = ~(np.abs(percent * depth - 100.0 * methylated) <= _PERCENT_TOLERANCE * depth) & (depth > 0)
    if (row := first_true(off)) is not None:
        raise reading.error(
            block,
            row,
            f"its percentage is {percent[row]:g}, but {methylated[row]} methylated of {depth[row]} reads "
            f"are {100 * methylated[row] / depth[row]:.4g} %",
            _why(percent, methylated, depth),
        )


def _why(percent: npt.NDArray[np.float64], methylated: Integers, depth: Integers) -> str:
    """Say which other meaning of the columns agrees with the percentages, if one does."""
    others = depth - methylated
    seen = depth > 0
    meanings = {
        "the last column seems to be the number of all reads: write that of unmethylated ones": (methylated, others),
        "the two columns of reads seem to be swapped: methylated ones come first": (others, depth),
        "the percentages seem to be fractions 0-1: multiply them by 100": (methylated / 100, depth),
    }
    for words, (part, whole) in meanings.items():
        valid = seen & (whole > 0)
        if valid.any() and (np.abs(percent - 100 * part / np.maximum(whole, 1))[valid] <= _PERCENT_TOLERANCE).all():
            return words
    return "are the columns those of this format? a damaged or edited file must be made again"


def check_span(reading: Reading, block: pd.DataFrame) -> None:
    """Refuse lines of more than one CpG, in formats that count from 0."""
    span = (block["end"] - block["start"]).to_numpy()
    if (row := first_true((span < 1) | (span > 2))) is not None:
        raise reading.error(
            block, row, f"its end is {span[row]} behind its start", "expected single CpGs: end - start is 1 or 2"
        )


def position_offset(reading: Reading, block: pd.DataFrame) -> int:
    """Find what is subtracted from ``start`` to count from 0, by the first lines; all must span equally many bases.

    A line of one position (end = start) counts from 1, one of two bases (end = start + 2) from 0. end = start + 1 is
    either one cytosine counted from 0, or a whole CpG counted from 1: the former if lines come in adjacent pairs.
    """
    span = (block["end"] - block["start"]).to_numpy()
    expected = int(span[0]) if reading.span is None else reading.span
    other = span != expected
    if other.any() or expected not in (0, 1, 2):
        row = int(other.argmax())
        beside = f", in other lines {expected}" if other.any() else ""
        raise reading.error(
            block,
            row,
            f"its end is {span[row]} behind its start{beside}",
            "expected single CpGs: end - start is 0 (counted from 1), 1, or 2 (counted from 0), the same in all lines",
        )
    if reading.minus is None:
        reading.span, reading.minus = expected, _offset(reading, block, expected)
    return reading.minus


def _offset(reading: Reading, block: pd.DataFrame, span: int) -> int:
    if reading.request.zero_based is not None:
        return 0 if reading.request.zero_based else 1
    if span != 1:
        return 1 if span == 0 else 0
    if any(line.startswith("track") for line in reading.beginning.comments):
        return 0  # a bedGraph
    n_lines, pairs = len(block), _neighbours(block)[0]
    if pairs >= max(2, _FEWEST_PAIRS * n_lines):
        return 0
    if pairs == 0 and n_lines >= _ENOUGH_LINES:
        reading.notes[
            "lines are taken for whole CpGs counted from 1, as none are adjacent; --zero-based says otherwise"
        ] = None
        return 1
    raise InputError(
        f"{reading.beginning.path}: lines have end = start + 1, which is one cytosine counted from 0, or a CpG counted "
        f"from 1; of the first {n_lines} lines {pairs} are adjacent, which does not decide",
        "--zero-based if the first base of a chromosome is 0 (.zero.cov, MethylDackel), --no-zero-based if it is 1",
    )


def refuse_other_contexts(reading: Reading, block: pd.DataFrame) -> None:
    """Refuse the first lines if they are cytosines of all contexts, most of which are unmethylated.

    Then positions one and two bases apart are equally frequent, and the neighbours of methylated cytosines are not
    methylated. Either alone may be otherwise: in islands of which one strand is read, or at low depth. MethylDackel
    names the context in the ``track`` line.
    """
    if named := [line for line in reading.beginning.comments if re.search(r"\bCH[GH]\b", line)]:
        raise _other_contexts(reading, f"its first lines say {named[0][:80]!r}")
    adjacent, at_two = _neighbours(block)
    if not adjacent or at_two < _ENOUGH_NEIGHBOURS or at_two <= _MOST_AT_DISTANCE_2 * adjacent:
        return
    like = _methylated_neighbours(block)
    if like < _LEAST_ALIKE:
        raise _other_contexts(
            reading,
            f"of its first lines {adjacent} are adjacent and {at_two} two bases apart, as of all cytosines, and of the "
            f"neighbours of methylated ones {100 * like:.0f} % are methylated",
        )


def _neighbours(block: pd.DataFrame) -> tuple[int, int]:
    """Count pairs of positions one and two bases apart."""
    adjacent = at_two = 0
    for _, starts in block.groupby("chromosome", observed=True)["start"]:
        step = np.diff(np.unique(starts.to_numpy()))
        adjacent += int((step == 1).sum())
        at_two += int((step == 2).sum() + ((step[1:] == 1) & (step[:-1] == 1)).sum())
    return adjacent, at_two


def _methylated_neighbours(block: pd.DataFrame) -> float:
    """Compute which proportion of what follows a methylated cytosine within a few bases is methylated; 1 if none."""
    seen = block[block["depth"] > 0].sort_values(["chromosome", "start"])
    is_near = (np.diff(seen["start"]) <= _NEAR) & (np.diff(seen["start"]) > 0)
    methylated = (2 * seen["methylated"] > seen["depth"]).to_numpy()
    after = methylated[1:][is_near & methylated[:-1]]
    return float(after.mean()) if len(after) else 1.0


def check_density(reading: Reading, n_positions: Integers) -> None:
    """Refuse more positions in the regions than CpGs can be, [n_regions]."""
    length = reading.regions.end - reading.regions.start
    used = (n_positions > 0) & (length >= _LEAST_LENGTH)
    bases, positions = int(length[used].sum()), int(n_positions[used].sum())
    if bases >= _ENOUGH_BASES and positions > _MOST_PER_BASE * bases:
        raise _other_contexts(
            reading, f"it has {positions} positions in {bases} bases of regions, 1 in {bases / positions:.1f}"
        )


def _other_contexts(reading: Reading, seen: str) -> InputError:
    return InputError(
        f"{reading.beginning.path}: has cytosines of other contexts than CpG (CHG, CHH), all unmethylated: {seen}",
        "give CpGs only: bismark_methylation_extractor without --CX, modkit pileup with --cpg, or the CX_report, "
        "which names the context of each line",
    )


class Places:
    """The CpGs of regions that have had a line; a second line of one is refused, as counts would be summed."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._seen: list[Integers] = []

    def add(self, region: Integers, cpgs: pd.DataFrame) -> None:
        """Add the lines of CpGs in these regions."""
        is_minus = (cpgs["strand"] == "-").to_numpy() if "strand" in cpgs else np.zeros(len(cpgs), dtype=bool)
        # Both are below 2^31.
        self._seen.append((region << 32) | (cpgs["start"].to_numpy() << 1) | is_minus)

    def refuse_duplicates(self) -> None:
        """Refuse a CpG with several lines."""
        seen = np.sort(np.concatenate(self._seen or [np.empty(0, dtype=np.int64)]))
        twice = seen[1:][seen[1:] == seen[:-1]]
        if len(twice):
            chrom, start = self._reading.regions.chrom[twice[0] >> 32], (int(twice[0]) & 0xFFFFFFFF) >> 1
            raise InputError(
                f"{self._reading.beginning.path}: {chrom}:{start} has several lines; expected one per CpG and strand",
                "are these several files, one after the other? give each as a sample of its own, or sum the reads",
            )


def check_place(reading: Reading, name: str, position: Integers) -> None:
    """Refuse a chromosome of another build than the regions': by its accession, or positions behind its end."""
    build, path = reading.build, reading.beginning.path
    if build is None:
        return
    of_accession = build_of_accession(name)
    if of_accession not in (None, build.name):
        raise InputError(
            f"{path}: has the chromosome {name} of {of_accession}, the model is of {reading.regions.genome}",
            "use a model of that genome, or samples aligned to the model's",
        )
    chrom = bare_chrom(name)
    length = build.lengths.get(chrom)
    if length is not None and len(position) and position.max() >= length:
        last = int(position.max())
        raise behind_end(reading, f"{name}:{last}", chrom, last)


def behind_end(reading: Reading, place: str, chrom: str, position: int) -> InputError:
    """Make the message for a position behind the end of its chromosome in the regions' build."""
    build = reading.build
    assert build is not None  # for the type checker: without a build no length is known
    return InputError(
        f"{reading.beginning.path}: {place} is behind the end of the chromosome, which has "
        f"{build.lengths[chrom]:,} bases in {build.name}; {long_enough(chrom, position + 1)}",
        f"is the file of another genome build? the regions are of {reading.regions.genome}",
    )
