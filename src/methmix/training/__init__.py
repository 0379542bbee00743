"""Training of an arm: batches, schedule, loop, checkpoint, monitor."""

from methmix.training.checkpoint import Checkpoint, load_checkpoint, load_model
from methmix.training.loop import Trainer

__all__ = ["Checkpoint", "Trainer", "load_checkpoint", "load_model"]
