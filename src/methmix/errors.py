"""The two kinds of failure of a command, and what the operating system may refuse though all input is right."""

import errno
import re
from collections.abc import Iterator

# Number of the error -> what to do.
REMEDIES = {
    errno.ENOSPC: "free some space there, or write elsewhere, and start the same command again",
    errno.EDQUOT: "free some of your quota there, or write elsewhere, and start the same command again",
    errno.EROFS: "write elsewhere: this file system is mounted read-only",
    errno.EIO: "the disk has failed; write elsewhere, and start the same command again",
    errno.EMFILE: "raise the limit of open files (ulimit -n), and start the same command again",
    errno.ENFILE: "the machine has too many files open; start the same command again later",
}


class MethmixError(Exception):
    """An error that the user sees as one message, without a traceback.

    ``message`` says what is wrong, where (file, key, row), and what was expected; ``hint`` what to do about it.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n  {hint}" if hint else message)


class InputError(MethmixError):
    """Wrong usage, configuration or input file; exit code 2."""

    exit_code = 2


class RunError(MethmixError):
    """A failure while running (disk, memory, diverged training); exit code 1."""


def first_line(error: BaseException) -> str:
    """Give the first line of an error of a library, which may have many; its type where it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def refused(error: BaseException) -> int | None:
    """Find the number of the operating system's error, one of `REMEDIES`, that another one comes from."""
    return next((number for cause in _causes(error) if (number := _number(cause)) in REMEDIES), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _number(error: BaseException) -> int | None:
    """Read the number; HDF5 states it in its text."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    stated = re.search(r"errno = (\d+)", str(error))
    return int(stated[1]) if stated else None
