"""YAML files: their content, the line of each key, and how one is laid over another."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from methmix.config.section import DISCRIMINATORS, Section
from methmix.errors import InputError
from methmix.shipped import found

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
    """YAML in which ``1e-3`` is a number: without a dot, YAML 1.1 reads it as text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), [*"-+0123456789"]
)


def parse(text: str) -> Any:
    """Read a YAML value."""
    return yaml.load(text, Loader=_Loader)


def read(path: Path) -> Document:
    """Read a YAML mapping without duplicate keys; a shipped one also from another working folder."""
    path = found(path)
    try:
        loader = _Loader(path.read_text())
        node = loader.get_single_node()
        places = {location: f"{path}, line {line}" for location, line in _lines(node, path)}
        content = loader.construct_document(node) if node else None
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such configuration file", "the shipped ones are in config/") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: is not readable YAML: {error}", "check the indentation and the colons near that line"
        ) from None
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: expected a mapping of keys, found {type(content).__name__}",
            "a configuration has one `key: value` per line; the shipped ones are in config/",
        )
    return Document(path, content, places)


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
