"""On what it was measured."""

import os
import platform
from pathlib import Path
from typing import Any

import torch

from methmix import provenance


def machine(device: torch.device) -> dict[str, Any]:
    """Describe processor, threads, GPU, load, versions and commit."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        # More than a little at the start: others were computing too.
        "load_at_start": round(os.getloadavg()[0], 2),
        "commit": provenance.commit(),
        "versions": provenance.versions(),
    }


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
