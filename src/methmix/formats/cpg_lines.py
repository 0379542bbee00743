"""How files with a line for each CpG are laid out: one entry for each format, whose lines all become the same columns.

These are chromosome, start (as in the file), position (of the cytosine, from 0), methylated and depth.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from methmix.errors import InputError
from methmix.formats.cpg_checks import Reading, check_counts, check_span, position_offset
from methmix.formats.text import NAME, Columns
from methmix.formats.text_stream import WHITESPACE
from methmix.rows import first_true

# Names of 5mC in lines of bedMethyl, and of modifications of other kinds: letters and ChEBI numbers of SAM tags, words.
_5MC = {"m", "27551", "5mC"}
_5HMC = {"h", "76792", "5hmC"}
_NOT_5MC = _5HMC | {"f", "76794", "5fC", "c", "76793", "5caC", "a", "28871", "6mA", "21839", "4mC"}
# Motifs of modkit, ``sequence,offset``, whose modified base is that of a CpG.
_CPG_MOTIF = "CG,0"
# Of a percentage times the number of reads.
_HALF_A_READ = 50


class CpgLines(NamedTuple):
    """The columns that are read, and how they become CpGs.

    ``separator`` is what separates them, if not what the first line shows; ``names_context``: each line says whether it
    is a CpG.
    """

    columns: Columns
    cpgs: Callable[[Reading, pd.DataFrame], pd.DataFrame]
    separator: str = ""
    names_context: bool = False


def _coverage(reading: Reading, block: pd.DataFrame) -> pd.DataFrame:
    minus = position_offset(reading, block)
    block = block.assign(position=block["start"] - minus, depth=block["methylated"] + block["unmethylated"])
    check_counts(reading, block)
    return block


def _bedmethyl(reading: Reading, block: pd.DataFrame) -> pd.DataFrame:
    """Keep the lines of 5-methylcytosine; what counts as methylated is what does in the reference."""
    codes = block["code"].astype("category")
    reading.codes |= set(codes.cat.categories)
    wanted = _wanted_codes(reading)
    kept = block[codes.isin(wanted)]
    check_span(reading, kept)
    check_counts(reading, kept)
    if (row := first_true(kept["methylated"] + kept["canonical"] + kept["other"] != kept["depth"])) is not None:
        raise reading.error(
            kept, row, "N_mod + N_canonical + N_other_mod is not N_valid_cov", "are these the columns of modkit pileup?"
        )
    if not (kept["other"] > 0).any():
        return _on_plus(kept)
    if reading.counts_5hmc:
        reading.notes["5hmC is counted as methylated, as bisulfite and EM-seq read it (--modification 5mC+5hmC)"] = None
        kept = kept.assign(methylated=kept["methylated"] + kept["other"])
    else:
        reading.notes["5hmC is counted as unmethylated (--modification 5mC)"] = None
    return _on_plus(kept)


def _wanted_codes(reading: Reading) -> list[str]:
    """Choose the codes of 5mC (``m``), or of all modified C (``C``, by --combine-mods), in the context CpG."""
    parts = {code: code.partition(",") for code in reading.codes}
    by_code = {
        "m": [code for code, part in parts.items() if part[0] in _5MC],
        "C": [code for code, part in parts.items() if part[0] == "C"],
    }
    if by_code["C"] and by_code["m"]:
        raise InputError(
            f"{reading.beginning.path}: has lines of code m and of code C",
            "make it again, with or without --combine-mods",
        )
    if by_code["C"] and not reading.counts_5hmc:
        raise InputError(
            f"{reading.beginning.path}: has 5mC and 5hmC in one (code C), but 5mC alone is to be counted",
            "make it again by modkit pileup without --combine-mods, or give --modification 5mC+5hmC",
        )
    wanted = by_code["m"] or by_code["C"]
    kept = [code for code in wanted if parts[code][2] in ("", _CPG_MOTIF)]
    if left_out := sorted({parts[code][2] for code in wanted} - {"", _CPG_MOTIF}):
        reading.notes[f"lines of other motifs than CG are left out: {'; '.join(left_out)}"] = None
    return kept


def _on_plus(block: pd.DataFrame) -> pd.DataFrame:
    """Place a CpG of the minus strand at its cytosine of the plus strand, so that both are one place."""
    return block.assign(position=block["start"] - (block["strand"] == "-").to_numpy().astype(np.int64))


def _bedmethyl_of_encode(reading: Reading, block: pd.DataFrame) -> pd.DataFrame:
    """Take coverage and percentage for reads; all 11 columns say no more.

    The 4th is the name of a sample, or of the modification, as of modbam2bed and of 18 columns that were cut.
    """
    names = set(block["code"].cat.categories)
    reading.codes |= names & _NOT_5MC
    block = block[~block["code"].isin(_NOT_5MC)]
    if names & _5MC and names & _5HMC and reading.counts_5hmc:
        raise InputError(
            f"{reading.beginning.path}: has lines of 5mC and of 5hmC, in 11 columns, which do not add up",
            "give the 18 columns of modkit pileup; --modification 5mC counts 5mC alone, 5hmC as unmethylated",
        )
    if names & _5MC and reading.counts_5hmc:
        reading.notes[
            "lines are of 5mC alone: 5hmC, if it was called beside it, is counted as unmethylated; the 18 columns of "
            "modkit pileup have both"
        ] = None
    check_span(reading, block)
    percent = block["percent"].where(block["depth"] > 0, 0)
    if (row := first_true(~percent.between(0, 100))) is not None:
        raise reading.error(block, row, f"its percentage is {percent.iloc[row]:g}", "expected 0 to 100")
    if (row := first_true((percent > 0) & (percent * block["depth"] < _HALF_A_READ))) is not None:
        words = f"its percentage, {percent.iloc[row]:g} of {block['depth'].iloc[row]} reads, is less than one read"
        raise reading.error(block, row, words, "the percentages seem to be fractions 0-1: multiply them by 100")
    methylated = np.rint(block["depth"] * percent / 100).astype(np.int64)
    reading.notes["methylated reads are computed from coverage and percentage, rounded to whole ones"] = None
    block = block.assign(methylated=methylated)
    return _on_plus(block.drop(columns="percent"))


def _cytosine_report(reading: Reading, block: pd.DataFrame) -> pd.DataFrame:
    block = block.assign(depth=block["methylated"] + block["unmethylated"])
    return _of_context(reading, block, block["context"].isin(["CG", "CpG"]))


def _allc(reading: Reading, block: pd.DataFrame) -> pd.DataFrame:
    return _of_context(reading, block, block["context"].astype(str).str.startswith("CG"))


def _cgmap(reading: Reading, block: pd.DataFrame) -> pd.DataFrame:
    block = block.assign(strand=np.where(block["base"] == "G", "-", "+"), percent=100 * block["percent"])
    return _of_context(reading, block, block["context"].isin(["CG"]))


def _of_context(reading: Reading, block: pd.DataFrame, is_cpg: pd.Series) -> pd.DataFrame:
    """Keep the CpGs of a format that names the context of each line, and counts from 1."""
    reading.codes |= set(block["context"].cat.categories)
    if not is_cpg.all():
        reading.notes["cytosines of other contexts than CpG are left out"] = None
    block = block[is_cpg]
    check_counts(reading, block)
    minus = 0 if reading.request.zero_based else 1
    return _on_plus(block).assign(position=lambda kept: kept["position"] - minus)


def _pacbio(reading: Reading, block: pd.DataFrame) -> pd.DataFrame:
    types = set(block["type"].cat.categories)
    reading.codes |= types
    if len(reading.codes) > 1:
        if "Total" not in reading.codes:
            raise InputError(
                f"{reading.beginning.path}: has lines of types {', '.join(sorted(reading.codes))}",
                "give the combined file",
            )
        block = block[block["type"] == "Total"]
    check_span(reading, block)
    if (row := first_true(block["methylated"] + block["unmethylated"] != block["depth"])) is not None:
        raise reading.error(
            block, row, "its modified and unmodified reads do not add up to its coverage", "is it of pb-CpG-tools?"
        )
    return block.assign(position=block["start"])


def _columns(patterns: Mapping[str, re.Pattern[str]], **positions: int) -> Columns:
    """Describe columns by their names and positions; what has no pattern, and is no percentage, is a whole number."""
    kinds: dict[str, type | re.Pattern[str]] = {"chromosome": NAME, "code": NAME, "percent": float, **patterns}
    return {position: (name, kinds.get(name, int)) for name, position in positions.items()}


_ANY_STRAND, _STRAND = re.compile(r"[+.-]"), re.compile(r"[+-]")
COVERAGE = CpgLines(
    _columns({}, chromosome=0, start=1, end=2, percent=3, methylated=4, unmethylated=5),
    _coverage,
)
BEDMETHYL = CpgLines(
    _columns(
        {"strand": _ANY_STRAND},
        chromosome=0, start=1, code=3, end=2, strand=5, depth=9, percent=10, methylated=11, canonical=12, other=13,
    ),
    _bedmethyl,
    WHITESPACE,  # modkit separates the last columns by spaces, depending on its version
)  # fmt: skip
BEDMETHYL_OF_ENCODE = CpgLines(
    _columns(
        {"strand": _ANY_STRAND, "code": re.compile(".*")},
        chromosome=0, start=1, end=2, code=3, strand=5, depth=9, percent=10,
    ),
    _bedmethyl_of_encode,
)  # fmt: skip
CYTOSINE_REPORT = CpgLines(
    _columns(
        {"strand": _STRAND, "context": re.compile(r"C(G|pG|HG|HH|N|HN|NN|NG)")},
        chromosome=0, start=1, strand=2, methylated=3, unmethylated=4, context=5,
    ),
    _cytosine_report,
    names_context=True,
)  # fmt: skip
ALLC = CpgLines(
    _columns(
        {"strand": _STRAND, "context": re.compile(r"C[ACGTN]+")},
        chromosome=0, start=1, strand=2, context=3, methylated=4, depth=5,
    ),
    _allc,
    names_context=True,
)  # fmt: skip
CGMAP = CpgLines(
    _columns(
        {"base": re.compile(r"[CG]"), "context": re.compile(r"C[A-Z-]*|--")},
        chromosome=0, base=1, start=2, context=3, percent=5, methylated=6, depth=7,
    ),
    _cgmap,
    names_context=True,
)  # fmt: skip
PACBIO = CpgLines(
    _columns(
        {"type": re.compile(r"[A-Za-z]\w*")},
        chromosome=0, start=1, end=2, type=4, depth=5, methylated=6, unmethylated=7,
    ),
    _pacbio,
)  # fmt: skip
