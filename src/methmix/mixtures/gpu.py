"""What drawing on a GPU needs: inputs in one copy that nobody waits for, and kernels where they can be compiled."""

import logging
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

logger = logging.getLogger("methmix")

# Bytes: the compiled code of a kernel may depend on whether its inputs are aligned to so many.
_ALIGNED = 16


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


@cache
def kernels(device: torch.device) -> ModuleType | None:
    """Give `methmix.mixtures.gpu_kernel` if its kernels run on a device, else None.

    Triton may be missing, may lack the C compiler that it needs, or may not support the GPU: only a trial shows it. It
    compiles the kernels, so the first call must not be within the capture of a CUDA graph.
    """
    try:
        from methmix.mixtures import gpu_kernel

        _try(gpu_kernel, device)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        logger.warning("%s: mixtures are drawn without Triton, which takes longer (%s)", device, reason)
        return None
    return gpu_kernel


def _try(module: ModuleType, device: torch.device) -> None:
    """Run both kernels on a single region, which compiles them."""
    integers, seeds = torch.arange(2, dtype=torch.int32, device=device), torch.arange(1, device=device)
    ones, empty = torch.ones(1, 1, device=device), torch.empty(1, 1, device=device)
    module.draw(integers, ones, integers, ones, 0.5, seeds, ones, ones, empty, torch.empty_like(empty))
    module.deviate(ones, ones, integers, ones, seeds, (0.1, 0.9), (1.0, 0.0, 0.0), empty)
