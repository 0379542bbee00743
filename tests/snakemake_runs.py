"""Snakemake in processes that are forked from one that has loaded it, which takes longer than a dry run."""

import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

_SECONDS = 900


class Done(subprocess.CompletedProcess[str]):
    """How a run has ended; ``cpu_seconds`` are those of Snakemake and of its jobs that are not forked elsewhere."""

    cpu_seconds: float


def run(folder: Path, arguments: tuple[str, ...], environment: Mapping[str, str]) -> Done:
    """Run Snakemake in a folder with the Python of the tests, and further environment."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environment}
    with tempfile.TemporaryDirectory() as kept:
        process = _context().Process(target=_snakemake, args=(folder, arguments, environment, Path(kept)))
        process.start()
        process.join(_SECONDS)
        if process.exitcode is None:
            process.terminate()
            process.join()
            raise subprocess.TimeoutExpired(["snakemake", *arguments], _SECONDS)
        out, error, seconds = ((Path(kept) / name).read_text() for name in ("stdout", "stderr", "seconds"))
    done = Done(["snakemake", *arguments], process.exitcode, out, error)
    done.cpu_seconds = json.loads(seconds)
    return done


@cache
def _context() -> ForkServerContext:
    """Start the process to fork from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["snakemake_loaded"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        forkserver.ensure_running()
    return context


def _snakemake(folder: Path, arguments: tuple[str, ...], environment: dict[str, str], kept: Path) -> None:
    """Be ``python -m snakemake``."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        with (kept / name).open("wb") as file:
            os.dup2(file.fileno(), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["snakemake", *arguments]
    from snakemake.cli import main

    try:
        main(list(arguments))
    finally:
        used = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        (kept / "seconds").write_text(json.dumps(sum(of.ru_utime + of.ru_stime for of in used)))
