"""Samples are read by predictions: their tests have the same fixtures."""

from unit.prediction.conftest import checkpoint, command, counts, plasma, reference

__all__ = ["checkpoint", "command", "counts", "plasma", "reference"]
