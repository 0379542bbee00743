"""Where a result comes from: versions, commit, inputs, machine, time and memory."""

import functools
import hashlib
import platform
import resource
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import methmix

_PACKAGES = ("numpy", "pandas", "scipy", "scikit-learn", "h5py", "torch")


def versions() -> dict[str, str]:
    """Name the versions that can change a result: methmix, Python and the numerical packages."""
    return {
        "methmix": methmix.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }


@functools.cache
def commit() -> str:
    """Name the git commit of the source tree, with ``-dirty`` if it was changed; ``unknown`` outside git."""
    here = Path(methmix.__file__).parent
    try:
        found = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip()


def source_digest(*packages: str) -> str:
    """Digest the code of some of our packages and of the modules that all share: other code, other results.

    Parameters
    ----------
    *packages
        Names below ``methmix``, for example ``"models"``.

    Raises
    ------
    FileNotFoundError
        There is no such package.
    """
    here = Path(methmix.__file__).parent
    for name in packages:
        if not (here / name).is_dir():
            raise FileNotFoundError(f"methmix has no package {name}")
    paths = sorted([*here.glob("*.py"), *(path for name in packages for path in (here / name).rglob("*"))])
    content = b"".join(path.read_bytes() for path in paths if path.suffix in {".py", ".json", ".html"})
    return hashlib.sha256(content).hexdigest()[:16]


def sha256(path: Path) -> str:
    """Compute the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def peak_memory_mb() -> float:
    """Tell the largest resident memory that this process has had, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
