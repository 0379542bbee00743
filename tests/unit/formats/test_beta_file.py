"""The ``.beta`` files of wgbstools: reads of regions given in CpG indices."""

import numpy as np
import pytest

from methmix.errors import InputError
from methmix.formats.counts import Request
from methmix.formats.file_formats import open_file
from methmix.formats.regions import RegionSet
from methmix.formats.store import CountsStore

# Regions overlap, lie inside another, touch, and are in no order.
START = np.array([40, 10, 12, 20, 90, 300, 205])
END = np.array([60, 20, 15, 30, 99, 320, 212])


def beta_counts(path, start, end):
    regions = RegionSet(["chr1"] * len(start), start, end, "hg19", start, end, "cpg")
    with CountsStore(len(regions), np.int64) as store:
        methylated, depth = open_file(path, Request(regions, store)).load().all()
        return methylated[0].copy(), depth[0].copy()


def test_beta(tmp_path, rng):
    depth = rng.integers(0, 256, 400)
    pairs = np.stack([rng.integers(0, depth + 1), depth], axis=1).astype(np.uint8)
    path = tmp_path / "s.beta"
    pairs.tofile(path)
    methylated, total = beta_counts(path, START, END)
    for region, (start, end) in enumerate(zip(START, END, strict=True)):
        assert methylated[region] == pairs[start - 1 : end - 1, 0].sum(dtype=int)
        assert total[region] == pairs[start - 1 : end - 1, 1].sum(dtype=int)
    assert total.dtype == np.int64


def test_bad_beta(tmp_path):
    path = tmp_path / "s.beta"
    with pytest.raises(InputError, match="no such file"):
        beta_counts(path, START, END)
    for content, message in [
        (b"", "is empty"),
        (b"\1\2\3", "two for each CpG"),
        (b"\1\2" * 100, "region ends behind CpG 319"),
        (b"\1\2" * 10 + b"\3\2" + b"\1\2" * 400, "CpG 11: 3 methylated of 2 reads"),
    ]:
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            beta_counts(path, START, END)
