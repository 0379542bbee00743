"""What is known of a sample, in words."""

import numpy as np
import pytest
from experiments import ROOT

from methmix.models.prediction import Prediction
from methmix.prediction.goodness_of_fit import Fit
from methmix.prediction.sample_results import SampleResult, shown, split
from methmix.samples.sample_sheet import Sample


def test_words_of_a_proportion():
    assert [shown(p, limit) for p, limit in ((0.0, 0.012), (0.0, None), (0.0, np.nan), (0.034, 0.1), (0.751, 0.1))] == [
        *("0 (limit 1.2 %)", "0 (limit not known)", "0 (limit not known)", "3.4 %", "75.1 %")
    ]


def test_a_zero_stands_with_the_upper_end_of_its_interval():
    assert shown(0.0, 0.025, 0.012) == "0 (up to 1.2 %; limit 2.5 %)"
    assert shown(0.0, np.nan, 0.234) == "0 (up to 23.4 %; limit not known)"
    assert shown(0.0, 0.025, None) == shown(0.0, 0.025, np.nan) == "0 (limit 2.5 %)"
    assert shown(0.034, 0.025, 0.05) == "3.4 %"


def flags_of(**known):
    return SampleResult(Sample("S", ROOT), 100, 100, 30.0, **known).flags(100)


def test_flags_follow_the_verdict():
    estimates = Prediction(np.array([0.4, 0.6]))
    assert flags_of(prediction=estimates, fit=Fit(0.9, 1.0, 0.95), verdict="fits") == []
    assert flags_of(prediction=estimates, fit=Fit(2.0, 1.0, 2.1), verdict="shifted") == [
        "shifted: poor fit, like most samples of this run"
    ]
    assert flags_of(prediction=estimates, fit=Fit(2.0, 1.0, 2.1), verdict="odd") == [
        "odd: poor fit, methylation not explained by the reference tissues"
    ]
    assert flags_of(prediction=None) == ["too few reads (100 of 100 regions observed)"]
    assert flags_of(prediction=None, fit=Fit(20.0, 1.0, 21.0, 0.5, 0.3)) == [
        "does not resemble any mixture of the reference tissues: no estimates"
    ]
    assert "or too few reads to see it" in flags_of(prediction=None, fit=Fit(20.0, None, None, 0.5, 0.3))[0]


@pytest.mark.parametrize(("limit", "known"), [(0.2, True), (0.999, True), (1.0, False), (1.7, False), (np.inf, False)])
def test_a_limit_of_one_or_more_is_not_known(limit, known):
    found = Prediction(np.array([[1.0]]), limit=np.array([[limit]]))
    of_sample = split(found, np.ones((1, 5), dtype=np.float32))[0]
    assert np.isfinite(of_sample.limit).all() == known
