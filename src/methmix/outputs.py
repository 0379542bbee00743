"""Outputs of a command, looked at before anything is computed: that they can be written, and are none of its inputs."""

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from methmix.errors import InputError


def check_output(path: Path, is_file: bool, files: Sequence[str] = ()) -> None:
    """Make sure that a file, or ``files`` of a folder, can be written."""
    for name in (path,) if is_file else (path / name for name in files):
        refuse_folder(name)
    folder = path.parent if is_file else path
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(f"{folder}: cannot write here (it is a file, expected a folder)", "give another name")
    if not os.access(folder, os.W_OK | os.X_OK):
        remedy = "make it writable, or write elsewhere"
        raise InputError(f"{folder}: cannot write here (no permission, or mounted read-only)", remedy)


def refuse_folder(path: Path) -> None:
    """Refuse a folder where a file is to be written."""
    if path.is_dir():
        raise InputError(
            f"{path}: is a folder, expected the name of a file to write", "give another name, or remove the folder"
        )


def keep_inputs(options: argparse.Namespace, outputs: Iterable[Path], further: Iterable[Path] = ()) -> None:
    """Refuse an output that is an input by whatever name: a ``further`` one, or one that another option names."""
    given = [value for name, value in vars(options).items() if name != "output"]
    named = [item for value in given for item in (value if isinstance(value, list) else [value])]
    inputs = [*(Path(item) for item in named if isinstance(item, str | Path)), *further]
    by_place = {path.resolve(): path for path in inputs}
    for output in outputs:
        if output.is_file() and (same := by_place.get(output.resolve())):
            raise InputError(
                f"{output}: is an input ({same}) and would be overwritten", "give the output another name or folder"
            )
