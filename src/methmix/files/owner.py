"""Which process something belongs to, and whether that process still runs.

It is looked up by the operating system on the same host; of a SLURM job on another host SLURM is asked. Elsewhere it
cannot be known.
"""

import json
import os
import platform
import subprocess
import time
import uuid
from dataclasses import dataclass, fields
from pathlib import Path

import psutil

from methmix.errors import RunError

# The start of a process is counted from the boot, and clocks are set.
_CLOCK_SECONDS = 60.0
_ENDED_IN_SLURM = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "PENDING", "PREEMPTED", "REQUEUED", "TIMEOUT"),
}


@dataclass(frozen=True)
class Owner:
    """A process that holds a lock, or has made a file.

    ``token`` is different for every process that ever held one. ``process_started``, in seconds since the epoch,
    distinguishes the process from a later one of the same number. Outside SLURM, job and restarts are empty and 0.
    """

    token: str
    host: str
    process: int
    process_started: float
    job_id: str
    restarts: int
    since: str

    def __str__(self) -> str:
        job = f", SLURM job {self.job_id}" if self.job_id else ""
        return f"host {self.host}, process {self.process}{job}, since {self.since}"


def this_process(job_id: str | None = None, restarts: int = 0) -> Owner:
    """Describe this process; the SLURM job is that of the environment, unless another one is given."""
    if job_id is None:
        job_id, restarts = os.environ.get("SLURM_JOB_ID", ""), int(os.environ.get("SLURM_RESTART_COUNT", "0"))
    return Owner(
        token=uuid.uuid4().hex,
        host=platform.node(),
        process=os.getpid(),
        process_started=psutil.Process().create_time(),
        job_id=job_id,
        restarts=restarts,
        since=time.strftime("%Y-%m-%d %H:%M:%S"),
    )


def read_owner(path: Path) -> Owner | None:
    """Read who holds the lock in a file, None if there is none; RunError if it is no lock."""
    try:
        content = json.loads(path.read_text())
        return Owner(**{field.name: content[field.name] for field in fields(Owner)})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        remedy = "remove it if nothing of methmix runs in this folder"
        raise RunError(f"{path}: is not a lock of ours", remedy) from None


def is_gone(owner: Owner, me: Owner) -> bool | None:
    """Whether a process is gone, as far as this one (``me``) can see; None if unknown."""
    if owner.job_id and owner.job_id == me.job_id and owner.restarts < me.restarts:
        # SLURM has started this job again, so it holds the earlier start for dead.
        return True
    if owner.host == me.host:
        return _process_is_gone(owner.process, owner.process_started)
    return _job_is_gone(owner.job_id) if owner.job_id and owner.job_id != me.job_id else None


def _process_is_gone(number: int, started: float) -> bool:
    if not psutil.pid_exists(number):
        return True
    try:
        process = psutil.Process(number)
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        return bool(abs(process.create_time() - started) > _CLOCK_SECONDS)
    except psutil.Error:
        # Another user's, of which /proc may show nothing; or it has ended meanwhile.
        return not psutil.pid_exists(number)


def _job_is_gone(job_id: str) -> bool | None:
    command = ["squeue", "--noheader", "--states=all", f"--jobs={job_id}", "--format=%T"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    # A job that is not shown may be another cluster's, or hidden from us.
    state = answer.stdout.strip()
    return state in _ENDED_IN_SLURM if answer.returncode == 0 and state else None
