"""What the tests of reliability share: commands that are run to their end, and the inputs of the stages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forked_commands import Server
from small_stages import make_inputs


@pytest.fixture(scope="session")
def run(server: Server) -> Callable[..., str]:
    """Run a command in a folder to its end, which must be a good one unless ``code`` says so; gives its output."""

    def run_in(folder: Path, *argv: str, code: int = 0, **more: Any) -> str:
        log = folder / "log.txt"
        ended = server.start(folder, *argv, log=log, **more).wait()
        text = log.read_text()
        log.unlink()
        assert ended == code, f"{' '.join(argv)} ended with {ended}:\n{text}"
        return text

    return run_in


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory, run: Callable[..., str]) -> Path:
    """Make what the stages read, once; nobody changes it."""
    folder = tmp_path_factory.mktemp("inputs")
    make_inputs(folder, lambda *argv: run(folder, *argv))
    return folder
