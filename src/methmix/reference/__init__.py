"""The reference: donors of every tissue, simulated or read from files, divided into splits."""

from methmix.reference.build import build_reference

__all__ = ["build_reference"]
