"""The import closure of an entry point: the code and the data files that its results can depend on."""

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# What lies beside the code and is read by it: tables and the templates of pages.
_DATA = (".json", ".html")


def import_closure(entry: str, command: str, package: Path) -> dict[str, bytes]:
    """Collect what ``python -m <entry> [<command>]`` runs and reads of a package.

    That is the entry point, every module that it imports, also inside functions, every module that those import, and
    the data files that one of them names. Code is without comments, docstrings and layout.

    Parameters
    ----------
    entry
        Dotted name of a module; of a package, its ``__main__`` is meant.
    command
        Subcommand of that ``__main__``, or empty. What belongs to other subcommands alone is left out, provided that
        ``main`` only hands over to a function with the name of the subcommand: ``_fit_variation`` for
        ``fit-variation``.
    package
        Folder of the top package. Which files there are is looked up once in a process.

    Returns
    -------
    dict
        Dotted name of a module -> its code, and name of a data file relative to ``package`` -> its content.

    Raises
    ------
    FileNotFoundError
        There is no such module.
    """
    paths, data = _files(package)
    start = f"{entry}.__main__" if f"{entry}.__main__" in paths else entry
    if start not in paths:
        raise FileNotFoundError(f"{package.parent}: there is no module {entry}")
    found: dict[str, _Module] = {}
    waiting = {start}
    while waiting:
        name = waiting.pop()
        found[name] = _module(paths[name].read_bytes(), command if name == start else "")
        # Before a module, Python imports the packages that it is in. An imported name may as well be a function.
        imported = found[name].imports | {name.rpartition(".")[0]}
        waiting |= (imported & paths.keys()) - found.keys()
    packages = {paths[name].parent for name in found}
    reachable = [path for path, folder in data.items() if folder in packages]
    read = _data_of([(paths[name], module.data) for name, module in found.items()], reachable)
    code = {name: module.code.encode() for name, module in found.items()}
    return code | {str(path.relative_to(package)): path.read_bytes() for path in read}


@dataclass(frozen=True)
class _Module:
    """A module: its code, the dotted names that it imports, and the names of data files in it."""

    code: str
    imports: frozenset[str]
    data: frozenset[str]


@functools.cache
def _files(package: Path) -> tuple[dict[str, Path], dict[Path, Path]]:
    """Find the modules of a package by their dotted names, and the data files with the folder of their package."""
    modules, data = {}, {}
    for path in sorted(package.rglob("*.*")):
        if path.suffix == ".py":
            parts = path.relative_to(package.parent).with_suffix("").parts
            modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        elif path.suffix in _DATA:
            data[path] = next(folder for folder in path.parents if (folder / "__init__.py").is_file())
    return modules, data


@functools.cache
def _module(source: bytes, command: str) -> _Module:
    tree = ast.parse(source)
    if command:
        _leave_other_commands_out(tree, command)
    imports = set(_strip(tree))
    code = ast.dump(tree)
    # A module whose name is text is started as a process, or imported by that name.
    imports.update(re.findall(r"'(\w+(?:\.\w+)+)'", code))
    return _Module(code, frozenset(imports), _data_names(code))


def _strip(node: ast.AST) -> Iterator[str]:
    """Take docstrings and what only a type checker reads out of a tree; name what its statements import."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        node.body = node.body[_has_docstring(node.body) :]
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in _names(node.test):
        node.body = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield str(child.module)
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from _strip(child)


def _has_docstring(body: list[ast.stmt]) -> bool:
    first = body[0] if body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def _names(node: ast.AST) -> set[str]:
    return {found.id for found in ast.walk(node) if isinstance(found, ast.Name)}


def _leave_other_commands_out(tree: ast.Module, command: str) -> None:
    """Drop the functions that neither ``main`` calls nor the command uses, then the imports that nothing left uses."""
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    own = f"_{command.replace('-', '_')}"
    if not {"main", own} <= functions.keys():
        return
    calls = [found.func for found in ast.walk(functions["main"]) if isinstance(found, ast.Call)]
    waiting = {own, *(function.id for function in calls if isinstance(function, ast.Name))} & functions.keys()
    kept = {"main"}
    while waiting:
        name = waiting.pop()
        kept.add(name)
        waiting |= (_names(functions[name]) & functions.keys()) - kept
    body = [node for node in tree.body if not isinstance(node, ast.FunctionDef) or node.name in kept]
    used = {name for node in body for name in _names(node)}
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            node.names = [alias for alias in node.names if (alias.asname or alias.name.partition(".")[0]) in used]
    tree.body = [node for node in body if not isinstance(node, ast.Import | ast.ImportFrom) or node.names]


def _data_names(text: str) -> frozenset[str]:
    """Find the names of data files in code or in a template, each without its folder."""
    return frozenset(re.findall(r"""['"/]([\w-]+\.(?:json|html))['"]""", text))


def _data_of(named: list[tuple[Path, frozenset[str]]], reachable: list[Path]) -> set[Path]:
    """Find the data files that modules name, given the names in each module, and the templates that those name."""
    found: set[Path] = set()
    waiting = named.copy()
    while waiting:
        source, names = waiting.pop()
        for name in names:
            of_name = {path for path in reachable if path.name == name}
            # Where several have the name, the one beside is meant.
            new = {path for path in of_name if path.parent == source.parent} or of_name
            waiting += [(path, _data_names(path.read_text())) for path in new - found]
            found |= new
    return found
