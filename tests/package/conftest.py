"""The tools that a release is checked with, and the built package."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from experiments import ROOT

TOOLS = ROOT / ".venv-package" / "bin"


@pytest.fixture(scope="session")
def tool() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run one of the tools of envs/requirements-package.txt; the test skips where they are not installed."""

    def run(name: str, *arguments: str | Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
        if not (TOOLS / name).exists():
            pytest.skip(f"{name} is missing: make package installs it")
        command = [str(TOOLS / name), *map(str, arguments)]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)

    return run


@pytest.fixture(scope="session")
def built(tool, tmp_path_factory) -> Path:
    """Build the source distribution, and the wheel from it; gives their folder."""
    folder = tmp_path_factory.mktemp("dist")
    done = tool("python", "-m", "build", "--outdir", folder, ROOT)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder
