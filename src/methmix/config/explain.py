"""What is wrong with a configuration, in the user's words."""

import difflib
import re
from typing import Any

from pydantic import TypeAdapter, ValidationError

from methmix.config.section import DISCRIMINATORS
from methmix.config.yaml_files import Document, Location


def explained(error: ValidationError, document: Document, adapter: TypeAdapter[Any]) -> str:
    """Say what pydantic has found, a line for each mistake: the file, the line, the key, and what was expected."""
    problems = [_explained_one(dict(problem), document, adapter) for problem in error.errors()]
    return "\n".join(f"{document.place(where)}: {what}" for where, what in problems)


def nearest(key: str, adapter: TypeAdapter[Any]) -> str:
    """Say what may have been meant by a key that is unknown where it stands."""
    schema = adapter.json_schema()
    known = {name for section in [schema, *schema["$defs"].values()] for name in section.get("properties", {})}
    if key in known:
        return "; it belongs to another section, arm or backbone"
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
    return f" (did you mean {near[0]}?)" if near else "; nothing reads it, remove it"


def _explained_one(problem: dict[str, Any], document: Document, adapter: TypeAdapter[Any]) -> tuple[Location, str]:
    """Give the place of a problem and what it is."""
    kind, message, context = problem["type"], problem["msg"].removeprefix("Value error, "), problem.get("ctx", {})
    location = _as_written(problem["loc"], kind, document.content)
    if kind.startswith("union_tag"):
        location = (*location, context["discriminator"].strip("'"))
    key = ".".join(map(str, location))
    if kind in {"missing", "union_tag_not_found"}:
        return location[:-1], f"missing key {key}"
    if kind == "extra_forbidden":
        return location, f"unknown key {key}{nearest(str(location[-1]), adapter)}"
    if kind == "union_tag_invalid":
        return location, f"{key}: unknown value {context['tag']!r}; expected one of {context['expected_tags']}"
    if kind == "value_error":
        # The message of a section begins with the key inside of it.
        within = re.match(r"([\w.]+): ", message)
        inner = (*location, *within[1].split(".")) if within else location
        what = f"{key}{'.' if within else ': '}{message}" if key else message
        return inner if inner in document.places else location, what
    return location, f"{key}: {message}, found {problem['input']!r}"


def _as_written(location: Location, kind: str, content: Any) -> Location:
    """Drop from a location of pydantic what no file has: the tags of alternatives, which follow their section's key."""
    present, missing = (location[:-1], location[-1:]) if kind == "missing" else (location, ())
    keys: list[str | int] = []
    tag = False
    for part in present:
        section = content if isinstance(content, dict) else {}
        absent = isinstance(part, str) and part not in section
        # A recipe of kind background has a key of that name too.
        tag = not tag and (absent or part in [section.get(key) for key in DISCRIMINATORS])
        if not tag:
            keys.append(part)
            content = content[part] if isinstance(part, int) else section.get(part)
    return (*keys, *missing)
