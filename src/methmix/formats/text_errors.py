"""Messages for files that cannot be read as text."""

import gzip
import zlib
from pathlib import Path

import pandas as pd

from methmix.errors import InputError

# What is raised for a file that is missing, empty, ragged, binary, or compressed and damaged.
UNREADABLE = (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeError, EOFError, OSError, zlib.error)
CORRECT = "correct the line, or make the file again"


def no_file(path: Path) -> InputError:
    """Make the message for what is no file."""
    if path.is_dir():
        return InputError(f"{path}: is a folder; expected a file", "name the file in it, or a pattern such as folder/*")
    if path.exists():
        return InputError(f"{path}: is no regular file", "copy what it gives to a file, or pipe it to --samples -")
    return InputError(f"{path}: there is no such file", "paths are relative to the working directory")


def empty(path: Path) -> InputError:
    """Make the message for a file without content."""
    return InputError(f"{path}: is empty", "was it written to its end? copy or make it again")


def unreadable(path: Path, error: Exception) -> InputError:
    """Make the message for a file that cannot be read to its end (`UNREADABLE`)."""
    if isinstance(error, FileNotFoundError):
        return no_file(path)
    if isinstance(error, UnicodeError):
        return InputError(f"{path}: is no text in UTF-8 ({error})", "save it as UTF-8, for example by iconv -t UTF-8")
    if isinstance(error, pd.errors.EmptyDataError):
        return empty(path)
    if isinstance(error, EOFError | zlib.error | gzip.BadGzipFile):
        return InputError(f"{path}: is a damaged or truncated gzip file ({error})", "copy it again")
    return InputError(f"{path}: is not a readable table ({error})", CORRECT)
