"""Atomic writes: nothing half-written stays under a final name."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from methmix.errors import InputError


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Give a temporary path beside ``final``, renamed to it when the block ends well and removed otherwise."""
    with _beside(final) as temporary:
        yield temporary
        temporary.replace(final)


def write_text(final: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(final) as temporary:
        temporary.write_text(text)


def create_text(final: Path, text: str) -> bool:
    """Write a text file atomically unless it exists; return whether. One of several processes succeeds, even on NFS."""
    with _beside(final) as temporary:
        temporary.write_text(text)
        try:
            os.link(temporary, final)
        except FileExistsError:
            return False
    return True


@contextmanager
def _beside(final: Path) -> Iterator[Path]:
    """Give an empty file in the folder of ``final``, which is removed in the end if it still has its name."""
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{final.name}.", suffix=".part", dir=final.parent)
    except OSError as error:
        raise InputError(
            f"{final.parent}: cannot write here ({error.strerror})",
            "results are written below the working directory; make it writable or start elsewhere",
        ) from None
    os.close(handle)
    temporary = Path(name)
    try:
        # mkstemp makes files that only the owner can read; give back what the umask would have given.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table, without its index, atomically."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
