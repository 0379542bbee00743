"""A digest of a whole file behind its last byte: damage is found before any library interprets what is damaged.

Readers of HDF5 and of zip archives, such as checkpoints, ignore what follows. To edit a file in place drops the seal.
"""

from pathlib import Path

import xxhash

from methmix.errors import InputError

_MARK = b"\nmethmix xxh3-128 "
_LENGTH = len(_MARK) + 2 * 16 + 1
_BLOCK = 2**20


def seal(path: Path) -> None:
    """Append the digest of a file to it."""
    with path.open("ab") as file:
        file.write(_seal(_digest(path, path.stat().st_size)))


def check_seal(path: Path, remedy: str) -> bool:
    """Return whether a file has a seal; `InputError` if it has one that does not hold."""
    size = path.stat().st_size - _LENGTH
    if size < 0:
        return False
    with path.open("rb") as file:
        file.seek(size)
        found = file.read()
    if not found.startswith(_MARK):
        return False
    if found != _seal(_digest(path, size)):
        raise InputError(f"{path}: is damaged: its digest does not hold", remedy)
    return True


def _digest(path: Path, size: int) -> str:
    """Digest the first ``size`` bytes of a file."""
    made, block = xxhash.xxh3_128(), memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as file:
        while size > 0 and (n := file.readinto(block[: min(size, _BLOCK)])):
            made.update(block[:n])
            size -= n
    return made.hexdigest()


def _seal(digest: str) -> bytes:
    return _MARK + digest.encode() + b"\n"
