"""Content of a checkpoint in a form in which what is equal is written with equal bytes."""

from typing import Any

from torch import Tensor


def canonical(content: Any) -> Any:
    """Rebuild nested dictionaries, lists and tuples, equal texts as one object, tensors on the CPU.

    Pickle writes an object that stands in two places once, and two that are equal twice: without this, a training that
    was resumed would have other bytes than one that was not.
    """
    return _rebuilt(content, {})


def _rebuilt(content: Any, texts: dict[str, str]) -> Any:
    match content:
        case dict():
            return {_rebuilt(name, texts): _rebuilt(value, texts) for name, value in content.items()}
        case list() | tuple():
            return type(content)(_rebuilt(value, texts) for value in content)
        case str():
            return texts.setdefault(content, content)
        case Tensor():
            return content.detach().cpu()
    return content
