"""Files with a line for each CpG, which are summed into regions: Bismark coverage and bedMethyl."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.errors import InputError
from methmix.formats.regions import Intervals, RegionSet, bare_chrom
from methmix.formats.text import read_rows


@dataclass(frozen=True)
class CpgSums:
    """What was read from a file of CpGs.

    Parameters
    ----------
    methylated, depth
        Sums over the CpGs of each region, int64 [n_regions].
    n_cpgs
        Lines of each region, int64 [n_regions].
    example
        The first CpG of the file.
    renamed
        Whether chromosomes were found only after ``chr`` was left out of account.
    """

    methylated: npt.NDArray[np.int64]
    depth: npt.NDArray[np.int64]
    n_cpgs: npt.NDArray[np.int64]
    example: str
    renamed: bool


def bismark_sums(path: Path, regions: RegionSet) -> CpgSums:
    """Sum a Bismark coverage file: chromosome, start, end (1-based), percent, methylated, unmethylated.

    Raises
    ------
    InputError
        The file cannot be read to its end, or a number is none (line and column are named).
    """

    def blocks() -> Iterator[pd.DataFrame]:
        columns: dict[int, tuple[str, type | str]] = {
            0: ("chromosome", "category"),
            1: ("start", int),
            4: ("methylated", int),
            5: ("unmethylated", int),
        }
        for block in read_rows(path, columns):
            yield block.assign(position=block["start"] - 1, depth=block["methylated"] + block["unmethylated"])

    return _sums(path, regions, blocks())


def bedmethyl_sums(path: Path, regions: RegionSet) -> CpgSums:
    """Sum a bedMethyl file of modkit (18 columns), of which only the lines of 5-methylcytosine (code m) count.

    Depth is N_valid_cov, methylated N_mod; CpGs listed for each strand are summed.

    Raises
    ------
    InputError
        As for `bismark_sums`; there is no line of code m; N_mod is larger than N_valid_cov.
    """

    def blocks() -> Iterator[pd.DataFrame]:
        columns: dict[int, tuple[str, type | str]] = {
            0: ("chromosome", "category"),
            1: ("position", int),
            3: ("code", "category"),
            9: ("depth", int),
            11: ("methylated", int),
        }
        codes, any_m = set(), False
        # modkit separates the last columns by spaces, depending on its version.
        for block in read_rows(path, columns, sep=r"\s+"):
            codes |= set(block["code"].cat.categories)
            # With several motifs a code is followed by its motif: m,CG,0.
            is_m = block["code"].isin([code for code in codes if code.split(",")[0] == "m"])
            any_m = any_m or bool(is_m.any())
            yield block[is_m]
        if not any_m:
            raise InputError(f"{path}: has no line of code m (5-methylcytosine); it has {', '.join(sorted(codes))}")

    return _sums(path, regions, blocks())


def _sums(path: Path, regions: RegionSet, blocks: Iterator[pd.DataFrame]) -> CpgSums:
    names = np.array([bare_chrom(name) for name in regions.chrom])
    rows_of = {str(name): np.flatnonzero(names == name) for name in np.unique(names)}
    intervals = {name: Intervals(regions.start[rows], regions.end[rows]) for name, rows in rows_of.items()}
    totals = np.zeros((3, len(regions)), dtype=np.int64)
    example, renamed = "", False
    for block in blocks:
        for name, cpgs in block.groupby("chromosome", observed=True):
            position, methylated, depth = (cpgs[c].to_numpy() for c in ("position", "methylated", "depth"))
            example = example or f"{name}:{position[0]}"
            if (methylated > depth).any():
                row = int(np.argmax(methylated > depth))
                raise InputError(
                    f"{path}: {name}:{position[row]}: {methylated[row]} methylated of {depth[row]} reads",
                    "expected not more methylated reads than reads",
                )
            if bare_chrom(name) not in rows_of:
                continue
            cpg, interval = intervals[bare_chrom(name)].overlapping(position, position + 1)
            region = rows_of[bare_chrom(name)][interval]
            renamed = renamed or bool(len(region) and regions.chrom[region[0]] != name)
            for total, values in zip(totals, (methylated, depth, np.ones_like(depth)), strict=True):
                total += np.bincount(region, weights=values[cpg], minlength=len(regions)).astype(np.int64)
    return CpgSums(totals[0], totals[1], totals[2], example, renamed)
