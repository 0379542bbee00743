"""The files that stages hand to each other: one writer and one reader each, both validating."""

from methmix.files.atomic import atomic_path, create_text, write_csv, write_text
from methmix.files.mixtures import Mixtures, MixturesWriter, mixture_ids, open_mixtures, read_mixtures
from methmix.files.reference import Reference, read_reference, write_reference

__all__ = [
    "Mixtures",
    "MixturesWriter",
    "Reference",
    "atomic_path",
    "create_text",
    "mixture_ids",
    "open_mixtures",
    "read_mixtures",
    "read_reference",
    "write_csv",
    "write_reference",
    "write_text",
]
