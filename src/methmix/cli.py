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

LOG_FORMAT, DATE_FORMAT = "%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"
# In a log file a line now and then replaces the bar.
SECONDS_BETWEEN_PROGRESS_LINES = 20.0


def parser(module: str, description: str) -> argparse.ArgumentParser:
    """Make the argument parser of ``python -m <module>`` with the options that all commands share."""
    made = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_common_options(made)
    return made


def subcommands(to: argparse.ArgumentParser, descriptions: Mapping[str, str]) -> dict[str, argparse.ArgumentParser]:
    """Add subcommands, one of which must be given; it is ``options.command``.

    Parameters
    ----------
    to
        Parser of the command.
    descriptions
        Name of a subcommand -> what it does.

    Returns
    -------
    dict
        Name -> parser, with the options that all commands share, before and after the subcommand alike.
    """
    commands = to.add_subparsers(dest="command", required=True, metavar="COMMAND")
    made = {}
    for name, description in descriptions.items():
        made[name] = commands.add_parser(
            name,
            help=description,
            description=description,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
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

    Returns
    -------
    int
        0, or 2 for wrong usage, configuration or input, or 1 for a failure while running. ``body`` may
        return a code of its own.
    """
    options = arguments.parse_args(argv)
    keep_freed_memory()
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format=LOG_FORMAT,
        datefmt=DATE_FORMAT,
        stream=sys.stderr,
        force=True,
    )
    # matplotlib, h5py and others talk a lot at the debug level; only our own messages are wanted.
    for other in ("matplotlib", "h5py", "PIL", "tensorboard"):
        logging.getLogger(other).setLevel(logging.WARNING)
    try:
        return body(options) or 0
    except MethmixError as error:
        return _fail(options, error, error.exit_code, str(error))
    except PermissionError as error:
        return _fail(
            options,
            error,
            2,
            f"{error.filename}: permission denied\n  make the directory writable or choose another one",
        )
    except (MemoryError, OSError) as error:
        return _fail(options, error, 1, f"{type(error).__name__}: {error}")
    except KeyboardInterrupt as error:
        return _fail(options, error, 130, "interrupted")
    except Exception as error:  # what nobody foresaw: one line, and how to see more
        first_line = (str(error).splitlines() or [""])[0]
        return _fail(options, error, 1, f"{type(error).__name__}: {first_line}\n  --verbose shows where it happened")


def _fail(options: argparse.Namespace, error: BaseException, code: int, message: str) -> int:
    if options.verbose:
        logger.error("traceback follows", exc_info=error)
    sys.stderr.write(f"error: {message}\n")
    return code


def progress(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """Yield ``items`` and show how far it is: a bar on a terminal, a line now and then in a log."""
    if sys.stderr.isatty():
        yield from tqdm(items, desc=what, total=total, leave=False)
        return
    started = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_PROGRESS_LINES and done < total:
            last = now
            logger.info("%s: %d of %d (%.0f s)", what, done, total, now - started)
