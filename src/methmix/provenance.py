"""Where a result comes from: versions, commit, code and inputs."""

import functools
import hashlib
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import methmix
from methmix.closure import import_closure

PACKAGE = Path(methmix.__file__).parent
_PACKAGES = ("numpy", "pandas", "scipy", "scikit-learn", "h5py", "torch")


def versions() -> dict[str, str]:
    """Name the versions that can change a result."""
    packages = {name: version(name) for name in _PACKAGES}
    return {"methmix": methmix.__version__, "python": platform.python_version(), **packages}


@functools.cache
def commit() -> str:
    """Name the git commit of the source tree, with ``-dirty`` if it was changed; ``unknown`` outside git."""
    try:
        describe = ["git", "-C", str(PACKAGE), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        return subprocess.run(describe, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def source_digest(entry: str, command: str = "", package: Path = PACKAGE) -> str:
    """Digest the code that ``python -m <entry> [<command>]`` runs, as `import_closure` collects it.

    Where it changes (16 hexadecimal digits), Snakemake runs a rule again and a training begins anew.
    """
    made = hashlib.sha256()
    for name, content in sorted(import_closure(entry, command, package).items()):
        made.update(f"{name} {len(content)} ".encode() + content)
    return made.hexdigest()[:16]


def sha256(path: Path) -> str:
    """Compute the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_measurement(experiment: str, seed: int, reference_digest: str) -> dict[str, Any]:
    """Record what a measurement rests on: the experiment by name, its seed and reference, and the software."""
    software = {"commit": commit(), "versions": versions()}
    return {"experiment": experiment, "seed": seed, **software, "reference_digest": reference_digest}
