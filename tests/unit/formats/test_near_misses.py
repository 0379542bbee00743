"""Files that are not read are called by their names, with the way out."""

import gzip

import pytest

from methmix.errors import InputError
from methmix.formats.file_formats import FORMATS, recognise
from methmix.formats.near_misses import NEAR_MISSES

FILES = {
    "a BAM file": (gzip.compress(b"BAM\1xx"), "modkit pileup --cpg"),
    "a CRAM file": (b"CRAM\3\0", "bismark_methylation_extractor"),
    "a SAM file": (b"@HD\tVN:1.6\n", "wgbstools bam2pat"),
    "an Excel workbook": (b"PK\3\4\0\0", "save the sheet as text"),
    "an old Excel workbook": (b"\xd0\xcf\x11\xe0\xa1", "save the sheet as text"),
    "the coverage of a pair of bigWig files": (b"\x26\xfc\x8f\x88\4\0", "give the file of methylation alone"),
    "a bigWig file": (b"\x26\xfc\x8f\x88\4\0", "name or link the two"),
    "an IDAT file": (b"IDAT\3\0", "minfi or SeSAMe"),
    "an R data file": (gzip.compress(b"RDX3\nX\n\0"), "write.table"),
    "a Parquet file": (b"PAR1\x15\0", "table with tabs"),
    "packed by bzip2": (b"BZh91AY\0", "unpack it"),
    "an HDF5 file inside gzip": (gzip.compress(b"\x89HDF\r\n\x1a\n"), "unpack it"),
    "a VCF file": (b"##fileformat=VCFv4.2\n#CHROM\tPOS\nchr1\t5\n", "count them first"),
    "a FASTQ": (b"@read1\nACGT\n+\nFFFF\n", "align the reads"),
    "a table of methylKit": (
        b"chrBase\tchr\tbase\tstrand\tcoverage\tfreqC\tfreqT\nchr1.5\tchr1\t5\tF\t9\t50\t50\n",
        "awk",
    ),
    "a table of DSS": (b"chr\tpos\tN\tX\nchr1\t5\t9\t3\n", "awk"),
    "an epiread file": (b"chr1\t5\tCCT\n", "wgbstools bam2pat"),
    "a bedGraph of methylation": (b"track type=bedGraph\nchr1\t5\t6\t50.0\n", ".cov.gz"),
    "five columns": (b"chr1\t5\t6\t0.5\t9\n", "without --bedgraph"),
    "bedMethyl with additional columns": (b"chr1\t5\t6\tm\t9\t+\t5\t6\t0,0,0\t9\t50\t4\t5\t0\n", "cut -f1-11"),
    "bedMethyl of modkit": (b"chr1\t5\t6\tm\t9\t+\t5\t6\t0,0,0\tx\t50\t4\t5\t0\n", "18 columns"),
}


@pytest.mark.parametrize("what", FILES)
def test_a_near_miss_is_named(tmp_path, what):
    content, remedy = FILES[what]
    path = tmp_path / ("s.coverage.bw" if "coverage" in what else "s.txt")
    path.with_name("s.methylation.bw").touch()
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        recognise(path)
    for fragment in (f"{path}: is {what}", "which is not read", remedy, FORMATS[0].description):
        assert fragment in str(caught.value)


def test_every_near_miss_is_tried():
    assert len(FILES) == len(NEAR_MISSES)
    assert all(sum(known.what.startswith(what) for what in FILES) >= 1 for known in NEAR_MISSES)
