"""Formats are recognised by the content of a file, and named after what a lab calls them."""

import gzip

import pytest

from methmix.formats.file_formats import FORMATS, recognise


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a", b"START\tCHROM\tEND\tx_METH\tx_DEPTH\n", "counts"),
        ("a", b"chr\tstart\tend\tstartCpG\tendCpG\tx\n", "beta_table"),
        ("a.gz", gzip.compress(b"1\t5\t5\t33.3\t1\t2\n", mtime=0), "bismark"),
        (
            "a",
            b"# made by\n"
            + "\t".join(["1", "5", "6", "h", "2", "+", "5", "6", "255,0,0", "2", "50.00", "1", "1", *"00000"]).encode(),
            "bedmethyl",
        ),
        ("a.pat.gz", gzip.compress(b"chr1\t5\t..C\t1\textra\n", mtime=0), "pat"),
        ("a.beta", b"\0\0", "beta"),
        ("a", b"\x89HDF\r\n\x1a\n", "mixtures"),
    ],
)
def test_formats_are_distinguished(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content)
    assert recognise(tmp_path / name)[0].name == kind


def test_each_format_is_one_entry():
    assert len({known.name for known in FORMATS}) == len(FORMATS)
