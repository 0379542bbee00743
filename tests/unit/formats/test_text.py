"""The beginning of a file, and the name of its sample."""

from pathlib import Path

from methmix.formats.beginning import Beginning


def test_sample_names():
    for name in ("x.1.pat.gz", "x.1.beta", "x.1.cov", "x.1.bismark.cov.gz", "x.1.bed.gz", "x.1.bedmethyl"):
        assert Beginning(Path(name), b"").sample_name == "x.1"
