"""What every command line of this package has in common: logging, progress, errors and exit codes."""

import argparse
import errno
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from methmix.errors import REMEDIES, MethmixError, refused
from methmix.memory import keep_freed_memory, peak_memory_mb
from methmix.outputs import check_output, keep_inputs

Item = TypeVar("Item")

logger = logging.getLogger("methmix")

# What only some need: module -> the extra of pyproject.toml that installs it.
_EXTRAS = {
    "altair": "report",
    "optuna": "sweep",
    "pyBigWig": "bigwig",
    "pysam": "bam",
    "safetensors": "publish",
    "vl_convert": "report",
}
# How the last line of a log begins whose command has ended well.
FINISHED = "finished"
LOG_FORMAT, DATE_FORMAT = "%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"
_SECONDS_BETWEEN_PROGRESS_LINES = 30.0
# Read by torch, numpy and numba when they are imported.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
# What is done within this time needs no bar.
_SECONDS_WITHOUT_BAR = 1.0


class _Format(argparse.ArgumentDefaultsHelpFormatter):
    """Keep paragraphs of a description apart, and indented ones as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        paragraphs = text.strip().split("\n\n")
        return "\n\n".join(part if part.startswith("  ") else fill(part, width, indent) for part in paragraphs)


def parser(module: str, description: str) -> argparse.ArgumentParser:
    """Make the argument parser of ``python -m <module>`` with the options that all commands share."""
    made = argparse.ArgumentParser(prog=f"python -m {module}", description=description, formatter_class=_Format)
    _add_common_options(made)
    return made


def subcommands(to: argparse.ArgumentParser, descriptions: Mapping[str, str]) -> dict[str, argparse.ArgumentParser]:
    """Add subcommands, by name, one of which must be given: ``options.command``.

    The options that all commands share may be given before or after it.
    """
    commands = to.add_subparsers(dest="command", required=True, metavar="COMMAND")
    made = {}
    for name, what in descriptions.items():
        made[name] = commands.add_parser(name, help=what, description=what, formatter_class=_Format)
        # A default would overrule an option that stands before the subcommand.
        _add_common_options(made[name], default=argparse.SUPPRESS)
    return made


def _add_common_options(to: argparse.ArgumentParser, **default: Any) -> None:
    to.add_argument("--verbose", action="store_true", help="show debug messages, and tracebacks of errors", **default)


def config_option(to: argparse.ArgumentParser) -> None:
    """Add ``--config``, the experiment's configuration."""
    to.add_argument("--config", type=Path, required=True, help="the experiment, for example config/default.yaml")


def output_option(
    to: argparse.ArgumentParser, help: str, *, is_file: bool = False, files: Sequence[str] = (), **argument: Any
) -> None:
    """Add ``--output``: a file, or a folder with these ``files``. `run` checks first that they can be written."""
    to.add_argument("--output", type=Path, help=help, **{"required": True, **argument})
    to.set_defaults(written=(is_file, tuple(files)))


def run(
    body: Callable[[argparse.Namespace], int | None],
    arguments: argparse.ArgumentParser,
    argv: Sequence[str] | None = None,
) -> int:
    """Parse the command line, run ``body`` and turn errors into a message and an exit code.

    The code is 0, 2 for wrong usage, configuration or input, 1 for a failure while running, or one that ``body`` gives.

    Of a command that writes files the last line of the log is its time, its peak memory, and where the files are: its
    option ``output``, which ``body`` sets where it has a default. Without one, the result is on standard output.
    """
    options = arguments.parse_args(argv)
    started = time.monotonic()
    keep_freed_memory()
    limit_threads()
    level = logging.DEBUG if options.verbose else logging.INFO
    logging.basicConfig(level=level, format=LOG_FORMAT, datefmt=DATE_FORMAT, stream=sys.stderr, force=True)
    # Their debug messages are not about a run.
    for other in ("matplotlib", "h5py", "PIL", "tensorboard"):
        logging.getLogger(other).setLevel(logging.WARNING)
    try:
        if output := getattr(options, "output", None):
            if hasattr(options, "written"):
                check_output(output, *options.written)
            keep_inputs(options, [output])
        code = body(options) or 0
    except (Exception, KeyboardInterrupt) as error:
        if options.verbose:
            logger.error("traceback follows", exc_info=error)
        code, message = _explained(error)
        sys.stderr.write(f"error: {message}\n")
        return code
    if output := getattr(options, "output", None):
        outcome = f"ended with exit code {code}" if code else FINISHED
        spent = duration(time.monotonic() - started)
        logger.info("%s in %s, peak memory %s; output in %s", outcome, spent, _peak_memory(), output)
    return code


def limit_threads() -> None:
    """Keep libraries from starting more threads than this process has CPUs, of this machine or of its SLURM job.

    Threads that wait for each other on too few CPUs are many times slower than fewer threads.
    """
    granted = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    of_job = (os.environ.get(name, "") for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"))
    most = min(granted + [int(number) for number in of_job if number.isdecimal() and int(number) > 0])
    for name in _THREADS:
        asked = os.environ.get(name, "")
        if (int(asked) if asked.isdecimal() else os.cpu_count() or 1) > most:
            os.environ[name] = str(most)


def _peak_memory() -> str:
    own, of_children = peak_memory_mb(), peak_memory_mb(of_children=True)
    # A process that has just been started counts as large as the one that starts it.
    larger = f", of a child process {of_children:,.0f} MiB" if of_children > own else ""
    return f"{own:,.0f} MiB{larger}"


def _explained(error: BaseException) -> tuple[int, str]:
    """Give the exit code and the message of an error."""
    first_line = str(error).partition("\n")[0]
    words = f"{type(error).__name__}: {first_line}"
    match error:
        case MethmixError():
            return error.exit_code, str(error)
        case ModuleNotFoundError(name=str(name)) if name.split(".")[0] in _EXTRAS:
            extra = _EXTRAS[name.split(".")[0]]
            return 2, f"this needs {name}, which is not installed\n  pip install 'methmix[{extra}]'"
        case PermissionError():
            return 2, f"{error.filename}: permission denied\n  make the directory writable or choose another one"
        case OSError(errno=errno.ENAMETOOLONG):
            return 2, f"{str(error.filename)[:100]} ...: is too long for a file name\n  expected the path of a file"
        case MemoryError() | OSError():
            return 1, words if (number := refused(error)) is None else _of_system(error, number)
        case KeyboardInterrupt():
            return 130, "interrupted"
    # By name, as --help must not wait for torch.
    if type(error).__name__ == "OutOfMemoryError":
        what = ". ".join(first_line.split(". ")[:2]).rstrip(".")
        return 1, f"{what}\n  use a GPU with more free memory"
    return 1, f"{words}\n  --verbose shows where it happened"


def _of_system(error: BaseException, number: int) -> str:
    """Word an error that comes from this one of the operating system."""
    where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    try:
        where_else = f" (temporary files are in {tempfile.gettempdir()})"
    except OSError:  # without a file handle none can be tried
        where_else = ""
    return f"{where}{os.strerror(number)}{where_else}\n  {REMEDIES[number]}"


def progress(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """Yield ``items``, ``total`` of them, and show progress, rate and time left.

    On a terminal that is a bar, in a log a line at most every 30 seconds; of what is done at once, nothing.
    """
    if sys.stderr.isatty():
        # Messages are written above the bar.
        with logging_redirect_tqdm():
            yield from tqdm(items, what, total, leave=False, dynamic_ncols=True, delay=_SECONDS_WITHOUT_BAR)
        return
    started = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_PROGRESS_LINES and done < total:
            last = now
            each = (now - started) / done
            rate = f"{each:.3g} s each" if each > 1 else f"{1 / each:.3g} per second"
            logger.info("%s: %d of %d, %s, about %s left", what, done, total, rate, duration(each * (total - done)))


def duration(seconds: float) -> str:
    """Write a time in its two largest units, such as ``2 h 5 min``; below a minute in seconds.

    Examples
    --------
    >>> duration(59.6), duration(200), duration(90000)
    ('1 min 0 s', '3 min 20 s', '1 d 1 h')
    """
    left = round(seconds)
    for (larger, size), (smaller, part) in pairwise((("d", 86400), ("h", 3600), ("min", 60), ("s", 1))):
        if left >= size:
            return f"{left // size} {larger} {left % size // part} {smaller}"
    return f"{left} s" if seconds >= 1 else f"{seconds:.1f} s"
