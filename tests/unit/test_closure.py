"""What counts as code of an entry point: checked on a small package, and on a copy of the real one."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from methmix.closure import import_closure
from methmix.provenance import PACKAGE, source_digest

# The commands that the rules of the workflow call.
COMPUTING = ["reference build", "mixtures", "training", "evaluation", "detection"]
DRAWING = ["reference report", "report comparison", "report detection", "report ablation", "prediction"]
DRAWING += ["robustness", "spikes", "benchmark", "sweep report"]

MAIN = '''
"""Do one of two things."""
import toy.options


def main():
    """Run."""
    _add("build"); _add("draw-page")
    bodies = {"build": _build, "draw-page": _draw_page}
    bodies["build"](toy.options.parse())


def _add(name):
    return name


def _build(options):
    from toy.build import build

    return build(_helped(options))


def _helped(options):
    return options


def _draw_page(options):
    from toy import page

    return page.render()
'''

TOY = {
    "__init__.py": '"""A package."""\n',
    "__main__.py": MAIN,
    "options.py": "def parse():\n    return 1\n",
    "build.py": 'def build(what):\n    """Build."""\n    from toy.late import late\n    return late(what)  # now\n',
    "late.py": "def late(what):\n    return open('table.json')\n",
    "table.json": "{}",
    "other.json": "{}",
    "page.py": 'from toy.inner import template\n\ndef render():\n    return template("page.html")\n',
    "inner/__init__.py": '"""Inner."""\n',
    "inner/template.py": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from toy import unused\nSTARTED = 'toy.started'\n"
    ),
    "inner/page.html": '{% extends "base.html" %}',
    "inner/base.html": "<html>",
    "inner/other.html": "<html>",
    "started.py": "RUNS = 1\n",
    "unused.py": "NOBODY = 1\n",
}


@pytest.fixture
def toy(tmp_path: Path) -> Callable[..., Path]:
    """Write the small package with some files changed, each time to another folder; gives its folder."""

    def write(**changed: str) -> Path:
        folder = tmp_path / str(len(list(tmp_path.iterdir()))) / "toy"
        for name, content in {**TOY, **changed}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
        return folder

    return write


def test_the_closure_of_an_entry_point_and_of_its_subcommands(toy):
    package = toy()
    page = {"toy.page", "toy.inner", "toy.inner.template", "toy.started"}
    page |= {"inner/page.html", "inner/base.html"}
    build = {"toy.build", "toy.late", "table.json"}
    both = {"toy", "toy.__main__", "toy.options"}
    assert import_closure("toy", "", package).keys() == both | build | page
    assert import_closure("toy", "build", package).keys() == both | build
    assert import_closure("toy", "draw-page", package).keys() == both | page
    assert import_closure("toy.late", "", package).keys() == {"toy", "toy.late", "table.json"}


def test_a_subcommand_that_main_hands_to_no_function_of_its_name_is_the_whole(toy):
    package = toy()
    assert import_closure("toy", "else", package) == import_closure("toy", "", package)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("build.py", "# now", "# later, and\n    # longer"),
        ("build.py", '"""Build."""', '"""Build it.\n\n    With care.\n    """'),
        ("build.py", '    """Build."""\n', ""),
        ("build.py", "late(what)", "late(  what )"),
        ("__main__.py", "return page.render()", "return page.render() + 1"),
        ("__main__.py", '"""Do one of two things."""', ""),
        ("page.py", "page.html", "other.html"),
        ("unused.py", "1", "2"),
        ("other.json", "{}", "[]"),
        ("inner/base.html", "<html>", "<html >"),
    ],
)
def test_other_text_and_the_same_code_have_one_digest(toy, file, old, new):
    assert old in TOY[file]
    changed = toy(**{file: TOY[file].replace(old, new)})
    assert source_digest("toy", "build", changed) == source_digest("toy", "build", toy())


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("build.py", "late(what)", "late(what) + 1"),
        ("late.py", "return", "yield"),
        ("table.json", "{}", "[]"),
        ("options.py", "1", "2"),
        ("__main__.py", "return name", "return name + name"),
        ("__main__.py", "return options", "return None"),
        ("__init__.py", "\n", "\nVERSION = 2\n"),
    ],
)
def test_other_code_has_another_digest(toy, file, old, new):
    assert old in TOY[file]
    changed = toy(**{file: TOY[file].replace(old, new)})
    assert source_digest("toy", "build", changed) != source_digest("toy", "build", toy())


def test_a_template_counts_where_a_page_is_rendered_only(toy):
    for name in ("page", "base"):
        changed, same = toy(**{f"inner/{name}.html": "<html >"}), toy()
        assert source_digest("toy", "draw-page", changed) != source_digest("toy", "draw-page", same)
    changed = toy(**{"inner/other.html": "<html >"})
    assert source_digest("toy", "", changed) == source_digest("toy", "", toy())


def test_there_is_no_such_module(toy):
    with pytest.raises(FileNotFoundError, match="no module toy"):
        source_digest("toy.nothing", "", toy())


@pytest.fixture
def copied(tmp_path: Path) -> Callable[..., Path]:
    """Copy the real package to another folder each time, and change some files of it; gives its folder."""

    def copy(change: Callable[[str], str] = str, *files: str) -> Path:
        folder = tmp_path / str(len(list(tmp_path.iterdir()))) / "methmix"
        shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
        for file in files:
            path = folder / file
            path.write_text(change(path.read_text()))
        return folder

    return copy


def split(command: str) -> tuple[str, str]:
    """Give the module and the subcommand."""
    stage, _, subcommand = command.partition(" ")
    return f"methmix.{stage}", subcommand


def digests(package: Path) -> dict[str, str]:
    return {command: source_digest(*split(command), package) for command in COMPUTING + DRAWING}


def edited(code: str) -> str:
    return f"{code}\nEDITED = 1\n"


def names(of: list[Path]) -> list[str]:
    return [str(path.relative_to(PACKAGE)) for path in of]


def edit_docstrings(code: str) -> str:
    """Append to every docstring of a module, and a comment."""
    tree, lines = ast.parse(code), code.split("\n")
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            end = node.body[0].end_lineno - 1
            lines[end] = lines[end].rstrip().removesuffix('"""') + ' Edited."""'
    return "\n".join([*lines, "# edited", ""])


@pytest.mark.slow
def test_comments_and_docstrings_anywhere_change_nothing(copied):
    everywhere = names(sorted(PACKAGE.rglob("*.py")))
    changed = copied(edit_docstrings, *everywhere)
    assert "Edited." in (changed / "training/__init__.py").read_text()
    assert digests(changed) == digests(PACKAGE)


def test_code_of_formats_counts_for_a_training_and_not_for_mixtures(copied):
    now = import_closure("methmix.training", "", PACKAGE)
    files = {name for name in now if name.startswith("methmix.formats.")}
    assert files
    package = copied(edited, *(f"{name[8:].replace('.', '/')}.py" for name in files))
    changed = import_closure("methmix.training", "", package)
    assert {name for name in now if changed[name] != now[name]} == files
    assert digests(package)["training"] != digests(PACKAGE)["training"]
    assert digests(package)["mixtures"] == digests(PACKAGE)["mixtures"]


def test_a_module_outside_of_the_closure_does_not_count(copied):
    report = names(sorted((PACKAGE / "report").glob("*.py")))
    changed, now = digests(copied(edited, *report)), digests(PACKAGE)
    assert {command for command in now if changed[command] != now[command]} >= {"report comparison"}
    assert all(changed[command] == now[command] for command in COMPUTING)


def test_no_computation_depends_on_a_template_and_each_template_is_drawn(copied):
    templates = names(sorted(PACKAGE.rglob("*.html")))
    changed, now = digests(copied(lambda page: f"{page}<!-- edited -->", *templates)), digests(PACKAGE)
    assert all(changed[command] == now[command] for command in COMPUTING)
    assert {name for command in DRAWING for name in import_closure(*split(command), PACKAGE)} >= set(templates)


@pytest.mark.slow
def test_nothing_is_loaded_that_the_closure_lacks():
    """Import every module of the closure and see what Python has loaded with them."""
    closure = {name for name in import_closure("methmix.training", "", PACKAGE) if "/" not in name}
    assert "methmix.mixtures.gpu_kernel" in closure
    if find_spec("triton") is None:
        closure -= {"methmix.mixtures.gpu_kernel"}
    program = (
        f"import importlib, sys\nfor name in {sorted(closure)!r}: importlib.import_module(name)\n"
        "print(*(name for name in sys.modules if name.partition('.')[0] == 'methmix'))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *sys.path])}
    loaded = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=600, check=True
    )
    assert set(loaded.stdout.split()) == closure


def test_all_digests_of_the_workflow_together_take_little_more_than_parsing_the_code_once():
    commands = [command.split(" ") for command in COMPUTING + DRAWING]
    program = (
        "import ast, time\nfrom methmix.provenance import PACKAGE, source_digest\nstarted = time.process_time()\n"
        f"for stage, *command in {commands!r}: source_digest('methmix.' + stage, *command)\n"
        "digested = time.process_time()\n"
        "for path in PACKAGE.rglob('*.py'): ast.dump(ast.parse(path.read_bytes()))\n"
        "print(digested - started, time.process_time() - digested)"
    )
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=600, check=True
    )
    digests, once = map(float, done.stdout.split())
    assert digests < 3 * once, (digests, once)
