import numpy as np
import pytest

from methmix.cuts import choose_cut, cut


def test_cut_normalises_and_keeps_the_largest():
    proportions = np.array([[0.5, 0.48, 0.02], [0.034, 0.033, 0.033]])
    found = cut(proportions, 0.05)
    assert found[0].tolist() == pytest.approx([0.5 / 0.98, 0.48 / 0.98, 0])
    assert found[1].tolist() == [1.0, 0.0, 0.0]


def test_cut_is_chosen_by_the_error_on_what_it_is_given():
    true = np.array([[0.9, 0.1, 0.0]])
    predicted = np.array([[0.85, 0.1, 0.05]])
    assert choose_cut(predicted, true, [0.01, 0.07, 0.2]) == 0.07
