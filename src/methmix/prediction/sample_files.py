"""Which files a prediction is asked for: names, patterns, and standard input."""

import glob
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from methmix.errors import InputError

STANDARD_INPUT = Path("-")


def sample_files(asked: Iterable[Path], folder: Path) -> list[Path]:
    """List the files, each once: patterns (``*``, ``?``, ``[]``, ``**``) that the shell left, and ``-``.

    Standard input is copied to ``folder``, as its format is seen in its content; its sample is called ``stdin``.
    """
    found: list[Path] = []
    for file in asked:
        if file == STANDARD_INPUT:
            found.append(folder / "stdin")
            if not found[-1].exists():
                with found[-1].open("wb") as copy:
                    shutil.copyfileobj(sys.stdin.buffer, copy)
        elif glob.has_magic(str(file)) and not file.exists():
            matching = sorted(Path(name) for name in glob.glob(str(file), recursive=True) if Path(name).is_file())  # noqa: PTH207
            if not matching:
                raise InputError(f"--samples: no file matches {file}", "patterns are relative to the working directory")
            found += matching
        else:
            found.append(file)
    return list(dict.fromkeys(found))
