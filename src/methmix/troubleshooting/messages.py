"""Collect the messages of errors and warnings from the source of a package."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Exit codes of the errors; what a section of the configuration raises is reported as an InputError.
_EXIT_CODES = {"InputError": "2", "RunError": "1", "ValueError": "2"}
# A value in a message of a logger, such as %d, %.3f or %(step)d.
_FORMAT = re.compile(r"%(?:\(\w+\))?[-+ #0]*[\d.]*[sdfgr]")
# Values of names, as expressions.
Names = dict[str, ast.expr]


@dataclass(frozen=True)
class Message:
    """One message: the package that emits it, its text with ``<placeholders>``, and the remedy that it names.

    ``exit_code`` is empty for a warning; ``purpose`` is what the code that emits it is for.
    """

    package: str
    exit_code: str
    text: str
    remedy: str
    purpose: str


def messages(package: Path) -> list[Message]:
    """Collect the messages in the modules of a package, in their order, each once.

    Left out are those that consist of values alone, such as the notes that a warning repeats.
    """
    trees = {path: ast.parse(path.read_text()) for path in sorted(package.rglob("*.py"))}
    own = {path: dict(_assigned(tree.body)) for path, tree in trees.items()}
    # A public name means the same everywhere.
    public = {n: value for names in own.values() for n, value in names.items() if n.isupper() and n[0] != "_"}
    constants = {path: public | names for path, names in own.items()}
    calls = _calls((tree, constants[path]) for path, tree in trees.items())
    found: dict[tuple[str, ...], Message] = {}
    for path, tree in trees.items():
        folder = path.relative_to(package).parent.name
        for message in _Module(tree, folder, constants[path], calls).messages():
            if re.search("[a-z]", re.sub("<[^<>]*>", "", message.text)):
                found.setdefault((folder, message.exit_code, message.text, message.remedy), message)
    return [*found.values()]


def _calls(trees: Iterable[tuple[ast.Module, Names]]) -> dict[str, list[tuple[ast.Call, Names]]]:
    """Collect all calls by the name of the function, each with what the names of its module stand for."""
    found = defaultdict(list)
    for tree, constants in trees:
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                    found[name].append((node, constants))
    return found


class _Module:
    """The syntax tree of a module, and what its names stand for."""

    def __init__(
        self, tree: ast.Module, package: str, constants: Names, calls: dict[str, list[tuple[ast.Call, Names]]]
    ) -> None:
        self._tree, self._package, self._constants, self._calls = tree, package, constants, calls
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("_")]
        # Of functions that only give a text.
        self._texts = {
            node.name: node.body[-1].value
            for node in functions
            if isinstance(node.body[-1], ast.Return) and node.body[-1].value
        }

    def messages(self) -> Iterator[Message]:
        yield from self._within(self._tree, "", {})

    def _within(self, node: ast.AST, purpose: str, local: Names) -> Iterator[Message]:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            purpose = (ast.get_docstring(node) or purpose).split("\n\n")[0].replace("\n", " ")
        if isinstance(node, ast.FunctionDef):
            local = {**local, **dict(_assigned(ast.walk(node)))}
            # One that others call with parts of a message has one message for each.
            passed = [given for call in self._calls.get(node.name, []) if (given := _passed(node, *call))]
            for given in passed:
                yield from self._of_children(node, purpose, {**local, **given})
            if passed:
                return
        if isinstance(node, ast.Call) and (found := self._message(node, purpose, local)):
            yield found
        yield from self._of_children(node, purpose, local)

    def _of_children(self, node: ast.AST, purpose: str, local: Names) -> Iterator[Message]:
        for child in ast.iter_child_nodes(node):
            yield from self._within(child, purpose, local)

    def _message(self, call: ast.Call, purpose: str, local: Names) -> Message | None:
        """Give the message that a call emits, if it does."""
        text, remedy, code = "", "", ""
        match call.func:
            case ast.Name(id=name) if name in _EXIT_CODES and call.args:
                # Elsewhere it is a mistake of who programs with the package.
                if name == "ValueError" and self._package != "config":
                    return None
                code, text = _EXIT_CODES[name], self._text(call.args[0], local)
                remedy = self._text(call.args[1], local) if len(call.args) > 1 else ""
            # With a traceback, it is one that the user has asked for.
            case ast.Attribute(value=ast.Name(id="logger"), attr="warning" | "error") if not call.keywords:
                text = self._logged(call.args, local)
            case ast.Attribute(value=ast.Name(id="notes"), attr="append"):
                text = self._text(call.args[0], local)
            case _:
                return None
        return Message(self._package, code, text, remedy, purpose)

    def _logged(self, arguments: list[ast.expr], local: Names) -> str:
        """Write a message of a logger, its arguments in their places."""
        given = iter([self._text(argument, local) for argument in arguments[1:]])
        return _FORMAT.sub(lambda _: next(given, "<value>"), self._text(arguments[0], local))

    def _text(self, node: ast.expr, local: Names) -> str:
        """Write an expression for a text as it is read, with the values in it as placeholders."""
        match node:
            case ast.Constant(value=str(value)):
                return value
            case ast.JoinedStr(values=values):
                return "".join(self._text(part, local) for part in values)
            case ast.FormattedValue(value=value):
                return self._text(value, local)
            case ast.BinOp(left=left, op=ast.Add(), right=right) if _is_text(node):
                return self._text(left, local) + self._text(right, local)
            case ast.BinOp(left=ast.Constant(value=str(value)), op=ast.Mult()):
                return f"({value})"
            case ast.IfExp(body=body, orelse=other) if _is_text(node):
                either = [text for text in (self._text(body, local), self._text(other, local)) if text]
                return f"({' or '.join(either)})"
            case ast.Name(id=name):
                meant = local.get(name, self._constants.get(name, node))
                # A name in its own value is an earlier one.
                return (
                    self._text(meant, {**local, name: ast.Constant(None)}) if _is_text(meant) else f"<{_label(node)}>"
                )
            case ast.Call(func=ast.Name(id=name)) if _is_text(meant := self._texts.get(name, node)):
                return self._text(meant, {})
        return f"<{_label(node)}>"


def _passed(function: ast.FunctionDef, call: ast.Call, constants: Names) -> Names:
    """Give the texts that a call passes to a function, by parameter."""
    names = [parameter.arg for parameter in function.args.args if parameter.arg not in ("self", "cls")]
    given = dict(zip(names, call.args, strict=False)) | {word.arg: word.value for word in call.keywords if word.arg}
    values = {name: constants.get(value.id, value) if isinstance(value, ast.Name) else value
              for name, value in given.items()}  # fmt: skip
    # A single word is a name rather than a part of a message.
    return {name: value for name, value in values.items() if _is_text(value) and " " in ast.unparse(value)}


def _is_text(node: ast.expr) -> bool:
    """Whether an expression has a text in it that can be read without running it."""
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return True
        case ast.BinOp(left=one, op=ast.Add(), right=other) | ast.IfExp(body=one, orelse=other):
            return _is_text(one) or _is_text(other)
    return False


def _assigned(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that are assigned to, and their values; of parallel assignments, one by one."""
    for node in nodes:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                yield name, value
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                for target, value in zip(targets, values, strict=False):
                    if isinstance(target, ast.Name):
                        yield target.id, value


def _label(node: ast.expr) -> str:
    """Name a value in a message after the expression for it."""
    match node:
        case ast.Call(func=ast.Name(id="len"), args=[what]):
            return f"number of {_label(what)}"
        case ast.Call(func=ast.Attribute(attr="join" | "get"), args=[what, *_]) | ast.Starred(value=what):
            return _label(what)
        case ast.Call(func=ast.Name(id="sorted" | "max" | "min" | "int" | "set" | "repr" | "str"), args=[what, *_]):
            return _label(what)
        case ast.Call(func=function):
            return _label(function)
        case ast.Attribute(attr=name) | ast.Name(id=name) | ast.Constant(value=str(name)):
            return name.strip("_").replace("_", " ").lower()
        case ast.Subscript(value=value) | ast.BinOp(left=value) | ast.GeneratorExp(elt=value):
            return _label(value)
        case ast.BoolOp(values=[first, *_]):
            return _label(first)
    return "value"
