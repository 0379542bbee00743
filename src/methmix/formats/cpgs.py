"""Files with a line for each CpG, which are summed into regions: Bismark coverage and bedMethyl."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from methmix.errors import InputError
from methmix.formats.counts import Counts, OpenedFile, Request, one_sample
from methmix.formats.regions import RENAMED, Intervals, bare_chrom, sums_by_region
from methmix.formats.text import Beginning, Columns, read_rows

_BISMARK: Columns = {0: ("chromosome", "category"), 1: ("start", int), 4: ("methylated", int), 5: ("unmethylated", int)}
_BEDMETHYL: Columns = {
    0: ("chromosome", "category"),
    1: ("position", int),
    3: ("code", "category"),
    9: ("depth", int),
    11: ("methylated", int),
}


def open_bismark(beginning: Beginning, request: Request) -> OpenedFile:
    """Open a Bismark coverage file: chromosome, start, end (1-based), percent, methylated, unmethylated."""
    return _opened(beginning, request, _bismark_blocks)


def open_bedmethyl(beginning: Beginning, request: Request) -> OpenedFile:
    """Open a bedMethyl file of modkit (18 columns), of which only the lines of 5-methylcytosine (code m) count.

    Depth is N_valid_cov, methylated N_mod; CpGs listed for each strand are summed.
    """
    return _opened(beginning, request, _bedmethyl_blocks)


def _opened(beginning: Beginning, request: Request, read: Callable[[Path], Iterator[pd.DataFrame]]) -> OpenedFile:
    return OpenedFile([beginning.sample_name], partial(_summed, beginning, request, read))


def _bismark_blocks(path: Path) -> Iterator[pd.DataFrame]:
    for block in read_rows(path, _BISMARK):
        yield block.assign(position=block["start"] - 1, depth=block["methylated"] + block["unmethylated"])


def _bedmethyl_blocks(path: Path) -> Iterator[pd.DataFrame]:
    codes, any_m = set(), False
    # modkit separates the last columns by spaces, depending on its version.
    for block in read_rows(path, _BEDMETHYL, sep=r"\s+"):
        codes |= set(block["code"].cat.categories)
        # With several motifs a code is followed by its motif: m,CG,0.
        is_m = block["code"].isin([code for code in codes if code.split(",")[0] == "m"])
        any_m = any_m or bool(is_m.any())
        yield block[is_m]
    if not any_m:
        raise InputError(f"{path}: has no line of code m (5-methylcytosine); it has {', '.join(sorted(codes))}")


def _summed(beginning: Beginning, request: Request, read: Callable[[Path], Iterator[pd.DataFrame]]) -> Counts:
    """Sum CpGs (columns chromosome, position from 0, methylated, depth) over the regions that they lie in."""
    regions, store = request.target()
    names = np.array([bare_chrom(name) for name in regions.chrom])
    rows_of = {str(name): np.flatnonzero(names == name) for name in np.unique(names)}
    intervals = {name: Intervals(regions.start[rows], regions.end[rows]) for name, rows in rows_of.items()}
    methylated, depth, n_cpgs = totals = np.zeros((3, len(regions)), dtype=np.int64)
    example, renamed = "", False
    for block in read(beginning.path):
        _check_reads(beginning.path, block)
        for name, cpgs in block.groupby("chromosome", observed=True):
            position = cpgs["position"].to_numpy()
            example = example or f"{name}:{position[0]}"
            rows = rows_of.get(bare_chrom(name))
            if rows is None:
                continue
            cpg, interval = intervals[bare_chrom(name)].overlapping(position, position + 1)
            region = rows[interval]
            renamed = renamed or bool(len(region) and regions.chrom[region[0]] != name)
            values = cpgs["methylated"].to_numpy(), cpgs["depth"].to_numpy(), np.ones(len(cpgs), dtype=np.int64)
            for total, of_cpgs in zip(totals, values, strict=True):
                total += sums_by_region(region, of_cpgs[cpg], len(regions))
    name = beginning.sample_name
    return one_sample(name, store, (methylated, depth), n_cpgs > 0, example, [RENAMED] * renamed)


def _check_reads(path: Path, block: pd.DataFrame) -> None:
    impossible = (block["methylated"] > block["depth"]).to_numpy()
    if impossible.any():
        cpg = block.iloc[int(impossible.argmax())]
        raise InputError(
            f"{path}: {cpg['chromosome']}:{cpg['position']}: {cpg['methylated']} methylated of {cpg['depth']} reads",
            "expected at most as many methylated reads as reads",
        )
