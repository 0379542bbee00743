"""Genome builds: their names, the lengths of their chromosomes and the accessions of these; the one table of them.

Lengths and accessions in ``chromosomes.tsv`` are those of NCBI's assembly reports.
"""

import csv
import re
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

# Other names of a build, as they stand in names of files and in headers; patch releases and analysis sets have the
# same coordinates on the chromosomes.
_ALIASES = {
    "hg19": r"hg19.*|grch37.*|hs37.*|b37.*|(human)?g1kv37.*|assembly19|"
    r"gcf000001405(1[3-9]|2[0-5])|gca000001405(\d|1[0-4])",
    "hg38": r"hg38.*|grch38.*|hs38.*|b38.*|assembly38.*|gcf000001405(2[6-9]|[34]\d).*|gca000001405(1[5-9]|2\d).*",
    "hs1": r"hs1|(t2t)?chm13(v?20?.*)?|t2tchm13.*|gcf0099147551|gca0099147554",
    "mm10": r"mm10.*|grcm38.*|gcf0000016352\d|gca000001635[3-8]",
    "mm39": r"mm39.*|grcm39.*|gcf00000163527|gca0000016359",
}
# What names of files have before the build, as in Homo_sapiens.GRCh38.dna.primary_assembly.
_BEFORE = re.compile("^(homosapiens|musmusculus|ucsc|ensembl|gencode|ncbi)+")
# CpGs of all chromosomes and scaffolds of the UCSC release, which is what wgbstools numbers: so long is a .beta file.
_N_CPGS = {"hg19": 28_217_448, "hg38": 29_401_795}


@dataclass(frozen=True)
class Build:
    """A genome build: its UCSC name, the lengths of its chromosomes by `bare_chrom`, and its CpGs in wgbstools."""

    name: str
    n_cpgs: int | None
    lengths: dict[str, int] = field(default_factory=dict)


@cache
def build_name(genome: str) -> str:
    """Return the UCSC name of a genome build, in lower case; an unknown one as it is.

    Examples
    --------
    >>> build_name("GRCh38.p14"), build_name("hs37d5"), build_name("T2T-CHM13v2.0"), build_name("rn7")
    ('hg38', 'hg19', 'hs1', 'rn7')
    """
    plain = _BEFORE.sub("", re.sub(r"[^a-z0-9]", "", genome.lower()))
    return next((name for name, others in _ALIASES.items() if re.fullmatch(others, plain)), genome.lower())


@cache
def builds() -> dict[str, Build]:
    """Return all known builds by their UCSC names."""
    known = {name: Build(name, _N_CPGS.get(name)) for name in _ALIASES}
    for row in _rows():
        chrom, lengths = bare_chrom(row["chromosome"]), known[row["build"]].lengths
        lengths[chrom] = max(int(row["length"]), lengths.get(chrom, 0))
    return known


def find_build(genome: str) -> Build | None:
    """Find a build by any of its names; None for one that is not in the table."""
    return builds().get(build_name(genome))


@cache
def bare_chrom(name: str) -> str:
    """Return a chromosome's name without ``chr``, so that ``chr1`` equals ``1``, ``NC_000001.11`` and ``chrM`` ``MT``.

    Of names of a pangenome, ``sample#haplotype#chr1``, and of NCBI, ``gi|568336023|ref|NC_000001.11|``, only the last
    part counts.
    """
    name = _last_part(name)
    bare = re.sub("^chr", "", _accessions().get(name, name), flags=re.IGNORECASE)
    return "MT" if bare == "M" else bare


def _last_part(name: str) -> str:
    return re.split("[#|]", name.rstrip("|"))[-1]


def long_enough(chrom: str, end: int) -> str:
    """State in which builds a chromosome (`bare_chrom`) has this many bases."""
    found = [name for name, build in builds().items() if build.lengths.get(chrom, 0) >= end]
    return f"so long it is in {' and '.join(found) or 'no build that is known here'}"


def build_of_accession(name: str) -> str | None:
    """Return the build that a chromosome's accession is of, if it is one of a single build."""
    found = {row["build"] for row in _rows() if _last_part(name) in row["accessions"].split(",")}
    return found.pop() if len(found) == 1 else None


@cache
def _accessions() -> dict[str, str]:
    return {accession: row["chromosome"] for row in _rows() for accession in row["accessions"].split(",")}


@cache
def _rows() -> tuple[dict[str, str], ...]:
    text = (files("methmix.formats") / "chromosomes.tsv").read_text()
    return tuple(csv.DictReader(text.splitlines(), delimiter="\t"))
