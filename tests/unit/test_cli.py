import logging
import os
import re
from pathlib import Path

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


def test_help_keeps_paragraphs_and_indented_lines():
    text = cli.parser("methmix.test", "Draw\nit.\n\n  key  what\n      it does\n\nEnd.\n").format_help()
    assert "\n\nDraw it.\n\n  key  what\n      it does\n\nEnd.\n\n" in text


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


def test_a_name_that_is_too_long_for_a_file_is_wrong_input(capsys):
    assert cli.run(lambda _: open("n" * 300), cli.parser("methmix.test", "Test."), []) == 2  # noqa: PTH123, SIM115
    first, _ = capsys.readouterr().err.splitlines()
    assert first.startswith("error: nnn") and first.endswith("is too long for a file name") and len(first) < 150


def closing(capsys, body, *typed):
    """Run a command with an option ``--output``; gives exit code and the lines of its log."""
    arguments = cli.parser("methmix.test", "Test.")
    arguments.add_argument("--output", type=Path, help="where to")
    code = cli.run(body, arguments, typed)
    return code, capsys.readouterr().err.splitlines()


def test_the_last_line_of_a_command_is_its_time_its_memory_and_where_its_output_is(capsys):
    code, lines = closing(capsys, lambda _: None, "--output", "results/there")
    assert code == 0
    # Of a child too, where another test has started a larger one.
    memory = r"peak memory [\d,]+ MiB(, of a child process [\d,]+ MiB)?"
    assert re.search(rf" INFO finished in \d\.\d s, {memory}; output in results/there$", lines[-1])


def test_it_says_how_a_command_ended_that_gave_an_exit_code(capsys):
    code, lines = closing(capsys, lambda _: 75, "--output", "results/there")
    assert code == 75 and "INFO ended with exit code 75 in " in lines[-1] and lines[-1].endswith("results/there")


def test_a_default_that_the_body_decides_on_is_named(capsys):
    def body(options):
        options.output = Path("results/by/default")

    assert closing(capsys, body)[1][-1].endswith("output in results/by/default")


def test_there_is_no_such_line_where_the_result_is_on_standard_output_or_the_command_has_failed(capsys):
    assert closing(capsys, lambda _: None) == (0, [])

    def fail(_):
        raise OSError("disk full")

    assert closing(capsys, fail, "--output", "x") == (1, ["error: OSError: disk full"])


def test_a_larger_child_process_is_mentioned(monkeypatch):
    monkeypatch.setattr(cli, "peak_memory_mb", lambda of_children=False: 2000.0 if of_children else 1000.0)
    assert cli._peak_memory() == "1,000 MiB, of a child process 2,000 MiB"
    monkeypatch.setattr(cli, "peak_memory_mb", lambda of_children=False: 1000.0)
    assert cli._peak_memory() == "1,000 MiB"


class Clock:
    """Time that passes only when it is asked for."""

    def __init__(self, *seconds):
        self._seconds = iter(seconds)

    def monotonic(self):
        return next(self._seconds)


def test_progress_in_a_log_is_a_line_at_most_every_30_seconds_with_rate_and_time_left(monkeypatch, caplog):
    # At the start, and after each of the items.
    monkeypatch.setattr(cli, "time", Clock(0, 10, 29, 30, 45, 59, 61, 200))
    with caplog.at_level(logging.INFO, logger="methmix"):
        assert list(cli.progress("abcdefg", "letters", 7)) == list("abcdefg")
    assert caplog.messages == [
        "letters: 3 of 7, 10 s each, about 40 s left",
        "letters: 6 of 7, 10.2 s each, about 10 s left",
    ]


def test_a_quick_rate_is_per_second(monkeypatch, caplog):
    monkeypatch.setattr(cli, "time", Clock(0, *(10 * (n + 1) for n in range(40))))
    with caplog.at_level(logging.INFO, logger="methmix"):
        list(cli.progress(range(2), "steps", 1000))
    assert caplog.messages == []
    monkeypatch.setattr(cli, "time", Clock(0, *[0] * 99, 40))
    with caplog.at_level(logging.INFO, logger="methmix"):
        list(cli.progress(range(100), "steps", 18000))
    assert caplog.messages == ["steps: 100 of 18000, 2.5 per second, about 1 h 59 min left"]


def test_progress_on_a_terminal_is_a_bar_and_messages_do_not_break_it(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr(cli, "_SECONDS_WITHOUT_BAR", 0)
    logging.basicConfig(format="%(message)s", level=logging.INFO, force=True)
    for _ in cli.progress(range(3), "files", 3):
        logging.getLogger("methmix").info("a message")
    shown = capsys.readouterr().err
    assert "files:" in shown and "/3 [" in shown
    assert "\ra message" in shown.replace("\r\r", "\r") or "a message\n" in shown


@pytest.mark.parametrize(
    ("job", "asked", "expected"),
    [("", "16", "6"), ("", "3", "3"), ("4", "6", "4"), ("4", "1", "1"), ("64", "16", "6"), ("2", None, "2")],
)
def test_no_more_threads_than_the_job_got(monkeypatch, job, asked, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)))
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    environment = {"SLURM_CPUS_PER_TASK": job, **({"OMP_NUM_THREADS": asked} if asked else {})}
    monkeypatch.setattr("os.environ", environment)
    cli.limit_threads()
    assert environment["OMP_NUM_THREADS"] == expected


def test_threads_are_left_alone_where_there_are_cpus(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)))
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    monkeypatch.setattr("os.environ", {})
    cli.limit_threads()
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.44, "0.4 s"), (7, "7 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (90000, "1 d 1 h")],
)
def test_durations(seconds, words):
    assert cli.duration(seconds) == words
