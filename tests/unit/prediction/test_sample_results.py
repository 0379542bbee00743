"""What is known of a sample, in words."""

import numpy as np

from methmix.prediction.sample_results import shown


def test_words_of_a_proportion():
    assert [shown(p, limit) for p, limit in ((0.0, 0.012), (0.0, None), (0.0, np.nan), (0.034, 0.1), (0.751, 0.1))] == [
        *("0 (below 1.2 %)", "0 (limit not known)", "0 (limit not known)", "3.4 %", "75.1 %")
    ]
