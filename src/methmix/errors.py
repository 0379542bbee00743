"""The two kinds of failure of a command."""


class MethmixError(Exception):
    """An error that the user sees as one message, without a traceback.

    ``message`` says what is wrong, where (file, key, row), and what was expected; ``hint`` what to do about it.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n  {hint}" if hint else message)


class InputError(MethmixError):
    """Wrong usage, configuration or input file; exit code 2."""

    exit_code = 2


class RunError(MethmixError):
    """A failure while running (disk, memory, diverged training); exit code 1."""
