"""Read mutated files, each in a forked process with limits: nothing may fail in a way that was not foreseen.

    python -m tests.reliability.fuzz --inputs 20000 --seed 1 --output fuzz.json

Every reader of text, samples and sheets (``fuzz_text``), of binary files and configurations (``fuzz_binary``) gets the
same number of inputs. What becomes of an input is: ``equal`` to the good file; ``refused`` with an `InputError` that
names the file; ``other``: a good file of other content, as far as anyone can see; ``noted``: likewise, with a note that
says what is odd. All else is a failure, and the exit code 1: ``changed`` (numbers differ, and it could have been seen),
``unclear`` (the message does not name the file), ``unforeseen`` (another exception), ``hang``, ``memory``,
``signal``. ``--only NAME:NUMBER`` repeats one input of a seed and shows its traceback.
"""

import argparse
import json
import logging
import os
import random
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from methmix.errors import InputError

from . import fuzz_binary, fuzz_text
from .mutations import Mutant, Target, mutate

logger = logging.getLogger("methmix")

# Of processor time, and of address space beyond what is in use before.
SECONDS, BYTES = 10.0, 2 * 2**30
FINE = ("equal", "refused", "noted", "other")
FAILURES = ("changed", "unclear", "unforeseen", "hang", "memory", "signal")
_PER_CHILD = 200


class Outcome(NamedTuple):
    """What became of one input; ``message`` is the error's, if there was one."""

    target: str
    number: int
    kind: str
    what: str = ""
    message: str = ""


def targets(names: Sequence[str] = ()) -> list[Target]:
    """Collect the targets of text and of binary files; ``names`` choose some."""
    found = [Target(*target) for target in (*fuzz_text.TARGETS, *fuzz_binary.TARGETS)]
    return [target for target in found if not names or any(name in target.name for name in names)]


def same(one: Any, other: Any) -> bool:
    """Whether two contents are equal, NaN being NaN."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        one, other = np.asarray(one), np.asarray(other)
        return one.shape == other.shape and one.dtype == other.dtype and bool(
            np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")
        )  # fmt: skip
    return bool(one == other) or (one != one and other != other)


def judged(target: Target, mutant: Mutant, good: Any, found: Any, warnings: Sequence[str] = ()) -> str:
    """Say whether what was read of a mutant is right, or as right as can be seen."""
    if same(good, found):
        return "equal"
    is_text = target.per_line is not None or _is_text(mutant.content)
    if target.per_line is None:
        return "other" if is_text else "changed"
    if not isinstance(found, dict) or mutant.lines is None:
        return "other"
    if warnings or found.get("notes") != good.get("notes"):
        return "noted"
    changed = sum(key not in good or not same(value, good[key]) for key, value in found.items())
    lost = len(good.keys() - found.keys())
    allowed = mutant.lines * target.per_line
    # A line of some that make up a cell may be lost with the others behind it.
    within = changed <= (allowed or target.per_line if mutant.lost else allowed)
    return "other" if within and (mutant.lost or lost <= allowed) else "changed"


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


def mutant_of(target: Target, content: bytes, seed: int, number: int) -> Mutant:
    """Make one input; it depends on nothing else."""
    return mutate(content, random.Random(f"{seed} {zlib.crc32(target.name.encode())} {number}"))


def attempt(target: Target, mutant: Mutant, good: Any, folder: Path) -> tuple[str, str]:
    """Read a mutant; gives kind and message."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        path = Path(own) / target.name
        path.write_bytes(mutant.content)
        said = _Said()
        logger.addHandler(said)
        try:
            return judged(target, mutant, good, target.read(path), said.messages), ""
        except InputError as error:
            # Of an index, the file that it belongs to may be named.
            named = path.name.removesuffix(".tbi") in str(error)
            return ("refused" if named else "unclear"), str(error)
        except MemoryError:
            return "memory", traceback.format_exc()
        except BaseException:
            return "unforeseen", traceback.format_exc()
        finally:
            logger.removeHandler(said)


class _Said(logging.Handler):
    """What a reader warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def fuzzed(target: Target, n: int, seed: int, folder: Path) -> Iterator[Outcome]:
    """Read so many mutants of a target."""
    path = folder / target.name
    target.write_good(path)
    content = path.read_bytes()
    good = target.read(path)
    number = 0
    while number < n:
        for outcome in _in_child(target, content, good, range(number, min(number + _PER_CHILD, n)), seed, folder):
            number = outcome.number + 1
            yield outcome


def _in_child(
    target: Target, content: bytes, good: Any, numbers: range, seed: int, folder: Path
) -> Iterator[Outcome]:  # fmt: skip
    """Read mutants in a child; if it hangs or dies, that is the outcome of the one that it was at, and the last."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            _limit()
            with os.fdopen(writing, "w") as answers:
                for number in numbers:
                    kind, message = attempt(target, mutant_of(target, content, seed, number), good, folder)
                    answers.write(json.dumps([kind, message]) + "\n")
                    answers.flush()
        finally:
            os._exit(0)
    os.close(writing)
    ended, expected = "", list(numbers)
    with os.fdopen(reading, "rb", buffering=0) as answers:
        waiting = b""
        while expected:
            ready = _answered(child, answers)
            some = answers.read(2**16) if ready else b""
            if not some:
                ended = "signal" if ready else "hang"
                break
            *lines, waiting = (waiting + some).split(b"\n")
            for line in lines:
                number = expected.pop(0)
                kind, message = json.loads(line)
                yield Outcome(target.name, number, kind, _what(target, content, seed, number, kind), message)
    if ended == "hang":
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if ended:
        message = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"status {status}"
        yield Outcome(
            target.name, expected[0], ended, _what(target, content, seed, expected[0], ended), message
        )  # fmt: skip


def _answered(child: int, answers: Any) -> bool:
    """Wait for an answer; False after `SECONDS` of the child's own time, or six times as long on a busy machine."""
    started, used = time.monotonic(), _cpu_seconds(child)
    while time.monotonic() - started < 6 * SECONDS and _cpu_seconds(child) - used < SECONDS:
        if select.select([answers], [], [], SECONDS / 10)[0]:
            return True
    return False


def _cpu_seconds(child: int) -> float:
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _what(target: Target, content: bytes, seed: int, number: int, kind: str) -> str:
    return mutant_of(target, content, seed, number).what if kind in FAILURES else ""


def _limit() -> None:
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + BYTES, in_use + BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Libraries in C write there.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def report(outcomes: Sequence[Outcome], seed: int, seconds: float) -> dict[str, Any]:
    """Collect outcomes by target, and all failures."""
    counts: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        counts.setdefault(outcome.target, Counter())[outcome.kind] += 1
    return {
        "seed": seed,
        "inputs": len(outcomes),
        "seconds": round(seconds, 1),
        "outcomes": dict(Counter(outcome.kind for outcome in outcomes)),
        "targets": {name: dict(sorted(kinds.items())) for name, kinds in counts.items()},
        "failures": [outcome._asdict() for outcome in outcomes if outcome.kind in FAILURES],
    }


def in_words(found: dict[str, Any]) -> str:
    """Write a report as a table."""
    kinds = [kind for kind in (*FINE, *FAILURES) if kind in found["outcomes"]]
    lines = [f"{'':28}" + "".join(f"{kind:>12}" for kind in kinds)]
    rows = {**found["targets"], "all": found["outcomes"]}
    lines += [f"{name:28}" + "".join(f"{row.get(kind, 0):12}" for kind in kinds) for name, row in rows.items()]
    for failure in found["failures"][:50]:
        last = (failure["message"].strip().splitlines() or [""])[-1]
        lines.append(
            f"{failure['kind']}: --only {failure['target']}:{failure['number']}: {failure['what'][:80]}: {last[:150]}"
        )
    lines.append(f"{found['inputs']} inputs of seed {found['seed']} in {found['seconds']} s")
    return "\n".join(lines) + "\n"


def fuzz(chosen: Sequence[Target], inputs: int, seed: int) -> dict[str, Any]:
    """Fuzz targets with so many inputs in all; gives the report."""
    started, outcomes = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="methmix.fuzz.") as folder:
        for place, target in enumerate(chosen):
            n = inputs // len(chosen) + (place < inputs % len(chosen))
            outcomes += list(fuzzed(target, n, seed, Path(folder)))
    return report(outcomes, seed, time.monotonic() - started)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--inputs", type=int, default=20_000, help="number of inputs over all targets")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--targets", nargs="*", default=[], metavar="NAME", help="only targets whose name has this")
    arguments.add_argument("--only", metavar="NAME:NUMBER", help="repeat one input, and show what happens")
    arguments.add_argument("--output", type=Path, help="JSON of the outcomes")
    options = arguments.parse_args(argv)
    if options.only:
        name, number = options.only.rsplit(":", 1)
        (target,) = (target for target in targets() if target.name == name)
        return _repeat(target, options.seed, int(number))
    found = fuzz(targets(options.targets), options.inputs, options.seed)
    sys.stdout.write(in_words(found))
    if options.output:
        options.output.write_text(json.dumps(found, indent=1) + "\n")
    return int(bool(found["failures"]))


def _repeat(target: Target, seed: int, number: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix="methmix.fuzz."))
    path = folder / target.name
    target.write_good(path)
    content, good = path.read_bytes(), target.read(path)
    mutant = mutant_of(target, content, seed, number)
    (folder / "mutant").write_bytes(mutant.content)
    kind, message = attempt(target, mutant, good, folder)
    sys.stdout.write(f"{mutant.what}: {kind}\n{message}\n{folder / 'mutant'}\n")
    return int(kind in FAILURES)


if __name__ == "__main__":
    sys.exit(main())
