"""The house stays easy to walk: small rooms, each under a name of its own; commands that answer at once."""

import ast
import os
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import methmix

PACKAGE = Path(methmix.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
COMMANDS = sorted(path.parent.name for path in PACKAGE.glob("*/__main__.py"))
TREES = {path: ast.parse(path.read_text()) for path in MODULES}


def duplicates(names):
    return sorted(name for name, number in Counter(names).items() if number > 1)


def test_no_file_is_longer_than_350_lines():
    assert [str(path) for path in MODULES if len(path.read_text().splitlines()) > 350] == []


def test_no_function_is_longer_than_60_lines():
    long = [
        f"{path.name}: {node.name}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= 60
    ]
    assert long == []


def test_a_file_name_is_an_address():
    assert duplicates(path.name for path in MODULES if path.name not in {"__init__.py", "__main__.py"}) == []


def test_a_public_type_has_one_meaning():
    named = (node.name for tree in TREES.values() for node in tree.body if isinstance(node, ast.ClassDef))
    assert duplicates(name for name in named if not name.startswith("_")) == []


def test_packages_export_nothing():
    for path in PACKAGE.glob("*/__init__.py"):
        assert not [node for node in TREES[path].body if isinstance(node, ast.Import | ast.ImportFrom)], path


@pytest.mark.parametrize("command", COMMANDS)
def test_help_takes_less_than_a_second_of_cpu(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", f"methmix.{command}", "--help"],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0 and f"methmix.{command}" in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1
