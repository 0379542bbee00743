"""Samples that are kept aside."""

import numpy as np

from methmix.prediction.spool import Spool


def test_a_spool_gives_back_what_was_put_in():
    rng = np.random.default_rng(1)
    methylation, depth = rng.random((300, 7), dtype=np.float32), rng.random((300, 7), dtype=np.float32)
    with Spool.open(7) as spool:
        assert list(spool.blocks()) == []
        for rows in (slice(0, 10), slice(10, 10), slice(10, 300)):
            spool.append(methylation[rows], depth[rows])
        for _ in range(2):
            found = [np.concatenate(parts) for parts in zip(*spool.blocks(), strict=True)]
            assert (found[0] == methylation).all() and (found[1] == depth).all()
