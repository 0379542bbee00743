"""Bad text and sample files: each ends in exit code 2 and one message that says what, where, and what to do."""

import argparse
import gzip
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from methmix import cli
from methmix.errors import InputError
from methmix.formats import text_stream

from .fuzz_text import TARGETS, bed_text, counts_text, coverage_text, donors_text, pat_text, samples_text

READERS = {target.name: target for target in TARGETS}
GIGABYTE = 2**30
# Bounds of the promise are 10 s and 2 GB; these are of the table, on a busy machine.
SECONDS, BYTES = 10, GIGABYTE

Edit = Callable[[bytes], bytes]


def on_line(line: int, change: Edit) -> Edit:
    """Change a line, counted from 1."""

    def edit(content: bytes) -> bytes:
        lines = content.split(b"\n")
        lines[line - 1] = change(lines[line - 1])
        return b"\n".join(lines)

    return edit


def field(line: int, column: int, value: str, separator: bytes = b"\t") -> Edit:
    """Write another value into a field, counted from 1."""

    def change(text: bytes) -> bytes:
        fields = text.split(separator)
        fields[column - 1] = value.encode()
        return separator.join(fields)

    return on_line(line, change)


def without(line: int, column: int) -> Edit:
    """Remove a field."""

    def change(text: bytes) -> bytes:
        fields = text.split(b"\t")
        del fields[column - 1]
        return b"\t".join(fields)

    return on_line(line, change)


def again(line: int) -> Edit:
    """Repeat a line at the end."""
    return lambda content: content + content.split(b"\n")[line - 1] + b"\n"


def joined(line: int) -> Edit:
    """Lose the end of a line."""

    def edit(content: bytes) -> bytes:
        lines = content.split(b"\n")
        lines[line - 1 : line + 1] = [lines[line - 1] + lines[line]]
        return b"\n".join(lines)

    return edit


def cut(n: int) -> Edit:
    """Lose the last bytes."""
    return lambda content: content[:-n]


def respaced(line: int) -> Edit:
    """Separate a line otherwise than the others."""
    return on_line(line, lambda text: text.replace(b"\t", b" "))


def put(old: str, new: str, n: int = -1) -> Edit:
    return lambda content: content.replace(old.encode(), new.encode(), n)


def repacked(at: int, number: int) -> Edit:
    """Write a number of 32 bits into what is packed."""

    def edit(content: bytes) -> bytes:
        unpacked = gzip.decompress(content)
        return gzip.compress(unpacked[:at] + number.to_bytes(4, "little") + unpacked[at + 4 :])

    return edit


def content_of(content: bytes) -> Edit:
    return lambda _: content


def bomb(first: str, unit: bytes, n_gigabytes: int = 4) -> Edit:
    """Pack a good beginning, and gigabytes of a repeated unit behind it."""
    piece = gzip.compress(unit * (2**24 // len(unit)), 1)
    return lambda _: gzip.compress(first.encode()) + piece * (n_gigabytes * GIGABYTE // 2**24)


def swapped(*columns: int) -> Edit:
    """Exchange two columns of all lines."""

    def edit(content: bytes) -> bytes:
        rows = [line.split(b"\t") for line in content.split(b"\n")]
        one, other = (column - 1 for column in columns)
        for row in rows:
            if len(row) > max(one, other):
                row[one], row[other] = row[other], row[one]
        return b"\n".join(map(b"\t".join, rows))

    return edit


MOST = "2,147,483,647"
# Reader, what is wrong with its file, how it is made so, and what the message says beside the file's name.
CASES: list[tuple[str, str, Edit, tuple[str, ...]]] = [
    # Half a table.
    ("counts.tsv", "cut in a line", cut(9), ("line 13 has ", "the header has 9", "copied again")),
    ("beta_table.tsv", "cut in a line", cut(8), ("line 13 has 7 columns, the header has 8",)),
    ("beta_table_of_donors.tsv", "cut in a line", cut(8), ("line 13 has 7 columns, the header has 8",)),
    ("array.csv", "cut in a line", cut(8), ("line 13 has ", "the header has 4")),
    ("atlas.tsv", "cut in a line", cut(8), ("line 13 has ", "the header has 11")),
    ("bismark.cov", "cut in a line", cut(5), ("line 72 has 5 columns, the first row has 6",)),
    ("modkit.bedmethyl", "cut in a line", cut(20), ("line 144 has ", "the first row has 18")),
    ("encode.bed", "cut in a line", cut(4), ("line 72 has 10 columns",)),
    ("s.CX_report.txt", "cut in a line", cut(5), ("line 144 has 6 columns",)),
    ("s.allc.tsv", "cut in a line", cut(4), ("line 72 has ", "the first row has 7")),
    ("s.CGmap", "cut in a line", cut(4), ("line 72 has 7 columns",)),
    ("pacbio.bed", "cut in a line", cut(6), ("line 73 has 8 columns",)),
    ("s.pat", "cut in a line", cut(3), ("line 36 has 3 columns",)),
    ("regions.bed", "cut in a line", cut(8), ("line 12 has ", "the first row has 6")),
    ("samples.tsv", "cut in a line", cut(5), ("line 4 has ", "the header has 7")),
    ("donors.tsv", "cut in a line", cut(7), ("line 10 has 2 columns, the header has 3",)),
    ("metadata.csv", "cut in a line", cut(6), ("line 9 has ", "the header has 5")),
    ("s.beta", "half a CpG", cut(1), ("1199 bytes", "truncated")),
    ("counts.tsv", "only a header", lambda good: good.split(b"\n")[0] + b"\n", ("has a header but no regions",)),
    ("samples.tsv", "only a header", lambda good: good.split(b"\n")[0] + b"\n", ("has a header but no samples",)),
    ("donors.tsv", "only a header", lambda good: good.split(b"\n")[0] + b"\n", ("has a header but no donors",)),
    ("counts.tsv", "a line lost its end", joined(4), ("line 4 has 17 columns, the header has 9",)),
    ("regions.bed", "a line lost its end", joined(4), ("line 4 has 11 columns",)),
    ("modkit.bedmethyl", "a line lost its end", joined(4), ("line 4 has 35 columns",)),
    ("counts.tsv", "a field lost", without(5, 6), ("line 5 has 8 columns, the header has 9",)),
    ("s.CX_report.txt", "a field lost", without(5, 4), ("line 5 has 6 columns",)),
    # Twice.
    ("bismark.cov", "the file twice", lambda good: good + good, ("several lines", "several files")),
    ("modkit.bedmethyl", "a line twice", again(2), ("chr1:1000000 has several lines",)),
    ("s.CX_report.txt", "a line twice", again(1), ("has several lines",)),
    ("counts_of_donors.tsv", "a line twice", again(3), ("line 14: duplicate region",)),
    ("regions.bed", "a line twice", again(3), ("line 13: duplicate region",)),
    ("samples.tsv", "a line twice", again(3), ("line 5: duplicate sample s1", "first in line")),
    ("donors.tsv", "a line twice", again(3), ("duplicate donor d1",)),
    ("counts.tsv", "two columns of one name", put("plasma-2_", "plasma-1_"), ("duplicate column plasma-1_",)),
    ("donors.tsv", "two columns of one name", put("split", "tissue"), ("duplicate column tissue",)),
    # Numbers.
    ("counts.tsv", "negative", field(3, 4, "-1"), ("line 3, column plasma-1_METH", "whole number >= 0", "-1")),
    ("counts.tsv", "20 digits", field(7, 6, "99999999999999999999"), ("line 7, column plasma-2_METH", "9999")),
    ("counts_of_donors.tsv", "20 digits", field(7, 5, "99999999999999999999"), ("line 7, column plasma-1_DEPTH",)),
    ("counts.tsv", "beyond 32 bits", field(7, 5, "4294967296"), ("line 7, column plasma-1_DEPTH", "whole number")),
    ("counts.tsv", "hexadecimal", field(2, 4, "0x1F"), ("line 2, column plasma-1_METH", "'0x1F'")),
    ("counts.tsv", "infinite", field(2, 5, "inf"), ("line 2, column plasma-1_DEPTH", "inf")),
    ("counts.tsv", "digits of another script", field(2, 4, "\u0663"), ("line 2, column plasma-1_METH",)),
    ("counts.tsv", "more methylated than all", field(2, 4, "900"), ("line 2, plasma-1: 900 methylated of",)),
    ("counts.tsv", "an empty value", field(4, 4, ""), ("line 4, column plasma-1_METH", "found ''")),
    ("counts.tsv", "start behind the end", field(4, 2, "2000000"), ("line 4: end must be larger than start",)),
    ("counts.tsv", "a negative start", field(4, 2, "-5"), ("line 4, column START", "'-5'")),
    ("counts.tsv", "an empty chromosome", field(4, 1, ""), ("line 4, column CHROM: expected a name",)),
    ("beta_table.tsv", "negative", field(4, 6, "-0.1"), ("line 4, column plasma-1", "a fraction 0-1", "-0.1")),
    ("beta_table.tsv", "percent", field(4, 6, "87"), ("line 4, column plasma-1", "a fraction 0-1", "87")),
    ("atlas.tsv", "above 1", field(4, 9, "1.5"), ("line 4, column Blood", "a fraction 0-1", "1.5")),
    ("atlas.tsv", "an unknown direction", field(4, 8, "X"), ("line 4, column direction: expected U or M",)),
    ("bismark.cov", "negative", field(9, 5, "-3"), ("line 9, column 5 (methylated)", MOST, "'-3'")),
    ("bismark.cov", "20 digits", field(9, 6, "1" * 20), ("line 9, column 6 (unmethylated)", MOST)),
    ("bismark.cov", "beyond 32 bits", field(9, 6, "4294967296"), ("line 9, column 6 (unmethylated)", MOST)),
    ("bismark.cov", "percent that contradicts", field(9, 4, "1"), ("line 9", "its percentage is 1, but")),
    ("bismark.cov", "percent that is none", field(9, 4, "nan"), ("line 9", "its percentage is nan, but")),
    ("bismark.cov", "two bases", field(9, 3, "1000050"), ("line 9", "behind its start")),
    ("bismark.cov", "swapped counts", swapped(5, 6), ("line 1", "swapped")),
    ("encode.bed", "percent that is none", field(9, 11, "inf"), ("line 9", "its percentage is inf", "0 to 100")),
    ("encode.bed", "percent above 100", field(9, 11, "1e9"), ("line 9", "its percentage is 1e+09")),
    ("encode.bed", "swapped columns", swapped(3, 10), ("line 1", "behind its start")),
    ("modkit.bedmethyl", "negative", field(2, 13, "-4"), ("line 2, column 13 (canonical)", "'-4'")),
    ("modkit.bedmethyl", "an unknown strand", field(2, 6, "x"), ("line 2, column 6 (strand)", "'x'")),
    ("s.CX_report.txt", "an unknown context", field(3, 6, "XY"), ("line 3, column 6 (context)", "'XY'")),
    ("s.allc.tsv", "more methylated than all", field(3, 5, "21"), ("21 methylated of 20 reads",)),
    ("pacbio.bed", "reads that do not add up", field(5, 7, "3"), ("line 5", "do not add up to its coverage")),
    ("s.pat", "negative", field(3, 4, "-2"), ("line 3, column 4 (count)", "'-2'")),
    ("s.pat", "a count that overflows", field(3, 4, "9" * 17), ("line 3, column 4 (count)", MOST)),
    ("s.pat", "counts that overflow together", put("\t3\n", "\t2147483647\n"), ("reads of its CpGs", MOST)),
    ("s.pat", "another letter", field(2, 3, "CCTAC"), ("pattern 'CCTAC'", "letters C, T and .")),
    ("s.beta", "more methylated than all", lambda good: good[:200] + b"\t\2" + good[202:], ("CpG 101: 9 methyl",)),
    ("regions.bed", "an end before the start", field(2, 3, "5"), ("line 2: end must be larger than start",)),
    ("regions.bed", "an empty field", field(2, 2, ""), ("line 2: expected chrom start end",)),
    ("regions.bed", "a negative number", field(2, 2, "-7"), ("line 2, column start", "'-7'")),
    ("regions.bed", "20 digits", field(2, 3, "9" * 20), ("line 2, column end", "whole number")),
    ("regions_file.bed", "CpG indices from 0", field(2, 4, "0"), ("line 2: expected 1 <= start_cpg <= end_cpg",)),
    ("excluded.bed", "another genome", put("chr1", "chrUn"), ("overlaps none of the model's 12 regions",)),
    ("metadata.csv", "a version that is no number", field(3, 3, "x", b","), ("line 3: aug_version",)),
    ("samples.tsv", "a date that is none", field(2, 4, "2026-02-30"), ("line 2: invalid date", "YYYY-MM-DD")),
    # Names.
    ("counts.tsv", "an empty sample name", put("plasma-1_METH", "_METH"), ("the sample has no name",)),
    ("beta_table.tsv", "an empty sample name", put("plasma-2", ""), ("column 7 has no name",)),
    ("beta_table.tsv", "an empty last name", put("O'Neill", ""), ("column 8 has a value but no name",)),
    ("samples.tsv", "an empty name", field(2, 1, ""), ("line 2: sample is empty",)),
    ("donors.tsv", "an empty name", field(2, 1, " "), ("line 2: the donor has no name",)),
    ("donors.tsv", "an empty tissue", field(2, 2, ""), ("line 2: donor d0 has no tissue",)),
    ("donors.tsv", "an unknown split", field(2, 3, "holdout"), ("split: expected one of train", "'holdout'")),
    ("donors.tsv", "a header in capitals", put("donor\t", "Donor\t"), ("column Donor: expected it to be written",)),
    ("donors.tsv", "a column that is missing", put("tissue\t", "organ\t"), ("column tissue is missing; found donor",)),
    ("samples.tsv", "an unknown column", put("batch\n", "lane\n"), ("unknown column 'lane'",)),
    ("samples.tsv", "a control character", field(2, 6, "A\x07"), ("line 2: has a control character",)),
    ("counts.tsv", "a column without its partner", put("plasma-1_DEPTH", "x"), ("has no partner",)),
    # Bytes.
    ("counts.tsv", "a zero byte", field(5, 5, "3\0"), ("zero byte",)),
    ("samples.tsv", "zeros behind", lambda good: good + bytes(4096), ("line 5: has a zero byte",)),
    ("bismark.cov", "zeros behind", lambda good: good + bytes(4096), ("line 73: has a zero byte",)),
    ("samples.tsv", "latin-1", lambda good: good.replace(b"P0", b"J\xf6rg"), ("no text",)),
    ("counts.tsv", "latin-1 in a row", lambda good: good.replace(b"chr2", b"\xe9", 1), ("no text",)),
    ("donors.tsv", "UTF-16 without a mark", lambda good: good.decode().encode("utf-16-le"), ("no text",)),
    ("counts.tsv", "UTF-16 cut in a letter", lambda good: good.decode().encode("utf-16")[:-1], ("no text",)),
    ("counts.tsv", "a quote that is not closed", field(5, 5, '"3'), ("line 5 has a quote that is not closed",)),
    ("donors.tsv", "a quote that is not closed", field(5, 2, '"Liver'), ("line 5 has a quote that is not closed",)),
    ("counts.tsv.gz", "a bit flipped", lambda good: good[:60] + bytes([good[60] ^ 4]) + good[61:], ("damaged",)),
    ("bismark.cov.gz", "cut", cut(30), ("damaged or truncated gzip", "copy it again")),
    ("s.pat.gz", "garbage behind", lambda good: good + b"garbage", ("damaged or truncated gzip",)),
    ("indexed.cov.gz", "cut", cut(30), ("is truncated: it does not end as bgzip ends a file",)),
    ("indexed.cov.gz.tbi", "cut", cut(40), ("is a damaged index", "make the index again")),
    # These two would keep htslib busy for hours.
    ("indexed.cov.gz.tbi", "a bin that is none", repacked(858, 37451), ("a bin beyond 37450",)),
    ("indexed.cov.gz.tbi", "a place far behind", repacked(894, 2**31), ("a place behind the end of the file",)),
    ("indexed.cov.gz.tbi", "of 2^31 contigs", content_of(gzip.compress(b"TBI\1" + b"\xff" * 36)), ("a damaged index",)),
    ("counts.tsv", "empty", content_of(b""), ("is empty",)),
    ("samples.tsv", "empty", content_of(b""), ("is empty",)),
    ("regions.bed", "only ends of lines", content_of(b"\n" * 99), ("has nothing but comments",)),
    ("donors.tsv", "a zip file", content_of(b"PK\3\4" + bytes(range(256))), ("no text",)),
    ("counts.tsv", "spaces for tabs in a line", respaced(3), ("line 3 has 1 columns, the header has 9",)),
    # Bombs: small files that unpack to 4 GB, or lines without an end.
    ("counts.tsv.gz", "zeros", bomb(counts_text(), b"\0"), ("line 14: has a zero byte",)),
    ("counts.tsv.gz", "ends of lines", bomb(counts_text(), b"\n"), ("100 times as many", "METHMIX_NO_SIZE_LIMITS=1")),
    ("bismark.cov.gz", "lines of another chromosome", bomb(coverage_text(), b"chr9\t5\t5\t50\t1\t1\n"), ("100 times",)),
    ("bismark.cov.gz", "one line", bomb(coverage_text(), b"1"), ("line 73", "16,777,216", "METHMIX_NO_SIZE_LIMITS=1")),
    ("s.pat.gz", "lines", bomb(pat_text(), b"chr9\t5000\tCCCC\t5\n"), ("100 times",)),
    ("regions.bed", "packed lines", bomb(bed_text(), b"\n"), ("lines, more than the bound of 2,000,000",)),
    ("samples.tsv", "packed lines", bomb(samples_text(), b"\n"), ("lines, more than the bound of 1,000,000",)),
    ("donors.tsv", "a packed line", bomb(donors_text(), b"\t"), ("line 11", "more than the bound of 16,777,216")),
    ("counts.tsv.gz", "a header without an end", bomb("CHROM\tSTART\tEND", b"\ta"), ("line 1", "1,048,576")),
]  # fmt: skip


def ended(path: Path, read: Callable[[Path], object], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Read a file as the commands do; gives exit code and what is said."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--verbose", action="store_true")
    code = cli.run(lambda _: read(path) and None, arguments, [])
    return code, capsys.readouterr().err


@pytest.mark.parametrize(("name", "what", "edit", "fragments"), CASES, ids=[f"{c[0]}: {c[1]}" for c in CASES])
def test_a_bad_file_ends_in_one_clear_message(name, what, edit, fragments, tmp_path, capsys):
    target = READERS[name]
    path = tmp_path / target.name
    target.write_good(path)
    good = path.read_bytes()
    bad = edit(good)
    assert bad != good
    path.write_bytes(bad)
    before, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code, said = ended(path, target.read, capsys)
    assert time.process_time() - before < SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) * 1024 < BYTES
    assert code == 2, said
    assert said.count("error: ") == 1 and "Traceback" not in said and "--verbose" not in said
    message, _, hint = said.partition("\n  ")
    assert path.name in message and hint.strip(), said
    for fragment in fragments:
        assert fragment in said
    assert len(said) < 3000


@pytest.mark.parametrize("name", READERS)
def test_a_good_file_is_read(name, tmp_path):
    path = tmp_path / READERS[name].name
    READERS[name].write_good(path)
    assert READERS[name].read(path)


@pytest.mark.parametrize("name", [name for name in READERS if not name.endswith(".tbi")])
def test_a_folder_and_a_missing_file_are_named(name, tmp_path, capsys):
    path = tmp_path / READERS[name].name
    code, said = ended(path, READERS[name].read, capsys)
    assert code == 2 and path.name in said
    path.mkdir()
    code, said = ended(path, READERS[name].read, capsys)
    assert code == 2 and path.name in said and "\n  " in said


def test_the_bound_is_lifted_by_a_variable(tmp_path, monkeypatch):
    path = tmp_path / "s.cov.gz"
    monkeypatch.setattr(text_stream, "HARMLESS_BYTES", 2**20)
    path.write_bytes(gzip.compress(coverage_text().encode() + b"\n" * 2**22))
    with pytest.raises(InputError, match="METHMIX_NO_SIZE_LIMITS=1"):
        READERS["bismark.cov.gz"].read(path)
    monkeypatch.setenv("METHMIX_NO_SIZE_LIMITS", "1")
    assert READERS["bismark.cov.gz"].read(path)
