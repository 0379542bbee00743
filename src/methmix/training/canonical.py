"""Content of a checkpoint in a form in which what is equal is written with equal bytes."""

import sys
from typing import Any

from torch import Tensor


def canonical(content: Any) -> Any:
    """Rebuild nested dictionaries, lists and tuples, equal texts as one object, tensors on the CPU.

    Pickle writes an object that stands in two places once, and two that are equal twice: without this, a training that
    was resumed would have other bytes than one that was not.
    """
    match content:
        case dict():
            return {canonical(name): canonical(value) for name, value in content.items()}
        case list() | tuple():
            return type(content)(map(canonical, content))
        case str():
            return sys.intern(str(content))
        case Tensor():
            return content.detach().cpu()
    return content
