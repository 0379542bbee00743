import numpy as np

from methmix.normals.spiked_controls import spiked, thinned


def test_reads_are_replaced_at_the_same_depth():
    rng = np.random.default_rng(0)
    depth = np.full((400, 30), 50)
    methylated, after = spiked(np.zeros_like(depth), depth, np.repeat([0.0, 0.2], 200), np.ones((400, 30)), rng)
    assert (after == depth).all() and (methylated[:200] == 0).all()
    assert abs(methylated[200:].mean() / 50 - 0.2) < 0.003


def test_what_remains_are_reads_of_the_sample_without_replacement():
    rng = np.random.default_rng(1)
    depth = np.full((1, 2000), 40)
    methylated, _ = spiked(depth - 3, depth, np.array([1e-9]), np.zeros((1, 2000)), rng)
    assert (methylated == 37).all()


def test_nothing_is_read_where_the_donor_is_not_known():
    donors = np.array([[np.nan, 0.5]])
    depth = np.array([[10, 10]])
    for amount, expected in ((0.0, [10, 10]), (0.1, [0, 10])):
        _, after = spiked(depth // 2, depth, np.array([amount]), donors, np.random.default_rng(0))
        assert after[0].tolist() == expected


def test_thinning_keeps_methylation():
    rng = np.random.default_rng(2)
    depth = np.full((1, 5000), 60)
    methylated, left = thinned(depth // 4, depth, np.array([[0.25]]), rng)
    assert abs(left.mean() - 15) < 0.3 and abs(methylated.sum() / left.sum() - 0.25) < 0.01
    assert (methylated <= left).all()
