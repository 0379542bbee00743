"""Coverage of intervals by depth and by class of true proportion."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from methmix import metrics
from methmix.report.arm_results import ArmResult
from methmix.report.interval_figures import coverage_by_class, intervals

TISSUES = ["A", "B", "C"]


@pytest.fixture
def result():
    """One class each of absent, 3 % and 97 %; at depth 10 intervals miss what is small, at 100 what is large."""
    true = np.tile([0.0, 0.03, 0.97], (60, 1))
    low, high = true - 0.01, true + 0.01
    depth = np.repeat([10.0, 100.0], 30)
    low[depth == 10, 1], high[depth == 10, 1] = 0.05, 0.06
    low[40:45, 2] = 0.98
    high[40:45, 2] = 0.99
    per_tissue = pd.DataFrame({"interval_coverage_present": [np.nan, 0.5, 0.9]})
    names = np.full(true.shape, "")
    tables = [per_tissue, pd.DataFrame({"mean_depth": depth}), *[pd.DataFrame()] * 3]
    return ArmResult("sparse", {}, [str(n) for n in range(60)], TISSUES, *[true] * 3, low.clip(0), high, names, *tables)


def test_coverage_is_of_each_class_and_depth(result):
    covered = metrics.covered(result.true, result.low, result.high)
    depths, classes, coverage = coverage_by_class(result, covered)
    assert depths == ["10", "100"] and len(classes) == coverage.shape[1]
    found = {
        name: coverage[:, column].tolist() for column, name in enumerate(classes) if np.isfinite(coverage[0, column])
    }
    assert found == {"absent": [1, 1], "1 to 5 %": [0, 1], "> 50 %": [1, pytest.approx(25 / 30)]}


def test_figure_shows_it_and_arms_without_intervals_have_none(result):
    figure = intervals(result)
    written = {text.get_text() for text in figure.axes[0].texts}
    assert written == {"100", "0", "83"}
    nothing = np.full_like(result.low, np.nan)
    assert intervals(replace(result, low=nothing, high=nothing)) is None
