"""YAML files: their content, the line of each key, and how one is laid over another."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from methmix.bounds import check_size
from methmix.config.section import DISCRIMINATORS, Section
from methmix.errors import InputError
from methmix.shipped import found

# A configuration has some hundred lines.
_MOST_BYTES, _MOST_NODES = 200_000, 20_000
# With this key, Snakemake's own loader runs what stands in the file.
_TEMPLATE = "__use_yte__"
# Keys of sections and tables, indices of lists.
Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """Content of a configuration file, and the file and line that set each of its keys."""

    path: Path
    content: dict[str, Any]
    places: dict[Location, str] = field(default_factory=dict)

    def place(self, location: Location) -> str:
        """Name the file, and the line if one sets this key."""
        return self.places.get(location, str(self.path))


class _Loader(yaml.SafeLoader):
    """YAML in which ``1e-3`` is a number: without a dot, YAML 1.1 reads it as text. Dates are text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), [*"-+0123456789"]
)


def parse(text: str) -> Any:
    """Read a YAML value; `yaml.YAMLError` if it is none, or not plain data of a moderate size."""
    return _parsed(text)[0]


def _parsed(text: str) -> tuple[Any, yaml.Node | None]:
    """Give the value, and the node that it is made of; None for empty text."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, None
        _check_nodes(node)
        return _plain(loader.construct_document(node)), node
    except (ValueError, RecursionError, OverflowError, AttributeError) as error:
        # A number of thousands of digits, a mapping where a tag wants text, and so on.
        raise yaml.YAMLError(f"{type(error).__name__}: {error}") from None


def read(path: Path) -> Document:
    """Read a YAML mapping without duplicate keys; a shipped one also from another working folder.

    The only loader of configurations, for commands and rules: what it reads runs nothing and names no other file but
    its ``base``. Size, depth and what aliases expand to are bounded.
    """
    path = found(path)
    text = _text(path)
    try:
        content, node = _parsed(text)
    except yaml.YAMLError as error:
        raise InputError(
            f"{path}: is not readable YAML: {error}", "check the indentation and the colons near that line"
        ) from None
    places = {location: f"{path}, line {line}" for location, line in _lines(node, path)}
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: expected a mapping of keys, found {type(content).__name__}",
            "a configuration has one `key: value` per line; the shipped ones are in config/",
        )
    if _TEMPLATE in content:
        raise InputError(
            f"{places[_TEMPLATE,]}: {_TEMPLATE}: expressions in a configuration would be run, which is not supported",
            "write the values themselves; check a file from elsewhere with python -m methmix.config before it is used",
        )
    return Document(path, content, places)


def read_again(document: Document, content: dict[str, Any]) -> dict[str, Any]:
    """Give what Snakemake has read of a file, with some keys changed, as `read` has read it but for these keys."""
    try:
        theirs = yaml.safe_load(_text(document.path))
    except (yaml.YAMLError, ValueError):
        return content
    return {
        key: document.content[key] if key in document.content and theirs.get(key) == value else value
        for key, value in content.items()
    }


def _text(path: Path) -> str:
    """Read the text of a configuration file."""
    hint = "the shipped ones are in config/"
    try:
        check_size(path, "configuration file", path.stat().st_size, _MOST_BYTES)
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: there is no such configuration file", hint) from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, expected a configuration file", hint) from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: is not text in UTF-8 ({error.reason} at byte {error.start})", "save it in the encoding UTF-8"
        ) from None


def _check_nodes(root: yaml.Node) -> None:
    """Check how many nodes there are with all aliases expanded; raises `yaml.YAMLError`."""
    sizes: dict[int, int | None] = {}

    def size(node: yaml.Node) -> int:
        if id(node) in sizes:
            known = sizes[id(node)]
            if known is None:
                raise yaml.YAMLError("an alias stands within what it stands for")
            return known
        sizes[id(node)] = None
        children: list[Any] = [] if isinstance(node, yaml.ScalarNode) else list(node.value)
        parts = [part for child in children for part in (child if isinstance(child, tuple) else (child,))]
        sizes[id(node)] = total = 1 + sum(size(part) for part in parts)
        if total > _MOST_NODES:
            raise yaml.YAMLError(f"more than {_MOST_NODES:,} values, aliases expanded")
        return total

    size(root)


def _plain(value: Any) -> Any:
    """Check that content is mappings with text keys, lists, texts, numbers, true, false and null."""
    match value:
        case dict():
            if other := [key for key in value if not isinstance(key, str)]:
                raise yaml.YAMLError(f"expected keys that are text, found {other[0]!r:.40}; write it in quotes")
            return {key: _plain(part) for key, part in value.items()}
        case list():
            return [_plain(part) for part in value]
        case None | bool() | float() | str():
            return value
        case int() if abs(value) < 2**63:
            return value
    raise yaml.YAMLError(f"expected text, a number of 64 bits, true, false or null, found {type(value).__name__}")


def laid_over(base: Any, changes: Any) -> Any:
    """Lay the content of a file over what its base stands for.

    Sections are merged key by key, as are tables of sections or of tables (by phase). Lists and other tables are
    replaced, and so is a section of which another alternative is chosen.
    """
    tables = isinstance(base, dict) and any(isinstance(value, Section | dict) for value in base.values())
    if not isinstance(changes, dict) or not (tables or isinstance(base, Section)):
        return changes
    whole = base.model_dump(mode="json") if isinstance(base, Section) else base
    if isinstance(base, Section) and any(changes.get(key, whole.get(key)) != whole.get(key) for key in DISCRIMINATORS):
        return changes
    return {**whole, **{key: laid_over(dict(base).get(key), value) for key, value in changes.items()}}


def _lines(node: yaml.Node | None, path: Path, at: Location = ()) -> Iterator[tuple[Location, int]]:
    """Find the line of everything below a node."""
    children: list[tuple[str | int, yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        children = [(str(key.value), key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(index, value, value) for index, value in enumerate(node.value)]
    first: dict[str | int, int] = {}
    for key, mark, value in children:
        line = mark.start_mark.line + 1
        if key in first:
            raise InputError(
                f"{path}, line {line}: duplicate key {key}, already set in line {first[key]}", "keep one of the two"
            )
        first[key] = line
        yield (*at, key), line
        yield from _lines(value, path, (*at, key))
