"""The page of all errors and warnings, as Markdown."""

import re
from collections.abc import Iterable
from importlib import import_module
from itertools import groupby
from pathlib import Path

from methmix.provenance import PACKAGE
from methmix.troubleshooting.messages import Message, messages

_INTRODUCTION = """\
# Troubleshooting

This page is made by `python -m methmix.troubleshooting > docs/troubleshooting.md`; a test keeps it up to date.

An error ends a command with exit code 2 (usage, configuration or input) or 1 (failure while running). It is one message
on standard error that says what is wrong and where (file, key, line), and below it what to do; `--verbose` shows where
in the code it was raised. `python -m methmix.status` shows which step of an experiment has failed, and the end of its
log. Values in a message are shown here as `<value>`.

"""
# What to do where a message does not say it, by exit code; without one, it is a warning.
_OTHERWISE = {
    "2": "Correct what the message names, at the place that it names.",
    "1": "Start the command again with `--verbose`, which shows where it happened.",
    "": "Nothing has failed; judge whether it matters for your data.",
}

# Symptom, what it means, what to do: first the usual ones, then those of every command.
_FIRST = (
    (
        "`No module named methmix` (cannot import the model)",
        "Python does not find the package: the environment is not active, or methmix is not installed in it.",
        "`source .venv/bin/activate` (`make environment` makes it), or `pip install .`. On SLURM, activate the "
        "environment in `slurm/environment.sh`.",
    ),
    (
        "`<file>, line <n>: missing key <key>` or `unknown key <key>` (missing keys in config)",
        "The configuration is of another arm, backbone or version, or a key is mistyped.",
        "`config/phase2_sparse.yaml` has every key of the sparse arm; `python -m methmix.config FILE` prints what a "
        "file stands for, with its base and all defaults.",
    ),
    (
        "`val/presence_accuracy` does not rise (presence accuracy stuck at 50 %)",
        "The presence head does not learn. Compare with calling every tissue absent (arm `all_absent` in the "
        "comparison): where 3 to 5 of 22 tissues are present, that is right for about 82 % of them, and 50 % is worse "
        "than no model.",
        "Raise `loss.presence_weight` to 2 or 5, and lower `loss.mse_weight` to 0.5.",
    ),
    (
        "`val/predicted_tissues` is below 2 (all predictions are 0 %)",
        "Too sparse. All proportions cannot be 0: they sum to 1, and the most probable tissue always has one.",
        "Lower `loss.sparsity_weight` to 0.001, or `model.presence_threshold` to 0.3, which needs no training.",
    ),
)
_EVERY_COMMAND = (
    (
        "`usage: ...`, then `the following arguments are required` or `invalid choice`",
        "The command line is wrong (exit code 2).",
        "`--help` lists the options.",
    ),
    (
        "`<path>: permission denied`",
        "The operating system does not let this user read or write there (exit code 2).",
        "Make the directory writable or choose another one.",
    ),
    (
        "`OSError: ...`, `MemoryError: ...`",
        "The disk is full or cannot be reached, or the memory does not suffice (exit code 1).",
        "Free space or memory; on SLURM ask for more (`mem_mb` in `slurm/config.yaml`). Start the command again.",
    ),
    (
        "`CUDA out of memory. ...`",
        "The memory of the GPU does not suffice, often because another process uses it (exit code 1).",
        "Use a GPU with more free memory, or lower `training.batch_size`.",
    ),
    ("`interrupted`", "Ctrl-C (exit code 130).", "A training resumes with the same command; others start anew."),
    (
        "`<error>: ...`, then `--verbose shows where it happened`",
        "An error that was not foreseen (exit code 1).",
        "Start the command again with `--verbose` and report what it shows.",
    ),
    (
        "A log ends without a message, and `python -m methmix.status` shows `failed` or `unknown`",
        "The process was killed: by SLURM (time or memory; see `logs/slurm/`), or by the kernel for want of memory.",
        "Give it more of either, and start the same command again; a training resumes.",
    ),
)


def troubleshooting_page(package: Path = PACKAGE) -> str:
    """Write the page of the messages of a package, by stage."""
    found = sorted(messages(package), key=lambda message: message.package)
    head: tuple[str, ...] = ("Symptom", "What it means", "What to do")
    parts = [_INTRODUCTION, "## First\n\n", _table(head, _FIRST)]
    parts += ["\n## Every command\n\n", _table(head, _EVERY_COMMAND)]
    head = ("Message", "Exit code", "What was being done", "What to do")
    for name, of_package in groupby(found, key=lambda message: message.package):
        docstring = import_module(f"methmix.{name}").__doc__ if name else "What several stages use."
        parts.append(f"\n## {name or 'shared'}\n\n{docstring}\n\n")
        parts.append(_table(head, [_row(message) for message in of_package]))
    return "".join(parts)


def _row(message: Message) -> tuple[str, ...]:
    remedy = _OTHERWISE[message.exit_code] if message.remedy in ("", "<remedy>", "<hint>") else _in_code(message.remedy)
    return f"`{message.text}`", message.exit_code or "warning", message.purpose.replace("``", "`"), remedy


def _in_code(remedy: str) -> str:
    """Keep placeholders of a remedy from being taken for HTML."""
    return re.sub(r"<[^<>]+>", lambda found: f"`{found[0]}`", remedy)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    cells = ([cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)
