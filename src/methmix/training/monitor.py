"""What a training reports: a CSV log and TensorBoard, one row per epoch."""

import csv
import io
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from methmix.files.atomic import write_text
from methmix.models.losses import LOSSES, TOTAL

_BOTH = (*(name for name in LOSSES if name != TOTAL), "presence_accuracy", TOTAL)
_VALIDATION = ("mae", "predicted_tissues", "spurious_per_mixture")
TAGS = (
    "train/learning_rate",
    *(f"train/{name}" for name in _BOTH),
    *(f"val/{name}" for name in (*_BOTH, *_VALIDATION)),
)
COLUMNS = ("epoch", "step", *TAGS, "seconds", "slurm_job_id", "node")


class Monitor:
    """Writes ``training_log.csv`` and TensorBoard events to the run's ``logs`` folder.

    ``history`` has the epochs that an earlier, interrupted process has finished.
    """

    def __init__(self, folder: Path, history: list[dict[str, Any]]) -> None:
        self._csv = folder / "training_log.csv"
        # What an interrupted process wrote after its last checkpoint is overwritten, not shown twice.
        self._tensorboard = SummaryWriter(str(folder / "tensorboard"), purge_step=len(history) + 1)

    def epoch(self, history: list[dict[str, Any]]) -> None:
        """Report the last row of ``history``; the CSV is written anew, so it is always whole."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_text(self._csv, text.getvalue())
        for tag in TAGS:
            self._tensorboard.add_scalar(tag, history[-1][tag], history[-1]["epoch"])
        self._tensorboard.flush()

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *_: object) -> None:
        """Finish the TensorBoard file."""
        self._tensorboard.close()
