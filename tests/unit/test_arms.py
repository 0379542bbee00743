"""The registry of arms is the only list of them."""

import ast
from pathlib import Path
from typing import get_args

import pytest

import methmix
from methmix.arms import ARMS, BASELINE, MAIN, Kind, names

PACKAGE = Path(methmix.__file__).parent


def test_every_arm_says_what_it_does_in_words_of_its_own():
    for field in ("label", "legend"):
        assert len({getattr(arm, field) for arm in ARMS.values()}) == len(ARMS)
    assert {arm.kind for arm in ARMS.values()} == set(get_args(Kind))
    assert all(name == arm.name for name, arm in ARMS.items())


def test_names_are_asked_by_kind_and_field():
    assert names() == list(ARMS)
    assert names("trained") == [BASELINE, MAIN]
    assert names("bound", "trivial") == [name for name, arm in ARMS.items() if arm.kind in ("bound", "trivial")]
    assert set(names(cut=True)) | set(names(cut=False)) == set(ARMS)
    assert names("trained", cut=True) == []


def literals(path: Path) -> set[str]:
    return {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)} & set(ARMS)


@pytest.mark.parametrize("package", sorted(path.name for path in PACKAGE.iterdir() if path.is_dir()))
def test_no_arm_is_named_elsewhere(package):
    """Each trained arm has a class of its own in config and models; NNLS is more than an arm to some."""
    allowed = {
        "config": set(names("trained")),
        "models": set(names("trained")),
        "benchmark": {*names("trained"), "nnls"},
        "prediction": {"nnls"},
    }
    for path in (PACKAGE / package).rglob("*.py"):
        if path.name != "controls.py":
            assert literals(path) <= allowed.get(package, set()), path
