"""Pictures of a training: when they are drawn, and that they show what was predicted."""

import numpy as np
import pytest

from methmix.training import pictures
from methmix.training.pictures import Pictures, largest_errors, presence_calibration

pytestmark = pytest.mark.usefixtures("pictures")
TISSUES = ["Blood", "Colon", "Liver", "Lung"]
TRUE = np.array([[0.7, 0.3, 0, 0], [0.2, 0, 0.8, 0], [0, 0.004, 0, 0.996]])
PREDICTED = np.array([[0.7, 0.2, 0.1, 0], [0.2, 0, 0.8, 0], [0, 0.004, 0.2, 0.796]])


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(pictures.time, "monotonic", lambda: now[0])
    return now


def test_pictures_are_drawn_a_few_times_and_at_the_end(clock):
    drawn = Pictures("sparse", TISSUES, TRUE, 10)
    assert [epoch for epoch in range(1, 11) if drawn.due(epoch, last=epoch == 10)] == [2, 5, 8, 10]
    assert Pictures("sparse", TISSUES, TRUE, 1).due(1, last=True)


def test_drawing_takes_at_most_a_hundredth_of_the_time_of_a_training(clock):
    class Board:
        def add_image(self, tag, image, step, dataformats):
            clock[0] += 1.0

    drawn = Pictures("sparse", TISSUES, TRUE, 40)
    clock[0] = 100.0
    drawn.add(Board(), 10, PREDICTED, None)
    clock[0] = 199.0
    assert not drawn.due(20, last=False)
    assert drawn.due(20, last=True)
    clock[0] = 201.0
    assert drawn.due(20, last=False)


@pytest.mark.parametrize("probability", [None, np.linspace(0, 1, 12).reshape(3, 4)])
def test_what_is_drawn(probability):
    added = {}

    class Board:
        def add_image(self, tag, image, step, dataformats):
            assert dataformats == "HWC" and step == 3
            added[tag] = image

    Pictures("sparse", TISSUES, TRUE, 4).add(Board(), 3, PREDICTED, probability)
    expected = {"validation/miami", "validation/largest_errors"}
    assert set(added) == expected | ({"validation/presence_calibration"} if probability is not None else set())
    for image in added.values():
        assert image.shape[2] == 3 and image.numpy().std() > 10


def test_tissues_with_the_largest_errors_come_first_and_their_errors_add_up():
    axes = largest_errors("sparse", TISSUES, TRUE, PREDICTED).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Liver", "Lung", "Colon", "Blood"]
    present, absent = ([bar.get_width() for bar in bars] for bars in axes.containers)
    assert present == pytest.approx([0, 0.2 / 3, 0.1 / 3, 0])
    assert absent == pytest.approx([0.3 / 3, 0, 0, 0])


def test_calibration_leaves_traces_out():
    true = np.tile([0.5, 0.5, 0.0, 0.0], (40, 1))
    probability = np.tile([0.9, 0.9, 0.9, 0.1], (40, 1))
    traces = np.vstack([true, np.full((40, 4), 0.004)]), np.vstack([probability, np.full((40, 4), 0.9)])
    for of in ((true, probability), traces):
        x, y = presence_calibration("sparse", *of).axes[0].lines[0].get_data()
        assert x == pytest.approx([0.1, 0.9]) and y == pytest.approx([0, 2 / 3])
