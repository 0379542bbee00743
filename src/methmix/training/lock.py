"""One writer on a run folder: a lock that names its owner and does not outlive it.

A lock file alone would stay behind when its owner is killed or its node is lost, so whoever finds one checks whether
its owner still exists: by the operating system on the same host, by SLURM for a job, and otherwise by the file itself,
which its owner touches every few seconds. A node that was only cut off may still compute when its job has been
started elsewhere; its process finds the lock taken over before it writes the next time, and stops.
"""

import json
import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from methmix.errors import RunError
from methmix.files.atomic import create_text, write_text
from methmix.files.owner import is_gone, read_owner, this_process

# Whoever asks for the owner of a lock need not wait for torch.
if TYPE_CHECKING:
    from methmix.training.job import SlurmJob

logger = logging.getLogger("methmix")

# Name of the lock in a run folder.
LOCK = "training.lock"
# In a shared file system a change may be seen only after a minute, so silence must last longer to mean death.
_BEAT_SECONDS = 10.0
_SILENT_SECONDS = 120.0
# How long an owner that is about to end is waited for.
_WAIT_SECONDS = 20.0
_POLL_SECONDS = 1.0


def is_alive(path: Path) -> bool | None:
    """Whether the owner of a lock runs; None if that cannot be known from here. RunError if it is no lock.

    The owner's process is looked up on the same host; on another one SLURM is asked about its job. It must have touched
    the lock lately as well: this may be the copy of a lock, and a process may end before its job.
    """
    owner, me = read_owner(path), this_process("")
    if owner is None:
        return False
    gone = is_gone(owner, me)
    if gone is False and time.time() - _beat(path) > _SILENT_SECONDS:
        return None
    return None if gone is None else not gone


class RunLock:
    """The lock of a run folder, which is made if it does not exist; ``job`` is the SLURM job around this process."""

    def __init__(self, folder: Path, job: "SlurmJob | None") -> None:
        self.path = folder / LOCK
        self._folder = folder
        self._me = this_process(job.id, job.restarts) if job else this_process("")
        self._text = json.dumps(asdict(self._me), indent=2) + "\n"
        self._ended = threading.Event()

    def __enter__(self) -> "RunLock":
        """Take the lock; wait a little for an owner that is about to end. RunError if another process trains here."""
        began = time.monotonic()
        beat, beat_seen = _beat(self.path), began
        announced = False
        while not create_text(self.path, self._text):
            owner = read_owner(self.path)
            if owner is None:
                continue
            if owner == self._me:
                # Over NFS an answer can be lost: it was created all the same.
                break
            gone, now = is_gone(owner, self._me), time.monotonic()
            if gone is None:
                if _beat(self.path) != beat:
                    beat, beat_seen, gone = _beat(self.path), now, False
                elif now - beat_seen > _SILENT_SECONDS:
                    gone = True
            if gone and read_owner(self.path) == owner:
                logger.warning("%s: its owner (%s) is gone; its training is taken over", self.path, owner)
                write_text(self.path, self._text)
                break
            if gone is False and now - began > _WAIT_SECONDS:
                remedy = f"wait for it, or end it: {f'scancel {owner.job_id}' if owner.job_id else 'kill it'}"
                raise RunError(f"{self._folder}: another process trains here ({owner})", remedy)
            if not announced:
                announced = True
                logger.info("waiting for another process that trains here: %s", owner)
            time.sleep(_POLL_SECONDS)
        threading.Thread(target=self._keep_beating, name="lock", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the lock back, if it is still ours."""
        self._ended.set()
        if read_owner(self.path) == self._me:
            self.path.unlink(missing_ok=True)

    def check(self) -> None:
        """Make sure, before something is written, that the lock is still ours; else RunError."""
        owner = read_owner(self.path)
        if owner != self._me:
            raise RunError(
                f"{self._folder}: another process has taken this training over ({owner or 'its lock was removed'}); "
                "this one stops and writes nothing more",
                "nothing is lost if the other one continues; otherwise start the training again",
            )

    def _keep_beating(self) -> None:
        while not self._ended.wait(_BEAT_SECONDS):
            with suppress(OSError):
                os.utime(self.path)


def _beat(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
