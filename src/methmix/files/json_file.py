"""Reading JSON records that an earlier stage wrote."""

import json
from pathlib import Path
from typing import Any

from methmix.bounds import check_size
from methmix.errors import InputError

_MOST_BYTES = 2**28


def read_json(path: Path, remedy: str, keys: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a JSON object that has at least these keys; `InputError`, with the remedy, if it is damaged.

    NaN, which JSON does not have, is read where Python has written it: a metric that is not defined.
    """
    try:
        check_size(path, "file", path.stat().st_size, _MOST_BYTES)
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"{path}: there is no such file", remedy) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is damaged ({error})", remedy) from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: is damaged (expected a JSON object, found {type(content).__name__})", remedy)
    if missing := [key for key in keys if key not in content]:
        raise InputError(f"{path}: is damaged ({missing[0]} is missing)", remedy)
    return content
