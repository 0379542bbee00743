import re

import pytest

from methmix import cli


@pytest.mark.parametrize(
    ("typed", "verbose"),
    [
        (["draw"], False),
        (["--verbose", "draw"], True),
        (["draw", "--verbose"], True),
        (["--verbose", "draw", "--verbose"], True),
    ],
)
def test_verbose_counts_before_and_after_a_subcommand(typed, verbose):
    arguments = cli.parser("methmix.test", "Test.")
    commands = cli.subcommands(arguments, {"draw": "Draw it.", "fetch": "Fetch it."})
    commands["draw"].add_argument("--size", type=int, default=3, help="how large")
    options = arguments.parse_args(typed)
    assert (options.command, options.size, options.verbose) == ("draw", 3, verbose)


def test_a_subcommand_must_be_given(capsys):
    arguments = cli.parser("methmix.test", "Test.")
    cli.subcommands(arguments, {"draw": "Draw it."})
    with pytest.raises(SystemExit) as ended:
        arguments.parse_args([])
    assert ended.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_all_subcommands_are_made_in_one_way_and_all_messages_go_to_one_logger(repository):
    for path in (repository / "src").rglob("*.py"):
        code = path.read_text()
        assert path.name == "cli.py" or "add_subparsers" not in code, path
        own = set(re.findall(r"logger = logging\.getLogger\((.*)\)", code))
        assert own <= {'"methmix"'}, path


class OutOfMemoryError(RuntimeError):
    """As torch names its own."""


def test_a_gpu_without_memory_ends_in_a_message_that_says_what_to_do(capsys):
    def body(_):
        raise OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which 1.00 GiB "
            "is free. Process 7 has 1 GiB memory in use."
        )

    assert cli.run(body, cli.parser("methmix.test", "Test."), []) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "error: CUDA out of memory. Tried to allocate 2.00 GiB"
    assert "more free memory" in second
