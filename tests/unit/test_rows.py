import numpy as np

from methmix.rows import ChangedRows, blocks, first_true


def test_rows_are_changed_as_they_are_read():
    table = np.arange(12).reshape(3, 4)
    some = ChangedRows(table, lambda rows: 2 * rows[..., [3, 0]])
    assert len(some) == 3 and some.shape == (3, 2)
    assert np.array_equal(some[1], [14, 8])
    assert np.array_equal(some[1:], [[14, 8], [22, 16]])
    twice = ChangedRows(some, lambda rows: rows + 1)
    assert twice.shape == (3, 2) and np.array_equal(twice[:], 2 * table[:, [3, 0]] + 1)


def test_blocks_cover_all_rows():
    assert blocks(5, 2) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert blocks(0, 2) == []


def test_the_first_that_is_true_is_found():
    assert first_true([False, True, True]) == 1
    assert first_true(np.array([False])) is None and first_true([]) is None
