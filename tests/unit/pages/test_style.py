"""The look of figures: the same everywhere, and never set globally."""

import importlib
import inspect
import pkgutil

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

import methmix
from methmix.arms import ARMS
from methmix.pages.style import TRUTH, colour, drawing, image, labelled_rows, png, save, tissue_columns

MODULES = [
    module.name for module in pkgutil.walk_packages(methmix.__path__, "methmix.") if "__main__" not in module.name
]


@drawing
def sketch() -> Figure:
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1], [0, 1])
    return figure


def test_a_figure_is_drawn_in_the_style_and_nothing_is_left_of_it():
    before = dict(mpl.rcParams)
    figure = sketch()
    assert not figure.axes[0].spines["top"].get_visible()
    assert figure.get_layout_engine() is not None
    assert png(figure) == png(sketch())
    assert dict(mpl.rcParams) == before
    assert Figure().subplots().spines["top"].get_visible()


@pytest.mark.parametrize("name", MODULES)
def test_importing_a_module_sets_no_style_and_every_figure_is_drawn_in_it(name):
    before = dict(mpl.rcParams)
    module = importlib.import_module(name)
    assert dict(mpl.rcParams) == before
    for function in vars(module).values():
        if inspect.isfunction(function) and function.__module__ == name and not function.__name__.startswith("_"):
            drawn = inspect.signature(function).return_annotation in (Figure, Figure | None)
            assert not drawn or hasattr(function, "__wrapped__"), f"{name}.{function.__name__} is no @drawing"


def test_saved_and_embedded_are_the_same(tmp_path):
    save(sketch(), tmp_path / "below" / "a.png")
    assert (tmp_path / "below" / "a.png").read_bytes() == png(sketch())
    (made,) = image(sketch(), "a line", "caption")
    assert made.source.startswith("data:image/png;base64,") and (made.alt, made.caption) == ("a line", "caption")
    assert image(None, "nothing") == []


def test_an_arm_has_its_colour_and_what_is_none_has_the_truths():
    assert {name: colour(name) for name in ARMS} == {name: arm.colour for name, arm in ARMS.items()}
    assert colour("two stages on the MLP") == TRUTH


def test_names_in_figures_are_text_and_leave_room(recwarn):
    names = ["Liver", r"$\frac{$", "x" * 300, "two\nlines", "\u202eright to left"]

    @drawing
    def named() -> Figure:
        figure = Figure(figsize=(4, 4))
        labelled_rows(figure.subplots(), names)
        tissue_columns(figure.axes[0], names)
        figure.axes[0].set_title(names[1])
        return figure

    figure = named()
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert shown[:2] == names[:2] and len(shown[2]) == 40 and shown[3] == "two lines"
    assert png(figure).startswith(b"\x89PNG")
    assert not [warning for warning in recwarn if "constrained_layout" in str(warning.message)]
