"""Whether there is a GPU and room on it; copies and systems of equations that do not wait for what it is doing."""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from methmix.errors import RunError

# Bytes: the compiled code of a kernel may depend on whether its inputs are aligned to so many.
_ALIGNED = 16


def why_no_gpu() -> str:
    """Say why torch finds no GPU; empty where it finds one."""
    # Of a driver that is too old for it, torch only warns.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            return ""
    if torch.version.cuda is None and torch.version.hip is None:
        return f"torch {torch.__version__} is built for the CPU"
    reasons = [str(warning.message).removeprefix("CUDA initialization: ").split(". ")[0] for warning in caught]
    return "; ".join(reasons) or f"torch {torch.__version__} sees none"


@contextmanager
def memory_explained(remedy: str) -> Iterator[None]:
    """Report that a GPU's memory is used up in the block as a RunError with a remedy."""
    try:
        yield
    except RuntimeError as error:
        if "out of memory" not in str(error):
            raise
        size = r"(\S+ \S+?)"
        sizes = re.search(rf"allocate {size}\. .*total capacity of {size} of which {size} is free", str(error))
        missing = f": {sizes[1]} more are needed, {sizes[3]} of {sizes[2]} are free" if sizes else ""
        raise RunError(f"the memory of the GPU does not suffice{missing}", remedy) from error


def sent(values: npt.NDArray[np.generic] | Sequence[int], device: torch.device) -> Tensor:
    """Make a tensor on a device of an array, or of indices; on the CPU it shares the memory of an array.

    Indexing a tensor on a GPU by a list, or copying from memory that may be paged out, waits for all that the GPU has
    still to do.
    """
    tensor = torch.from_numpy(values) if isinstance(values, np.ndarray) else torch.tensor(values, dtype=torch.int64)
    if device.type == "cpu" or not tensor.numel():
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def staged(device: torch.device, *arrays: npt.NDArray[Any]) -> list[Tensor]:
    """Bring arrays to a device in a single copy, from pinned memory, so that the host need not wait for it."""
    starts = np.cumsum([0] + [-(-array.nbytes // _ALIGNED) * _ALIGNED for array in arrays]).tolist()
    host = torch.empty(starts[-1], dtype=torch.uint8, pin_memory=device.type == "cuda")
    for start, array in zip(starts, arrays, strict=False):
        host.numpy()[start : start + array.nbytes] = array.ravel().view(np.uint8)
    there = host.to(device, non_blocking=True)
    return [
        there[start : start + array.nbytes].view(torch.from_numpy(array[:0]).dtype).view(array.shape)
        for start, array in zip(starts, arrays, strict=False)
    ]


def has_room(device: torch.device, n_bytes: int) -> bool:
    """Whether so much may stay on a GPU beside what is computed: a quarter of what is free; on the CPU, nothing."""
    return device.type == "cuda" and n_bytes <= torch.cuda.mem_get_info(device)[0] // 4


class Table(Protocol):
    """Rows of numbers, made or read when they are indexed: [n_rows, n_columns]."""

    def __getitem__(self, rows: Any, /) -> npt.NDArray[Any]: ...


class DeviceRows:
    """Some rows of a table as float32 tensors on a device; they stay on a GPU that has room for them."""

    def __init__(self, table: Table, rows: Sequence[int], device: torch.device) -> None:
        self._table, self._device = table, device
        self._place = {row: place for place, row in enumerate(rows)}
        size = 4 * len(rows) * table[list(rows[:1])].shape[1]
        self._kept = self._sent(list(rows)) if has_room(device, size) else None

    def __getitem__(self, rows: Sequence[int]) -> Tensor:
        """Give rows of the table, [n_rows, n_columns]."""
        if self._kept is None:
            return self._sent(rows)
        return self._kept[sent([self._place[row] for row in rows], self._device)]

    def _sent(self, rows: Sequence[int]) -> Tensor:
        return sent(self._table[rows].astype(np.float32, copy=False), self._device)


def solved(matrices: Tensor, right_sides: Tensor) -> Tensor:
    """Solve systems of equations, [n, size, size] and [n, size]; a singular matrix is an error on the CPU only."""
    on_cpu = _prepared(matrices)
    result: Tensor = torch.linalg.solve_ex(matrices, right_sides, check_errors=on_cpu).result
    return result


def inverted(matrices: Tensor) -> Tensor:
    """Invert matrices, [n, size, size]; a singular one is an error on the CPU only."""
    on_cpu = _prepared(matrices)
    inverse: Tensor = torch.linalg.inv_ex(matrices, check_errors=on_cpu).inverse
    return inverse


def _prepared(matrices: Tensor) -> bool:
    """Choose how systems of equations are solved on the device of the matrices; returns whether it is the CPU."""
    on_cpu = matrices.device.type == "cpu"
    if not on_cpu:
        _prefer_cusolver()
    return on_cpu


@cache
def _prefer_cusolver() -> None:
    """Keep torch from MAGMA, its choice for many small matrices: that waits for the whole device, before and after."""
    with warnings.catch_warnings():
        # That the choice is experimental.
        warnings.simplefilter("ignore")
        torch.backends.cuda.preferred_linalg_library("cusolver")
