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
    "an Excel workbook": (b"PK\3\4\0\0[Content_Types].xml", "save the sheet as text"),
    "a model of PyTorch": (b"PK\3\4\0\0archive/data.pkl", "--checkpoint"),
    "a zip or tar archive": (gzip.compress(b"s.cov".ljust(257, b"\0") + b"ustar\0"), "files that are in it"),
    "an old Excel workbook": (b"\xd0\xcf\x11\xe0\xa1", "save the sheet as text"),
    "the coverage of a pair of bigWig files": (b"\x26\xfc\x8f\x88\4\0", "give the file of methylation alone"),
    "a bigWig file": (b"\x26\xfc\x8f\x88\4\0", "name or link the two"),
    "a bigBed file": (b"\xeb\xf2\x89\x87\4\0", "bigBedToBed"),
    "an index": (gzip.compress(b"TBI\1\0\0"), "the file that it belongs to"),
    "a packed .beta file": (gzip.compress(bytes(range(200, 256))), "gunzip"),
    "a series matrix of GEO": (b'!Series_title\t"x"\n!Sample_title\t"y"\n"ID_REF"\t"G"\n"cg00000029"\t0.5\n', "zgrep"),
    "a table with samples in rows": (b"sample,cg00000029,cg00000108\ns,0.1,0.2\n", "transpose it"),
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
    "a table of the reads of single CpGs": (
        b"chr,start,end,strand,coverage,numCs,numTs\nchr1,5,5,+,9,3,6\n",
        "awk",
    ),
    "a table of dnmtools": (b"chr1\t4\t+\tCpG\t0.75\t8\n", "dnmtools sym"),
    "an epiread file": (b"chr1\t5\tCCT\n", "wgbstools bam2pat"),
    "a bedGraph of methylation": (b"track type=bedGraph\nchr1\t5\t6\t50.0\n", ".cov.gz"),
    "four columns without a header": (b"chr1\t50\t9\t3\n", "chromosome start end percent"),
    "five columns": (b"chr1\t5\t6\t0.5\t9\n", "without --bedgraph"),
    "bedMethyl with additional columns": (b"chr1\t5\t6\tm\t9\t+\t5\t6\t0,0,0\t9\t50\t4\t5\t0\n", "cut -f1-11"),
    "bedMethyl of modkit": (b"chr1\t5\t6\tm\t9\t+\t5\t6\t0,0,0\tx\t50\t4\t5\t0\n", "18 columns"),
}


@pytest.mark.parametrize("what", FILES)
def test_a_near_miss_is_named(tmp_path, what):
    content, remedy = FILES[what]
    path = tmp_path / {
        "the coverage of a pair of bigWig files": "s.coverage.bw",
        "a packed .beta file": "s.beta.gz",
    }.get(what, "s.txt")
    path.with_name("s.methylation.bw").touch()
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        recognise(path)
    for fragment in (f"{path}: is {what}", "which is not read", remedy, FORMATS[0].description):
        assert fragment in str(caught.value)


def test_every_near_miss_is_tried():
    assert len(FILES) == len(NEAR_MISSES)
    assert all(sum(known.what.startswith(what) for what in FILES) >= 1 for known in NEAR_MISSES)
