"""The matrix products of a training step alone: noted in one step, then done again without anything else."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_PRODUCTS = {getattr(torch.ops.aten, name) for name in ("mm", "addmm", "bmm", "baddbmm")}


class Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered, notes each matrix product of single or lower precision with its operands.

    Those in double precision are left out: they are of the small systems of equations that a solver works on, not of
    what a step of training cannot do without. The operands are kept, so the shapes, strides, precision and device
    are those of the step.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._calls: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note a product; torch calls this for every operation, also for those of the backward pass."""
        if func.overloadpacket in _PRODUCTS and args[-1].dtype != torch.float64:
            self._calls.append((func, args, kwargs or {}))
        return func(*args, **(kwargs or {}))

    def repeat(self) -> None:
        """Do the products again."""
        for function, arguments, options in self._calls:
            function(*arguments, **options)

    @property
    def flop(self) -> int:
        """Multiplications and additions of all of them."""
        return sum(2 * math.prod(left.shape) * right.shape[-1] for left, right in self._operands())

    def listed(self) -> list[str]:
        """List them: how many of which shapes and precision."""
        counted = Counter(
            f"{'x'.join(map(str, left.shape))} @ {'x'.join(map(str, right.shape))} {str(left.dtype).split('.')[1]}"
            for left, right in self._operands()
        )
        return [f"{number} of {name}" for name, number in counted.items()]

    def _operands(self) -> list[Any]:
        return [arguments[-2:] for _, arguments, _ in self._calls]
