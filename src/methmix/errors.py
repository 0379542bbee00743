"""The two kinds of failure of a command."""


class MethmixError(Exception):
    """Base of the errors that are shown to the user as one message, without a traceback.

    Parameters
    ----------
    message
        What was wrong, where (file, key, row) and what was expected.
    hint
        What the user can do about it.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n  {hint}" if hint else message)


class InputError(MethmixError):
    """Wrong usage, configuration or input file; exit code 2."""

    exit_code = 2


class RunError(MethmixError):
    """A failure while running (disk, memory, diverged training); exit code 1."""
