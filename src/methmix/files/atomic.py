"""The one place where files are written: whole or not at all, even if the machine loses its power.

A file is written beside its final name as ``.<name>.<host>.<process>.<...>.part``, brought to the disk, and renamed.
Its name says whose it is, so that the next command that writes to the folder can remove what killed ones have left.
"""

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from time import time
from typing import NoReturn

import pandas as pd

from methmix.errors import REMEDIES, InputError, MethmixError, RunError, refused
from methmix.files.owner import Owner, is_gone, this_process
from methmix.outputs import refuse_folder

# A name has room for 255 bytes; the beginning of a long one is enough to recognise it.
_LETTERS = 40
_PART = re.compile(
    r"\..*\.(?P<host>[^.]+)\.(?P<process>\d+)\.(?P<started>\d+)\.(?P<job>[^.-]*)-(?P<restarts>\d+)\.[^.]+\.part"
)
# Longer than a job may last: after this time, what cannot be seen from here is taken for left.
_LEFT_SECONDS = 14 * 86400.0
# Folders that a process has swept; one that is forked has another number.
_swept: set[tuple[int, Path]] = set()
# Files of `all_or_none`: temporary -> final.
_waiting: ContextVar[dict[Path, Path] | None] = ContextVar("waiting", default=None)


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Give a temporary path beside ``final``, renamed to it when the block ends well and removed otherwise.

    Nothing but the writing belongs into the block: its failures are reported as those of this file.
    """
    with _beside(final) as temporary:
        with _explained(final):
            yield temporary
            _to_disk(temporary)
        waiting = _waiting.get()
        if waiting is None:
            _publish({temporary: final})
        else:
            waiting[temporary] = final


@contextmanager
def all_or_none() -> Iterator[None]:
    """Give the files that the block writes their names only when all are whole: of a failure, none is there.

    What it writes cannot be read back within the block.
    """
    if _waiting.get() is not None:
        yield
        return
    waiting: dict[Path, Path] = {}
    token = _waiting.set(waiting)
    try:
        yield
        _publish(waiting)
    finally:
        _waiting.reset(token)
        for temporary in waiting:
            temporary.unlink(missing_ok=True)


def write_text(final: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(final) as temporary:
        temporary.write_text(text)


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table, without its index, atomically."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def create_text(final: Path, text: str) -> bool:
    """Write a text file atomically unless it exists; return whether. One of several processes succeeds, even on NFS."""
    with _beside(final) as temporary, _explained(final):
        temporary.write_text(text)
        _to_disk(temporary)
        try:
            os.link(temporary, final)
        except FileExistsError:
            return False
    return True


@contextmanager
def _beside(final: Path) -> Iterator[Path]:
    """Give an empty file in the folder of ``final``, removed in the end if it has its name and waits for no other."""
    refuse_folder(final)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _sweep(final.parent.resolve())
        prefix = f".{final.name[:_LETTERS]}.{_mark(_me(os.getpid()))}."
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=".part", dir=final.parent)
    except OSError as error:
        _raise(final, error)
    os.close(handle)
    temporary = Path(name)
    try:
        # mkstemp makes files that only the owner can read; give back what the umask would have given.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        yield temporary
    finally:
        if temporary not in (_waiting.get() or ()):
            temporary.unlink(missing_ok=True)


@contextmanager
def _explained(final: Path) -> Iterator[None]:
    """Report a failure of the disk in the block, which libraries wrap in errors of their own."""
    try:
        yield
    except MethmixError:
        raise
    except Exception as error:
        if number := refused(error):
            _raise(final, OSError(number, os.strerror(number)))
        raise


def _raise(final: Path, error: OSError) -> NoReturn:
    remedy = REMEDIES.get(error.errno or 0)
    if remedy is None or error.errno == errno.EROFS:
        hint = remedy or "results are written below the working directory; make it writable or start elsewhere"
        raise InputError(f"{final.parent}: cannot write here ({error.strerror})", hint) from None
    what = f"{final}: cannot be written ({error.strerror}); what was there before is unchanged"
    raise RunError(what, remedy) from None


def _publish(waiting: dict[Path, Path]) -> None:
    """Give files their final names, one right after the other, and bring the names to the disk."""
    for temporary, final in waiting.items():
        with _explained(final):
            temporary.replace(final)
    for folder in {final.parent for final in waiting.values()}:
        # Not every file system knows it for folders.
        with suppress(OSError):
            _to_disk(folder)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(folder: Path) -> None:
    """Remove what commands that were killed have left in a folder; looked for once by each process."""
    if (os.getpid(), folder) not in _swept:
        _swept.add((os.getpid(), folder))
        for path in folder.glob(".*.part"):
            with suppress(OSError):
                if _is_left(path):
                    path.unlink()


def _is_left(path: Path) -> bool:
    found, gone = _PART.fullmatch(path.name), None
    if found:
        of, me = found.groupdict(), _me(os.getpid())
        host = me.host if of["host"] == _flat(me.host) else of["host"]
        owner = Owner("", host, int(of["process"]), float(of["started"]), of["job"], int(of["restarts"]), "")
        gone = is_gone(owner, me)
    return time() - path.stat().st_mtime > _LEFT_SECONDS if gone is None else gone


@cache
def _me(_process: int) -> Owner:
    return this_process()


def _mark(owner: Owner) -> str:
    return f"{_flat(owner.host)}.{owner.process}.{owner.process_started:.0f}.{owner.job_id}-{owner.restarts}"


def _flat(host: str) -> str:
    return host.replace(".", "_")
