"""The import closure of an entry point: the code and the data files that its results can depend on."""

import ast
import functools
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

Node = TypeVar("Node")
_DATA = (".json", ".html", ".js", ".css", ".tsv")


def import_closure(entry: str, command: str, package: Path) -> dict[str, bytes]:
    """Collect what ``python -m <entry> [<command>]`` runs and reads of a package.

    That is the entry point, every module that it imports, also inside functions, every module that those import, and
    the data files beside them that one of them names. Functions of other commands alone are left out, provided that
    the command ``fit-variation`` is the function ``_fit_variation``. The folder ``package`` is searched once.

    Code is by dotted name, without comments, docstrings and layout; data by file name relative to ``package``.
    """
    modules = _modules(package)
    start = f"{entry}.__main__" if f"{entry}.__main__" in modules else entry
    if start not in modules:
        raise FileNotFoundError(f"{package.parent}: there is no module {entry}")

    def read(path: Path) -> tuple[bytes, set[str]]:
        return _read(path.read_bytes(), path.suffix, command if path == modules[start] else "")

    def imported(name: str) -> set[str]:
        # Before a module, Python imports the package that it is in. An imported name may as well be a function.
        return (read(modules[name])[1] | {name.rpartition(".")[0]}) & modules.keys()

    code = {modules[name]: name for name in _reached([start], imported)}
    data = {path for folder in {path.parent for path in code} for path in folder.iterdir() if path.suffix in _DATA}

    def named(path: Path) -> set[Path]:
        names = read(path)[1]
        return {other for other in data if other.name in names}

    found = _reached(code, named)
    return {code.get(path) or str(path.relative_to(package)): read(path)[0] for path in found}


def _reached(start: Iterable[Node], following: Callable[[Node], set[Node]]) -> set[Node]:
    """Collect the nodes of a graph that can be reached."""
    found: set[Node] = set()
    new = set(start)
    while new:
        found |= new
        new = {after for node in new for after in following(node)} - found
    return found


@functools.cache
def _modules(package: Path) -> dict[str, Path]:
    paths = {path: path.relative_to(package.parent).with_suffix("").parts for path in package.rglob("*.py")}
    return {".".join(parts).removesuffix(".__init__"): path for path, parts in paths.items()}


@functools.cache
def _read(content: bytes, suffix: str, command: str) -> tuple[bytes, set[str]]:
    """Give what counts of a module or data file, and the names of modules and of data files in it."""
    names: set[str] = set()
    if suffix == ".py":
        tree = ast.parse(content)
        _leave_other_commands_out(tree, command)
        names.update(_strip(tree))
        code = ast.dump(tree)
        # A module whose name is text is started as a process, or imported by that name.
        names.update(re.findall(r"'(\w+(?:\.\w+)+)'", code))
        content = code.encode()
    names.update(re.findall(r"""['"/]([\w-]+\.(?:json|html|js|css))['"]""", content.decode()))
    return content, names


def _strip(node: ast.AST) -> Iterator[str]:
    """Remove docstrings and what only a type checker reads from a tree; yield the names that its statements import."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
        node.body = node.body[ast.get_docstring(node, clean=False) is not None :]
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in _names(node.test):
        node.body = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (str(child.module), *(f"{child.module}.{alias.name}" for alias in child.names))
        elif isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from _strip(child)


def _names(node: ast.AST) -> set[str]:
    return {found.id for found in ast.walk(node) if isinstance(found, ast.Name)}


def _leave_other_commands_out(tree: ast.Module, command: str) -> None:
    """Drop the functions that neither ``main`` calls nor the command uses."""
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    own = f"_{command.replace('-', '_')}"
    if not {"main", own} <= functions.keys():
        return
    called = {name for node in ast.walk(functions["main"]) if isinstance(node, ast.Call) for name in _names(node.func)}
    used = _reached(["main", own], lambda name: (called if name == "main" else _names(functions[name])) & {*functions})
    tree.body = [node for node in tree.body if not isinstance(node, ast.FunctionDef) or node.name in used]
