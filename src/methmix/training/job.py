"""What a training runs in and what it uses: the SLURM job around it, signals that stop it, processors, GPU."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from methmix.memory import peak_memory_mb

# Exit codes of a training that was asked to stop and has saved its state. The script around it must distinguish a
# scheduler's warning (SIGUSR1) from the order to end (SIGTERM): only after a warning may the job be started again.
STOPPED = {signal.SIGUSR1: 75, signal.SIGTERM: 128 + signal.SIGTERM}
_SAMPLE_SECONDS = 2.0


class StopSignal:
    """While entered, notes the ``number`` of a signal that asks to stop, for the end of the current step; else 0."""

    def __init__(self) -> None:
        self.number = 0

    def __enter__(self) -> "StopSignal":
        self._previous = {number: signal.signal(number, self._note) for number in STOPPED}
        return self

    def __exit__(self, *_: object) -> None:
        """Put the former handlers back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: Any) -> None:
        # The order to end outranks the warning, whichever comes first.
        self.number = max(self.number, number)


@dataclass(frozen=True)
class SlurmJob:
    """The SLURM job that this process belongs to, as ``squeue`` shows it.

    ``restarts`` is how often SLURM has started the job again; processors, GPUs, memory and time are those asked for, 0
    if unknown or unlimited.
    """

    id: str
    name: str
    partition: str
    node: str
    restarts: int
    cpus: int = 0
    gpus: int = 0
    memory_mb: float = 0.0
    minutes: float = 0.0

    def __str__(self) -> str:
        restarted = f", start {self.restarts + 1}" if self.restarts else ""
        return f"SLURM job {self.id} ({self.name}){restarted}, node {self.node}, partition {self.partition}"


def slurm_job(environment: Mapping[str, str] = os.environ) -> SlurmJob | None:
    """Describe the SLURM job around this process; None outside SLURM.

    The controller is asked, because a job step's environment lacks what was asked for and loses part of the rest on its
    way through Snakemake; if it does not answer, the environment must do.
    """
    job_id = environment.get("SLURM_JOB_ID")
    if not job_id:
        return None
    shown = _scontrol(job_id)
    # SLURM 23 has two names for what SLURM 22 called TRES.
    tres = shown.get("AllocTRES") or shown.get("ReqTRES") or shown.get("TRES", "")
    asked = dict(item.split("=", 1) for item in tres.split(",") if "=" in item)
    gpus = int(asked.get("gres/gpu", 0))
    return SlurmJob(
        id=job_id,
        name=shown.get("JobName", environment.get("SLURM_JOB_NAME", "unknown")),
        partition=shown.get("Partition", environment.get("SLURM_JOB_PARTITION", "unknown")),
        node=environment.get("SLURMD_NODENAME", shown.get("BatchHost", "unknown")),
        restarts=int(shown.get("Restarts", environment.get("SLURM_RESTART_COUNT", "0"))),
        cpus=int(shown.get("NumCPUs", "0").split("-")[0]),
        gpus=gpus or _gpus(shown.get("TresPerNode", "") or shown.get("TresPerJob", "")),
        memory_mb=_megabytes(asked.get("mem", "")),
        minutes=_minutes(shown.get("TimeLimit", "")),
    )


def _scontrol(job_id: str) -> dict[str, str]:
    command = ["scontrol", "show", "job", job_id, "--oneliner"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    # A value may have spaces in it; it ends where the next name begins.
    return dict(re.findall(r"(\S+?)=(.*?)(?=\s+[\w:/]+=|\s*$)", answer.stdout))


def _gpus(tres: str) -> int:
    """Count GPUs in ``gres:gpu:a100:2`` and the like."""
    found = re.search(r"gpu(?::[^:,()]*[^\d:,()][^:,()]*)?(?::(\d+))?", tres)
    return int(found[1] or 1) if found else 0


def _megabytes(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)([KMGT]?)", text)
    return float(found[1]) * {"K": 2**-10, "": 1, "M": 1, "G": 2**10, "T": 2**20}[found[2]] if found else 0.0


def _minutes(text: str) -> float:
    """Read ``days-hours:minutes:seconds``; 0 for UNLIMITED."""
    found = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):(\d+)", text)
    if not found:
        return 0.0
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return days * 1440 + hours * 60 + minutes + seconds / 60


class Usage:
    """Measures what this process uses; ``before`` has the `totals` of interrupted processes of the same training."""

    names = ("train_seconds", "cpu_seconds", "peak_memory_mb", "gpu_peak_memory_mb", "gpu_utilisation", "gpu_samples")

    def __init__(self, device: torch.device, before: Mapping[str, Any]) -> None:
        self._device = device
        self._before = {name: float(before.get(name, 0.0)) for name in self.names}
        self._started, self._cpu_started = time.monotonic(), time.process_time()
        self._samples: list[float] = []
        self._ended = threading.Event()
        if device.type == "cuda":
            threading.Thread(target=self._sample, name="usage", daemon=True).start()

    def totals(self) -> dict[str, float]:
        """Sum up seconds, CPU seconds, peak memory (MiB; also of the GPU) and mean GPU utilisation (0-1) so far."""
        before = self._before
        samples = before["gpu_samples"] + len(self._samples)
        busy = before["gpu_utilisation"] * before["gpu_samples"] + sum(self._samples)
        gpu_peak = torch.cuda.max_memory_allocated(self._device) / 2**20 if self._device.type == "cuda" else 0.0
        return {
            "train_seconds": before["train_seconds"] + time.monotonic() - self._started,
            "cpu_seconds": before["cpu_seconds"] + time.process_time() - self._cpu_started,
            "peak_memory_mb": max(before["peak_memory_mb"], round(peak_memory_mb(), 1)),
            "gpu_peak_memory_mb": max(before["gpu_peak_memory_mb"], round(gpu_peak, 1)),
            "gpu_utilisation": busy / samples if samples else 0.0,
            "gpu_samples": samples,
        }

    def __enter__(self) -> "Usage":
        return self

    def __exit__(self, *_: object) -> None:
        """Stop sampling."""
        self._ended.set()

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            try:
                self._samples.append(torch.cuda.utilization(self._device) / 100)
            except Exception:  # no NVML, or a driver without the number: training must not end for that
                return
