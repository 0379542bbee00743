"""Kernels that draw on a GPU, where they can be compiled."""

import logging
from functools import cache
from types import ModuleType

import torch

logger = logging.getLogger("methmix")


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
