"""When the state of a training is saved, and in which order."""

import math
import time
from pathlib import Path

from methmix.training.checkpoint import save_checkpoint
from methmix.training.lock import RunLock
from methmix.training.run_folder import best_checkpoint, last_checkpoint
from methmix.training.state import Checkpoint

# The state of a large model takes longer to write than a GPU needs for an epoch.
_SECONDS_BETWEEN_SAVES = 60.0


class Saves:
    """Writes the checkpoints of a run folder, as long as its lock is held."""

    def __init__(self, folder: Path, lock: RunLock) -> None:
        self.last, self.best = last_checkpoint(folder), best_checkpoint(folder)
        self._lock = lock
        self._unsaved_best: Checkpoint | None = None
        self._saved = -math.inf

    @property
    def are_due(self) -> bool:
        """Whether the state was last saved so long ago that it is worth the time."""
        return time.monotonic() - self._saved >= _SECONDS_BETWEEN_SAVES

    def keep_best(self, best: Checkpoint) -> None:
        """Keep the model of the best epoch so far, to be written with the state."""
        self._unsaved_best = best

    def write_best(self) -> None:
        """Write the model of the best epoch, if it is not yet."""
        if self._unsaved_best:
            self._write(self.best, self._unsaved_best)
            self._unsaved_best = None

    def write_state(self, state: Checkpoint) -> None:
        """Write what the training resumes from; last, so that one that is stopped before is not taken for finished."""
        self.write_best()
        self._write(self.last, state)
        self._saved = time.monotonic()

    def _write(self, path: Path, checkpoint: Checkpoint) -> None:
        self._lock.check()
        save_checkpoint(path, checkpoint)
