"""Streams of random numbers: named by what they are for."""

import numpy as np
import pytest

from methmix import seeds


def test_same_name_same_numbers():
    np.testing.assert_array_equal(
        seeds.generator(1, "mixtures", "test", 3).random(5),
        seeds.generator(1, "mixtures", "test", 3).random(5),
    )


@pytest.mark.parametrize(
    "other",
    [
        (2, "mixtures", "test", 3),
        (1, "mixtures", "test", 4),
        (1, "test", "mixtures", 3),
        (1, "mixtures", "test"),
    ],
)
def test_other_name_other_numbers(other):
    first = seeds.generator(1, "mixtures", "test", 3).random(5)
    assert not np.isin(seeds.generator(*other).random(5), first).any()


def test_numbers_are_the_same_everywhere():
    # Shipped results depend on these: a change here changes every file.
    assert seeds.generator(1, "mixtures").integers(0, 2**32, 2).tolist() == [2378227613, 3825386431]
    assert seeds.integer(1, "training") == 7749946648811566127


def test_integers_fit_into_63_bits():
    assert all(0 <= seeds.integer(1, "training", i) < 2**63 for i in range(50))
