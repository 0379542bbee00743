"""Files that are not read, but are known: what they are, and how to make of them one that is read."""

import re
from collections.abc import Callable
from typing import NamedTuple

from methmix.formats.beginning import HDF5, Beginning
from methmix.formats.bigwig import is_bigwig, methylation_of
from methmix.formats.table_headers import is_probe, is_reads_of_cpgs

_READS = (
    "count them first. Nanopore and PacBio (tags MM, ML): modkit pileup --cpg --ref GENOME.fa IN.bam OUT.bed; Bismark "
    "(tag XM): bismark_methylation_extractor --bedGraph IN.bam gives OUT.bismark.cov.gz; any bisulfite BAM: "
    "wgbstools bam2pat --genome hg38 IN.bam gives .pat.gz and .beta"
)


_ZIP = b"PK\3\4"
_UNPACK_FILES = "unpack it, and give the files that are in it"
_AS_COVERAGE = "make lines as of Bismark's coverage, chromosome start end percent methylated unmethylated"


class NearMiss(NamedTuple):
    """A known format that is not read: what it is, how it is recognised, and what to do instead."""

    what: str
    recognise: Callable[[Beginning], bool]
    remedy: str


def _begins(*marks: bytes) -> Callable[[Beginning], bool]:
    return lambda beginning: beginning.head.startswith(marks)


def _header(*names: str) -> Callable[[Beginning], bool]:
    return lambda beginning: set(names) <= {name.lower() for name in beginning.fields}


def _numeric(n_columns: int, *positions: int) -> Callable[[Beginning], bool]:
    def recognise(beginning: Beginning) -> bool:
        fields = beginning.fields
        return len(fields) == n_columns and all(re.fullmatch(r"\d+", fields[number]) for number in positions)

    return recognise


def _is_bedgraph(n_columns: int, *positions: int) -> Callable[[Beginning], bool]:
    """Recognise lines of chromosome, start, end and values, of which those in these columns are whole numbers."""
    is_numeric = _numeric(n_columns, 1, 2, *positions)
    return lambda b: is_numeric(b) and int(b.fields[1]) < int(b.fields[2])


def _is_of_dnmtools(beginning: Beginning) -> bool:
    fields = beginning.fields
    return _numeric(6, 1, 5)(beginning) and fields[2] in {"+", "-"} and fields[3][:3] in {"CpG", "CHH", "CXG", "CCG"}


def _is_transposed(beginning: Beginning) -> bool:
    names = beginning.fields[1:]
    return len(names) > 1 and all(is_probe(name) or re.fullmatch(r"\w+[:_-]\d+[_-]\d+", name) for name in names)


def _is_epiread(beginning: Beginning) -> bool:
    fields = beginning.fields
    by_methpipe = len(fields) == 3 and fields[1].isdecimal() and bool(re.fullmatch("[CTN]+", fields[2]))
    by_biscuit = len(fields) >= 6 and fields[2] in {"1", "2"} and fields[3] in {"+", "-"} and fields[4].isdecimal()
    return by_methpipe or by_biscuit


NEAR_MISSES = (
    NearMiss("a BAM file of aligned reads", _begins(b"BAM\1"), _READS),
    NearMiss("a CRAM file of aligned reads", _begins(b"CRAM"), _READS),
    NearMiss("a SAM file of aligned reads", lambda b: b.line.startswith(("@HD\t", "@SQ\t", "@PG\t")), _READS),
    NearMiss(
        "an Excel workbook",
        lambda b: b.head.startswith(_ZIP) and any(mark in b.head for mark in (b"[Content_Types]", b"xl/")),
        "save the sheet as text with tabs (.txt, .tsv)",
    ),
    NearMiss(
        "a model of PyTorch",
        lambda b: b.head.startswith(_ZIP) and b"data.pkl" in b.head[:200],
        "give it as --checkpoint",
    ),
    NearMiss("a zip or tar archive", lambda b: b.head.startswith(_ZIP) or b.head[257:262] == b"ustar", _UNPACK_FILES),
    NearMiss("an old Excel workbook", _begins(b"\xd0\xcf\x11\xe0"), "save the sheet as text with tabs (.txt, .tsv)"),
    NearMiss(
        "the coverage of a pair of bigWig files",
        lambda b: is_bigwig(b) and methylation_of(b.path) is not None,
        "give the file of methylation alone, beside which this one is found",
    ),
    NearMiss(
        "a bigWig file without that of its coverage",
        is_bigwig,
        "methylation without the number of reads says too little: name or link the two <sample>.methylation.bw and "
        "<sample>.coverage.bw, in one folder, and give the first; or give the counts that they were made of",
    ),
    NearMiss(
        "a bigBed file",
        _begins(b"\xeb\xf2\x89\x87", b"\x87\x89\xf2\xeb"),
        "make text of it: bigBedToBed IN.bb OUT.bed (of ENCODE, that is bedMethyl)",
    ),
    NearMiss(
        "an index",
        _begins(b"TBI\1", b"CSI\1", b"BAI\1"),
        "give the file that it belongs to; the index is found beside it",
    ),
    NearMiss(
        "a packed .beta file", lambda b: b.path.name.endswith((".beta.gz", ".lbeta.gz")), "unpack it: gunzip FILE"
    ),
    NearMiss(
        "a series matrix of GEO",
        lambda b: b.line.startswith(("!Series_", "!Sample_", "!series_matrix")),
        "take the lines of the table alone: zgrep -v '^!' FILE > TABLE.tsv",
    ),
    NearMiss(
        "a table with samples in rows",
        _is_transposed,
        "transpose it, so that each sample is a column: in R t(x), in Python table.T",
    ),
    NearMiss("an IDAT file of an array", _begins(b"IDAT"), "give the table of beta values that minfi or SeSAMe make"),
    NearMiss("an R data file", _begins(b"RDX", b"X\n", b"RDA"), "write a table in R: write.table(x, sep = '\\t')"),
    NearMiss("a Parquet file", _begins(b"PAR1"), "write a table with tabs"),
    NearMiss(
        "packed by bzip2, xz, zstd or another program",
        _begins(b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b'\x04"M\x18', b"\x1f\x9d", b"7z\xbc\xaf"),
        "unpack it, or use gzip",
    ),
    NearMiss("an HDF5 file inside gzip", lambda b: b.head.startswith(HDF5) and b.compression == "gzip", "unpack it"),
    NearMiss("a VCF file", lambda b: any(line.startswith("##fileformat=VCF") for line in b.comments), _READS),
    NearMiss("a FASTQ or FASTA file", lambda b: bool(re.match(r"[@>]\S", b.line)), "align the reads, then " + _READS),
    NearMiss(
        "a table of methylKit",
        _header("chrbase", "coverage", "freqc"),
        "give the Bismark coverage that it was made of, or awk 'NR>1 {m=int($5*$6/100+.5); print "
        '$2"\\t"$3"\\t"$3"\\t"$6"\\t"m"\\t"$5-m}\'',
    ),
    NearMiss(
        "a table of DSS",
        _header("chr", "pos", "n", "x"),
        'give the Bismark coverage that it was made of, or awk \'NR>1 && $3 {print $1"\\t"$2"\\t"$2"\\t"100*$4/$3'
        '"\\t"$4"\\t"$3-$4}\'',
    ),
    NearMiss(
        "a table of the reads of single CpGs with columns of its own",
        is_reads_of_cpgs,
        f'{_AS_COVERAGE}: awk \'NR>1 && $N {{print $1"\\t"$2"\\t"$2"\\t"100*$M/$N"\\t"$M"\\t"$N-$M}}\', with the '
        "numbers of the columns for M (methylated) and N (all reads), and $2+1 for the second $2 where positions count "
        "from 0",
    ),
    NearMiss(
        "a table of dnmtools or methpipe",
        _is_of_dnmtools,
        f'{_AS_COVERAGE}: awk \'$4 ~ /^CpG/ {{m=int($5*$6+.5); print $1"\\t"$2"\\t"$2+1"\\t"100*$5"\\t"m"\\t"$6-m}}\', '
        "with $2+2 for $2+1 where the strands are merged (dnmtools sym)",
    ),
    NearMiss(
        "an epiread file, whose CpGs have no coordinates without the genome",
        _is_epiread,
        "give the .pat.gz that wgbstools bam2pat makes of the reads, or the counts of single CpGs",
    ),
    NearMiss(
        "a bedGraph of methylation without the number of reads",
        _is_bedgraph(4),
        "give the .cov.gz that Bismark writes beside it, or MethylDackel extract without --fraction, --counts, --logit",
    ),
    NearMiss(
        "four columns without a header: a position, and two numbers of which nothing says what they are",
        _numeric(4, 1, 2, 3),
        f"{_AS_COVERAGE}, from the program's description of its columns",
    ),
    NearMiss(
        "five columns, of modkit pileup --bedgraph or biscuit vcf2bed",
        _is_bedgraph(5, 4),
        "give bedMethyl: modkit pileup --cpg --ref GENOME.fa, without --bedgraph; of biscuit, fraction and reads give "
        'all: awk \'{m=int($4*$5+.5); print $1"\\t"$2"\\t"$3"\\t"100*$4"\\t"m"\\t"$5-m}\'',
    ),
    NearMiss(
        "bedMethyl with additional columns, of gemBS or modbam2bed",
        lambda b: 12 <= len(b.fields) <= 17 and _numeric(len(b.fields), 1, 2, 9)(b),
        "give its first 11 columns (cut -f1-11), whose 10th and 11th are coverage and percentage",
    ),
    NearMiss(
        "bedMethyl of modkit with another number of columns",
        lambda b: len(b.line.split()) > 11 and _numeric(len(b.fields), 1, 2)(b) and b.line.split()[3][:1] in {"m", "h"},
        "give the 18 columns of modkit pileup",
    ),
)


def near_miss(beginning: Beginning) -> NearMiss | None:
    """Find which known format a file has that is not read."""
    return next((known for known in NEAR_MISSES if known.recognise(beginning)), None)
