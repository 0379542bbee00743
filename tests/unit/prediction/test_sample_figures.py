"""Figures of samples and groups."""

import numpy as np
import pytest
from experiments import ROOT

from methmix.models.prediction import Prediction
from methmix.prediction.group_comparison import compare
from methmix.prediction.sample_figures import bars, courses, group_boxes
from methmix.prediction.sample_results import Cohort, SampleResult
from methmix.samples.sample_sheet import Sample


def test_more_samples_and_tissues_than_colours():
    rng = np.random.default_rng(1)
    tissues = [f"T{i}" for i in range(40)]
    results = [
        SampleResult(Sample(f"S{i}", ROOT), 1, 1, 1.0, Prediction(rng.dirichlet(np.ones(40)))) for i in range(50)
    ]
    many = Cohort(tissues, 100, results)
    drawn = bars(many).axes[0]
    assert len(drawn.get_yticklabels()) == 40
    ends = sorted(bar.get_x() + bar.get_width() for bar in drawn.patches)
    assert ends[-40:] == pytest.approx([1] * 40)
    assert courses(many) is None


def test_the_figure_has_a_box_for_each_group_and_method(cohort):
    found = compare(cohort({"Control": 6, "Breast": 5}), "Control", ["B", "T"], seed=1)
    axes = group_boxes(found).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["Control\n6", "Breast\n5"]
    points = [line.get_ydata() for line in axes.lines if line.get_linestyle() == "None"]
    assert np.sort(np.concatenate(points)) == pytest.approx(
        np.sort([value for row in found["groups"] for values in row["sums"].values() for value in values])
    )
