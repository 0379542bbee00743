"""One master seed, from which every stage and every step derives its own independent stream.

A stream is named by what it is for, never by what was drawn before it: drawing more numbers in one place
changes nothing elsewhere, and a training that resumes at step 700 draws what it would have drawn.
"""

import zlib

import numpy as np


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Make the random generator of a stream; names are words and counters, as ``"mixtures", "phase2", "test", 3``."""
    return np.random.Generator(np.random.SFC64(_sequence(seed, *names)))


def integer(seed: int, *names: str | int) -> int:
    """Derive a 63-bit seed for a library that takes an integer (torch)."""
    return int(_sequence(seed, *names).generate_state(1, np.uint64)[0] >> 1)


def _sequence(seed: int, *names: str | int) -> np.random.SeedSequence:
    key = [zlib.crc32(name.encode()) if isinstance(name, str) else int(name) for name in names]
    return np.random.SeedSequence(entropy=seed, spawn_key=key)
