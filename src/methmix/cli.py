"""What every command line of this package has in common: logging, progress, errors and exit codes."""

import argparse
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from methmix.errors import MethmixError
from methmix.memory import keep_freed_memory

Item = TypeVar("Item")

logger = logging.getLogger("methmix")

_FORMAT = argparse.ArgumentDefaultsHelpFormatter
LOG_FORMAT, DATE_FORMAT = "%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"
_SECONDS_BETWEEN_PROGRESS_LINES = 20.0


def parser(module: str, description: str) -> argparse.ArgumentParser:
    """Make the argument parser of ``python -m <module>`` with the options that all commands share."""
    made = argparse.ArgumentParser(prog=f"python -m {module}", description=description, formatter_class=_FORMAT)
    _add_common_options(made)
    return made


def subcommands(to: argparse.ArgumentParser, descriptions: Mapping[str, str]) -> dict[str, argparse.ArgumentParser]:
    """Add subcommands, by name, one of which must be given: ``options.command``.

    The options that all commands share may be given before or after it.
    """
    commands = to.add_subparsers(dest="command", required=True, metavar="COMMAND")
    made = {}
    for name, what in descriptions.items():
        made[name] = commands.add_parser(name, help=what, description=what, formatter_class=_FORMAT)
        # A default would overrule an option that stands before the subcommand.
        _add_common_options(made[name], default=argparse.SUPPRESS)
    return made


def _add_common_options(to: argparse.ArgumentParser, **default: Any) -> None:
    to.add_argument("--verbose", action="store_true", help="show debug messages, and tracebacks of errors", **default)


def config_option(to: argparse.ArgumentParser) -> None:
    """Add ``--config``, the experiment's configuration."""
    to.add_argument("--config", type=Path, required=True, help="the experiment, for example config/default.yaml")


def run(
    body: Callable[[argparse.Namespace], int | None],
    arguments: argparse.ArgumentParser,
    argv: Sequence[str] | None = None,
) -> int:
    """Parse the command line, run ``body`` and turn errors into a message and an exit code.

    The code is 0, 2 for wrong usage, configuration or input, 1 for a failure while running, or one that ``body`` gives.
    """
    options = arguments.parse_args(argv)
    keep_freed_memory()
    level = logging.DEBUG if options.verbose else logging.INFO
    logging.basicConfig(level=level, format=LOG_FORMAT, datefmt=DATE_FORMAT, stream=sys.stderr, force=True)
    # Their debug messages are not about a run.
    for other in ("matplotlib", "h5py", "PIL", "tensorboard"):
        logging.getLogger(other).setLevel(logging.WARNING)
    try:
        return body(options) or 0
    except (Exception, KeyboardInterrupt) as error:
        if options.verbose:
            logger.error("traceback follows", exc_info=error)
        code, message = _explained(error)
        sys.stderr.write(f"error: {message}\n")
        return code


def _explained(error: BaseException) -> tuple[int, str]:
    """Give the exit code and the message of an error."""
    match error:
        case MethmixError():
            return error.exit_code, str(error)
        case PermissionError():
            return 2, f"{error.filename}: permission denied\n  make the directory writable or choose another one"
        case MemoryError() | OSError():
            return 1, f"{type(error).__name__}: {error}"
        case KeyboardInterrupt():
            return 130, "interrupted"
    first_line = (str(error).splitlines() or [""])[0]
    # By name, as --help must not wait for torch.
    if type(error).__name__ == "OutOfMemoryError":
        what = ". ".join(first_line.split(". ")[:2]).rstrip(".")
        return 1, f"{what}\n  use a GPU with more free memory"
    return 1, f"{type(error).__name__}: {first_line}\n  --verbose shows where it happened"


def progress(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """Yield ``items`` and show progress: a bar on a terminal, a line now and then in a log."""
    if sys.stderr.isatty():
        yield from tqdm(items, desc=what, total=total, leave=False)
        return
    started = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_PROGRESS_LINES and done < total:
            last = now
            logger.info("%s: %d of %d (%.0f s)", what, done, total, now - started)
