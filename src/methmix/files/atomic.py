"""Nothing half-written under a final name."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from methmix.errors import InputError


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Give a temporary path beside ``final``, renamed to it when the block ends well and removed otherwise.

    Raises
    ------
    InputError
        The folder cannot be made or written to.
    """
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
        yield temporary
        # mkstemp makes files that only the owner can read; give back what the umask would have given.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(final: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(final) as temporary:
        temporary.write_text(text)
