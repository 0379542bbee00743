"""What the figures of a sweep show, and where."""

import numpy as np
import pandas as pd
import pytest

from methmix.sweep.sweep_figures import front_figure, key_axis, map_figure, parallel_figure


@pytest.fixture
def whole():
    """Four points of two keys, the second of a third key too."""
    rows = [
        (1.0, "a", 0.30, 0.1, 0.5),
        (1.0, "b", 0.20, 0.2, 0.4),
        (2.0, "a", 0.25, 0.3, 0.6),
        (2.0, "a", 0.35, 0.4, 0.3),
    ]
    names = ["loss.weight", "model.kind", "mae_mean", "spurious_per_mixture_mean", "missed_per_mixture_mean"]
    table = pd.DataFrame(rows, columns=names)
    spread = {f"{name}_sd": 0.01 for name in ("mae", "spurious_per_mixture", "missed_per_mixture")}
    flags = {"on_front": [True, True, False, True], "shipped": [True, False, False, False]}
    return table.assign(**spread, **flags, recommended=[False, True, False, False])


def test_few_values_and_words_are_evenly_spaced():
    axis = key_axis([0.1, 10.0, 1.0, 0.1])
    assert axis.labels == ["0.1", "1", "10"] and list(axis.positions) == [0, 1, 0.5, 0] and axis.ranked
    axis = key_axis([True, "auto", True])
    assert axis.labels == ['"auto"', "true"] and list(axis.positions) == [1, 0, 1]
    assert list(key_axis([3, 3]).positions) == [0.5, 0.5]
    assert key_axis([[512, 64], [64], [64]]).labels == ["[512, 64]", "[64]"]


def test_many_values_lie_on_a_scale_of_their_own():
    linear, logarithmic = key_axis([*range(1, 11)]), key_axis(np.geomspace(0.001, 1, 10).tolist())
    assert not linear.ranked and not logarithmic.ranked
    for axis in (linear, logarithmic):
        assert list(axis.positions) == pytest.approx(list(np.arange(10) / 9))
    assert linear.labels == ["1", "4", "7", "10"]
    assert logarithmic.labels == ["0.001", "0.01", "0.1", "1"]


def test_front(whole):
    axes = front_figure(whole).axes[0]
    line = next(line for line in axes.lines if line.get_label() == "front")
    assert np.array_equal(line.get_xydata(), [[0.1, 0.5], [0.2, 0.4], [0.4, 0.3]])
    marks = {
        c.get_label(): np.asarray(c.get_offsets())[0].tolist() for c in axes.collections if len(c.get_offsets()) == 1
    }
    assert (marks["shipped"], marks["recommended"]) == ([0.1, 0.5], [0.2, 0.4])


def test_points_that_have_failed_leave_room_for_the_others(whole):
    failed = whole.iloc[[0, 1]].assign(
        mae_mean=[0.81, 5.0], missed_per_mixture_mean=3.9, shipped=False, recommended=False
    )
    figure = front_figure(pd.concat([whole, failed], ignore_index=True))
    axes, bar = figure.axes
    of_whole = front_figure(whole).axes[0]
    assert axes.get_title("left").endswith("MAE, 2") and not of_whole.get_title("left")
    assert axes.get_ylim() == of_whole.get_ylim() and bar.get_ylim()[1] <= 0.35
    points, of_others = (max(len(c.get_offsets()) for c in of.collections) for of in (axes, of_whole))
    assert points == of_others == len(whole)


def test_map_has_the_mean_over_other_keys_in_each_cell(whole):
    axes = map_figure(whole, ["loss.weight", "model.kind"]).axes[0]
    cells = axes.collections[0].get_array()
    # Rows are kinds, columns weights; no point has weight 2 and kind b.
    assert np.ma.filled(cells, -1).tolist() == [[0.30, pytest.approx(0.30)], [0.20, -1]]
    assert [text.get_text() for text in axes.texts] == ["30.000 %", "30.000 %", "20.000 %"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("loss.weight", "model.kind")


def test_map_of_many_values_has_a_dot_for_each_point(whole):
    many = pd.concat([whole] * 5, ignore_index=True)
    many["loss.weight"] = np.linspace(1, 2, 20)
    many[["shipped", "recommended"]] = False
    many.loc[3, "shipped"], many.loc[4, "recommended"] = True, True
    axes = map_figure(many, ["loss.weight", "model.kind"]).axes[0]
    assert len(axes.collections[0].get_offsets()) == 20


def test_one_key_gives_a_line(whole):
    axes = map_figure(whole, ["loss.weight"]).axes[0]
    assert sorted(axes.lines[0].get_ydata().tolist()) == [0.20, 0.25, 0.30, 0.35]
    assert axes.get_ylabel() == "validation MAE"


def test_parallel_coordinates_have_a_line_for_each_point(whole):
    axes = parallel_figure(whole, ["loss.weight", "model.kind"]).axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 5]
    # The shipped and the recommended point are drawn once more.
    assert len(lines) == 4 + 2
    # The error ends at its 90 % quantile, 0.335, beyond which the last point lies.
    assert lines[0].get_ydata().tolist() == pytest.approx([0, 0, 0.1 / 0.135, 0, 2 / 3])
    assert lines[3].get_ydata()[2] == 1 and "≥ 33.500 %" in [text.get_text() for text in axes.texts]
    assert lines[-1].get_label() == "recommended"
    assert lines[-1].get_ydata().tolist() == pytest.approx([0, 1, 0, 1 / 3, 1 / 3])
