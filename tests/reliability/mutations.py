"""What happens to files on their way: bytes that flip, lines that are lost, fields that a program writes otherwise.

Each mutation states how much of the content it may change without anyone being able to see it: a digit that has become
another one is a right file; a line that ends in its middle, or a second header, is not.
"""

import gzip
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Target(NamedTuple):
    """What is fuzzed: a good file, by its name, and its reader.

    ``read`` gives something comparable. If that is a dict of cells, ``per_line`` is how many of them one line of the
    text, or one byte of a file that is no text, may change. None: another text may mean anything, but what is no text
    is the same or refused.
    """

    name: str
    write_good: Callable[[Path], Any]
    read: Callable[[Path], Any]
    per_line: int | None = None


class Mutant(NamedTuple):
    """A changed file: what was done, and what may differ: so many lines; ``lost``: any number of cells may be missing.

    ``lines`` None: anything may differ.
    """

    content: bytes
    what: str
    lines: int | None = 0
    lost: bool = False


# In place of a number: what is none, or none that counts, fractions and positions can be.
NO_NUMBERS = (
    *(
        "-5",
        "-0.5",
        "inf",
        "-inf",
        "Infinity",
        "0x1F",
        "0b11",
        "1_000",
        "\uff11\uff12",
        "\u0663",
        "",
        "x",
        "1 2",
        "--1",
    ),
    *("99999999999999999999", "9" * 400, "1e400", "1e99", "9223372036854775808", "1,000", "1.000.000", "12.5.1", "1/2"),
    *(
        "TRUE",
        "None",
        "null",
        "#N/A",
        "#REF!",
        "=1+1",
        "1\u00a0000",
        "\u00bd",
        "5%",
        "\ufffd",
        "\x00",
        "1\x00",
        "<5",
        "~3",
    ),
)
# What may be right: missing values, other ways to write a number, other numbers, other names.
OTHERS = (
    *("NA", "NaN", "nan", "0", "-0", "1", "7", "1e3", "1.0", "+5", "007", " 5", "5 ", "0.123456789012345678", "1e-400"),
    *(
        "4294967296",
        "2147483648",
        "16777217",
        "100000000",
        "chr1",
        "#",
        '"',
        "'",
        '""',
        '"5"',
        "\u00e9",
        "<script>",
        "../x",
    ),
    *("$(reboot)", "a\\b", "a\tb", "\u202e", "\U0001f9ec", "N" * 70_000),
)
_SEPARATORS = (" ", ",", ";", "|", "\t\t", "  ")
_LINES_END = ("\r\n", "\r", "\x0b", "\u2028", "\n\n", "\n\r")


def mutate(good: bytes, rng: random.Random) -> Mutant:
    """Change a good file at random."""
    if good.startswith(b"\x1f\x8b"):
        unpacked = gzip.decompress(good)
        if rng.random() < 0.5:
            return _damaged(good, rng)._replace(lines=0)
        if not _is_text(unpacked):
            # Whoever packs again what is no text, with new check sums, has changed it on purpose: it must not crash.
            return Mutant(gzip.compress(_damaged(unpacked, rng).content), "packed again after damage", None)
        changed = mutate(unpacked, rng)
        return changed._replace(content=_pack(changed.content, rng), what=f"packed, {changed.what}")
    return rng.choice(_TEXT)(good.decode(), rng) if _is_text(good) else _damaged(good, rng)


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


def _pack(content: bytes, rng: random.Random) -> bytes:
    half = rng.randrange(len(content) + 1)
    # As one member, or as the blocks of bgzip and of files written one behind the other.
    return rng.choice([gzip.compress(content), gzip.compress(content[:half]) + gzip.compress(content[half:])])


def _damaged(good: bytes, rng: random.Random) -> Mutant:
    content, place = bytearray(good), rng.randrange(len(good))
    length = min(rng.choice([1, 2, 3, 8, 64, 512]), len(good) - place)
    match rng.randrange(8):
        case 0 | 1 | 2:
            n = rng.choice([1, 1, 2, 5])
            for _ in range(n):
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            return Mutant(bytes(content), f"{n} bits flipped", n)
        case 3:
            return Mutant(bytes(content[:place]), f"cut at byte {place}", lost=True)
        case 4:
            content[place : place + length] = bytes(length)
            return Mutant(bytes(content), f"{length} zeros at byte {place}", length)
        case 5:
            content[place : place + length] = rng.randbytes(length)
            return Mutant(bytes(content), f"{length} random bytes at byte {place}", length)
        case 6:
            del content[place : place + length]
            return Mutant(bytes(content), f"{length} bytes removed at byte {place}", None)
        case _:
            content[place:place] = content[place : place + length]
            return Mutant(bytes(content), f"{length} bytes doubled at byte {place}", None)


def _flipped(text: str, rng: random.Random) -> Mutant:
    changed = _damaged(text.encode(), rng)
    touched = 2 + changed.content.count(b"\n") - text.count("\n")
    # Bytes lost or doubled take what they are with them.
    n_lines = 2 * 512 // 8 if changed.lines is None else min(changed.lines, 64) + max(touched, 2)
    return changed._replace(lines=1 if changed.lost else n_lines)


def _cut(text: str, rng: random.Random) -> Mutant:
    place = rng.randrange(len(text))
    at_end = text[:place].endswith("\n")
    return Mutant(text[:place].encode(), f"cut at character {place}", 0, lost=at_end or place == 0)


def _on_lines(text: str, rng: random.Random) -> Mutant:
    lines = text.splitlines(keepends=True)
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    n = rng.choice([1, 1, 2, 5])
    match rng.randrange(7):
        case 0:
            what, touched = f"{n} lines from {one + 1} on deleted", n
            del lines[one : one + n]
            return Mutant("".join(lines).encode(), what, touched)
        case 1:
            n = rng.choice([1, 1, 2, 1000])
            lines[other:other] = [lines[one]] * n
            return Mutant("".join(lines).encode(), f"line {one + 1} {n} times more")
        case 2:
            lines[one], lines[other] = lines[other], lines[one]
            what = f"lines {one + 1} and {other + 1} exchanged"
        case 3:
            first, rest = lines[:1], lines[1:]
            rng.shuffle(rest)
            lines, what = first + rest, "all lines but the first shuffled"
        case 4:
            lines[one] = lines[one].rstrip("\n")
            what = f"line {one + 1} joined with the next"
            if one == len(lines) - 1:
                what = "no end of the last line"
        case 5:
            lines, what = lines + lines, "the file twice"
        case _:
            garbage = rng.choice(
                ["\n", "  \t \n", "# a comment\n", "garbage\n", "\t\t\t\t\t\t\n", "NA\n", '"\n', "\0\n", "---\n"]
            )
            lines.insert(one, garbage)
            what = f"{garbage!r} before line {one + 1}"
    return Mutant("".join(lines).encode(), what)


def _on_fields(text: str, rng: random.Random) -> Mutant:
    separator = next((mark for mark in "\t," if mark in text), " ")
    lines = text.splitlines()
    row = rng.randrange(len(lines))
    fields = lines[row].split(separator)
    column = rng.randrange(len(fields))
    old, lines_touched = fields[column], 0
    # What is changed in a header is changed in all lines.
    is_header = row == 0 and not any(field.replace(".", "").isdecimal() for field in fields)
    match rng.randrange(6):
        case 0 | 1:
            fields[column] = rng.choice(NO_NUMBERS)
            lines_touched = 0 if old.replace(".", "", 1).isdecimal() else 1
        case 2 | 3:
            fields[column], lines_touched = rng.choice(OTHERS), 1
        case 4:
            del fields[column]
        case _:
            fields.insert(column, rng.choice(["", old, "1", "x"]))
    lines[row] = separator.join(fields)
    lines_touched = len(lines) if is_header and lines_touched else lines_touched
    new = separator.join(fields[column : column + 1])
    what = f"line {row + 1}, column {column + 1}: {old[:20]!r} becomes {new[:20]!r}"
    return Mutant(("\n".join(lines) + "\n").encode("utf-8", "surrogatepass"), what, lines_touched)


def _on_columns(text: str, rng: random.Random) -> Mutant:
    """Exchange or repeat columns of a table; what has a header means the same in any order."""
    separator = next((mark for mark in "\t," if mark in text), " ")
    rows = [line.split(separator) for line in text.splitlines()]
    width = max(map(len, rows))
    order = list(range(width))
    match rng.randrange(3):
        case 0:
            rng.shuffle(order)
        case 1:
            one, other = rng.randrange(width), rng.randrange(width)
            order[one], order[other] = order[other], order[one]
        case _:
            order.insert(rng.randrange(width), rng.randrange(width))
    changed = [[row[place] for place in order if place < len(row)] for row in rows]
    # Without a header, nothing distinguishes columns of the same kind.
    is_header = not rows[0][0].startswith("#") and not any(field.replace(".", "").isdecimal() for field in rows[0])
    lines = 0 if is_header else None
    content = "".join(separator.join(row) + "\n" for row in changed).encode()
    return Mutant(content, f"columns in the order {order}", lines)


def _quoted(text: str, separator: str) -> str:
    rows = [[f'"{field}"' for field in line.split(separator)] for line in text.splitlines()]
    return "".join(separator.join(row) + "\n" for row in rows)


def _whole(text: str, rng: random.Random) -> Mutant:
    separator = next((mark for mark in "\t," if mark in text), " ")
    name, change = rng.choice(
        (
            ("UTF-16", lambda t: t.encode("utf-16")),
            ("UTF-16 without a mark", lambda t: t.encode("utf-16-le")),
            ("UTF-32", lambda t: t.encode("utf-32")),
            ("byte order mark", lambda t: t.encode("utf-8-sig")),
            ("latin-1", lambda t: t.replace("a", "\u00e9", 1).encode("latin-1")),
            ("EBCDIC", lambda t: t.encode("cp037")),
            ("end of lines", lambda t: t.replace("\n", rng.choice(_LINES_END)).encode()),
            ("quoted", lambda t: _quoted(t, separator).encode()),
            ("one quote", lambda t: (t[: (at := rng.randrange(len(t)))] + '"' + t[at:]).encode()),
            ("other separator", lambda t: t.replace(separator, rng.choice(_SEPARATORS)).encode()),
            ("space behind lines", lambda t: t.replace("\n", "  \n").encode()),
            ("tab behind lines", lambda t: t.replace("\n", "\t\n").encode()),
            ("space before lines", lambda t: ("\n" + t[:-1]).replace("\n", "\n ")[1:].encode()),
            ("no last end of line", lambda t: t[:-1].encode()),
            ("zeros behind", lambda t: t.encode() + bytes(rng.choice([1, 512, 4096]))),
            ("Ctrl-Z behind", lambda t: t.encode() + b"\x1a"),
            ("empty lines", lambda t: ("\n" + t + "\n\n").encode()),
            ("packed", lambda t: gzip.compress(t.encode())),
            ("packed twice", lambda t: gzip.compress(gzip.compress(t.encode()))),
            ("zlib", lambda t: zlib.compress(t.encode())),
            ("garbage behind the packed", lambda t: gzip.compress(t.encode()) + rng.randbytes(40)),
            ("packed and plain", lambda t: gzip.compress(t.encode()) + t.encode()),
            ("plain and packed", lambda t: t.encode() + gzip.compress(t.encode())),
            ("empty", lambda t: b""),
            ("only ends of lines", lambda t: b"\n" * 50),
            ("a long line", lambda t: t.encode() + b"A" * 3_000_000 + b"\n"),
            ("random bytes", lambda t: rng.randbytes(300)),
        )
    )  # fmt: skip
    return Mutant(change(text), name)


_TEXT = (_flipped, _cut, _on_lines, _on_lines, _on_fields, _on_fields, _on_fields, _on_columns, _whole)
